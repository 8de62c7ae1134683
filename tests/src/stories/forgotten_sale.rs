//! The catalog is put back to a copy from before a sale. What was bought in it stays bought and is
//! found, and the next sale gets a number of its own: nobody buys one thing and gets another.

use std::collections::BTreeSet;

use proto::{
    gateway::v1::{OrderState, PurchaseState},
    order::v1::{CountShardRequest, CountShardResponse, FindOrdersRequest},
};

use super::audit::audit;
use crate::house::{House, Kind, Offer, OpenSale, PATIENCE, eventually};

async fn rows(house: &House, sale: &OpenSale) -> CountShardResponse {
    let request = CountShardRequest { shard_no: sale.shard.get() };
    house.orders().count_shard(request).await.expect("the books answer").into_inner()
}

fn id(text: &str) -> Vec<u8> {
    text.parse::<ids::ItemId>().expect("an item id").as_bytes().to_vec()
}

async fn a_sale_is_forgotten(kind: Kind) {
    // The one store that may be missing.
    let Some(mut house) = House::open_on(kind).await else { return };
    let offer = Offer { units: 3, limit_per_user: 2, price: 100, ..Offer::default() };
    let forgotten = house.sell(offer).await;
    let buyer = house.shopper().await;
    let bought = buyer.ticket(&forgotten.item_id, 2, "bought").await.expect("a ticket");
    let unused = buyer.ticket(&forgotten.item_id, 1, "unused").await.expect("a ticket");
    assert_eq!(buyer.purchase(&bought, 1).await.expect("3 are left"), PurchaseState::Accepted);
    house.judge(&forgotten, &BTreeSet::from([bought.order_id.clone()]), PATIENCE).await;

    house.put_back_catalog().await;
    let offer = Offer { units: 50, limit_per_user: 2, price: 999, ..Offer::default() };
    let next = house.sell(offer).await;
    assert!(next.shard > forgotten.shard, "{:?}: {} is given again", kind, next.shard);

    let mut promised = BTreeSet::new();
    for shopper in house.shoppers(5).await {
        let ticket = shopper.ticket(&next.item_id, 1, "next").await.expect("a ticket");
        let answer = shopper.purchase(&ticket, 1).await.expect("50 are left");
        assert_eq!(answer, PurchaseState::Accepted);
        promised.insert(ticket.order_id);
    }
    let counts = house.judge(&next, &promised, PATIENCE).await;
    assert_eq!((counts.ledger.stock, counts.books.live_units), (45, 5));
    let order_ids = promised.iter().map(|text| text.parse::<ids::OrderId>().expect("an order id"));
    let order_ids = order_ids.map(|order| order.as_bytes().to_vec().into()).collect();
    let found = house.orders().find_orders(FindOrdersRequest { order_ids }).await;
    let found = found.expect("the books answer").into_inner().orders;
    let named = found.iter().all(|row| row.item_id == id(&next.item_id) && row.unit_price == 999);
    assert!(found.len() == 5 && named, "{found:?}");
    let (code, said) = audit(&house, &next).await;
    assert_eq!(code, Some(0), "{said}");

    // Of the forgotten one nothing has changed, and its buyers are told nothing that isn't so.
    let left = rows(&house, &forgotten).await;
    assert_eq!((left.live_orders, left.live_units, left.total), (1, 2, 3));
    assert_eq!(left.item_id, id(&forgotten.item_id));
    assert_eq!(buyer.order(&bought).await.expect("it is there"), OrderState::Placed);
    assert_eq!(buyer.order(&unused).await.expect("it is there"), OrderState::Processing);
    eventually("who sends the ticket again is told", PATIENCE, async || {
        let again = buyer.purchase(&bought, 2).await.ok()?;
        (again == PurchaseState::Accepted).then_some(())
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn what_was_bought_in_a_forgotten_sale_is_found_and_its_number_is_not_given_again() {
    Box::pin(a_sale_is_forgotten(Kind::Sqlite)).await;
}

#[tokio::test]
async fn the_same_on_mariadb() {
    Box::pin(a_sale_is_forgotten(Kind::MariaDb)).await;
}

#[tokio::test]
async fn the_same_on_mysql() {
    Box::pin(a_sale_is_forgotten(Kind::MySql)).await;
}
