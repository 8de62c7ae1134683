//! ListSales and GetSale: a crowd costs the catalog one read a second, and drafts aren't shown.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use ids::{ItemId, SaleId};
use proto::{
    gateway::v1::{Availability, GetSaleRequest, GetSaleResponse, ListSalesRequest},
    inventory::v1::SaleState,
};
use tonic::{Code, Status};

use crate::{
    stage::{Plan, Stage, bad_field, reason, said},
    stubs::lock,
};

async fn get(stage: &Stage, sale: impl ToString) -> Result<GetSaleResponse, Status> {
    let message = GetSaleRequest { sale_id: sale.to_string() };
    stage.client().await.get_sale(message).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_sale_is_shown_with_what_is_left() {
    let stage = Stage::open().await;
    let sale = get(&stage, stage.sale).await.unwrap().sale.unwrap();
    assert_eq!((sale.title.as_str(), sale.items.len()), ("A sale", 1));
    assert!(sale.opens_at.is_some() && sale.closes_at.is_some() && sale.tickets_from.is_some());
    let item = &sale.items[0];
    assert_eq!((item.total_units, item.limit_per_user), (100, 5));
    assert_eq!(item.availability(), Availability::Unknown, "nothing was heard yet");
    for (units, expected) in [(3, Availability::Available), (0, Availability::SoldOut)] {
        stage.tell_stock(units);
        let shown = async || {
            let sale = get(&stage, stage.sale).await.unwrap().sale.unwrap();
            (sale.items[0].availability(), sale.items[0].units_left) == (expected, units)
        };
        stage.until("what is left is shown", shown).await;
    }
}

#[tokio::test]
async fn a_crowd_costs_one_read() {
    let stage = Stage::open().await;
    let before = stage.world.catalog_reads.load(Ordering::SeqCst);
    let client = stage.client().await;
    let looks = (0..50).map(|_| {
        let mut client = client.clone();
        let message = GetSaleRequest { sale_id: stage.sale.to_string() };
        async move { client.get_sale(message).await.is_ok() }
    });
    assert!(join_all(looks).await.into_iter().all(|is_ok| is_ok));
    let reads = stage.world.catalog_reads.load(Ordering::SeqCst) - before;
    assert!(reads <= 2, "{reads} reads within about a second");
}

/// The catalog's answers are remembered for so long.
async fn remembering(known_sales_ms: u64) -> Stage {
    let config = move |config: &mut gateway::Config| config.catalog.known_sales_ms = known_sales_ms;
    Stage::with(Plan { config: Box::new(config), ..Plan::default() }).await
}

#[tokio::test]
async fn an_id_of_nothing_costs_one_read_too() {
    let stage = remembering(600_000).await;
    let mut buyer = stage.buyer().await;
    // Once for all, so that the reads below are of nothing.
    buyer.ticket(1, "mine").await;
    let before = stage.world.catalog_reads.load(Ordering::SeqCst);
    let sale = SaleId::random();
    let looks = join_all((0..20).map(|_| get(&stage, sale))).await;
    assert!(looks.into_iter().all(|answer| reason(answer) == "NOT_FOUND"));
    assert_eq!(reason(get(&stage, sale).await), "NOT_FOUND");
    assert_eq!(stage.world.catalog_reads.load(Ordering::SeqCst) - before, 1);

    buyer.item = ItemId::random();
    let wishes = join_all((0..20).map(|_| buyer.wish(1, "none"))).await;
    assert!(wishes.into_iter().all(|answer| reason(answer) == "NOT_FOUND"));
    assert_eq!(reason(buyer.wish(1, "none").await), "NOT_FOUND");
    assert_eq!(stage.world.catalog_reads.load(Ordering::SeqCst) - before, 2);
}

#[tokio::test]
async fn what_was_nothing_is_found_once_it_is_there() {
    let stage = remembering(50).await;
    let buyer = stage.buyer().await;
    lock(&stage.world.sales)[0].state = SaleState::Draft.into();
    assert_eq!(reason(get(&stage, stage.sale).await), "NOT_FOUND");
    assert_eq!(reason(buyer.wish(1, "mine").await), "NOT_FOUND");
    lock(&stage.world.sales)[0].state = SaleState::Scheduled.into();
    stage.until("the item is found", async || buyer.wish(1, "mine").await.is_ok()).await;
    stage.until("the sale is found", async || get(&stage, stage.sale).await.is_ok()).await;
}

#[tokio::test]
async fn drafts_are_not_shown() {
    let stage = Stage::open().await;
    lock(&stage.world.sales)[0].state = SaleState::Draft.into();
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned(), false);
    assert_eq!(said(get(&stage, stage.sale).await), not_found);
    let page = stage.client().await.list_sales(ListSalesRequest::default()).await.unwrap();
    assert_eq!(page.into_inner().sales, []);
}

#[tokio::test]
async fn sales_are_listed_without_their_items() {
    let stage = Stage::open().await;
    let mut client = stage.client().await;
    let page = client.list_sales(ListSalesRequest::default()).await.unwrap().into_inner();
    assert_eq!(page.sales.len(), 1);
    assert_eq!(page.sales[0].items, []);
    assert_eq!(page.next_page_token, "7");
}

#[tokio::test]
async fn bad_questions_are_named() {
    let stage = Stage::open().await;
    assert_eq!(bad_field(get(&stage, "").await), "sale_id");
    assert_eq!(bad_field(get(&stage, "nonsense").await), "sale_id");
    assert_eq!(reason(get(&stage, SaleId::random()).await), "NOT_FOUND");
    let mut client = stage.client().await;
    let mut list = async |page_size, page_token: &str| {
        client.list_sales(ListSalesRequest { page_size, page_token: page_token.into() }).await
    };
    assert_eq!(bad_field(list(201, "").await), "page_size");
    assert_eq!(bad_field(list(1, &"x".repeat(257)).await), "page_token");
    assert_eq!(bad_field(list(1, "13").await), "page_token", "the catalog refuses it");
    let before = stage.world.catalog_reads.load(Ordering::SeqCst);
    for foreign in ["foreign", "-1", "0", "01", "9223372036854775808"] {
        assert_eq!(bad_field(list(1, foreign).await), "page_token", "{foreign}");
    }
    let reads = stage.world.catalog_reads.load(Ordering::SeqCst) - before;
    assert_eq!(reads, 0, "the catalog isn't asked for what it can't have written");
}

#[tokio::test]
async fn without_the_catalog_buyers_are_told_to_come_back() {
    let stage = Stage::open().await;
    stage.world.is_inventory_down.store(true, Ordering::SeqCst);
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(get(&stage, stage.sale).await), unavailable);
    let page = stage.client().await.list_sales(ListSalesRequest::default()).await;
    assert_eq!(said(page), unavailable);
}
