//! ListSales and GetSale: a crowd costs the catalog one read a second, and drafts aren't shown.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use ids::SaleId;
use proto::{
    gateway::v1::{Availability, GetSaleRequest, GetSaleResponse, ListSalesRequest},
    inventory::v1::SaleState,
};
use tonic::{Code, Status};

use crate::{
    stage::{Stage, bad_field, reason, said},
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
    assert_eq!(page.next_page_token, "next");
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
    assert_eq!(bad_field(list(1, "foreign").await), "page_token");
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
