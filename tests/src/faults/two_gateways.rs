//! One ticket, sent many times through two gateways at once, is one order (I-4).

use futures::future::join_all;
use proto::gateway::v1::PurchaseState;

use crate::{
    house::{Offer, Shopper},
    shop::{Layout, PATIENCE, Shop},
};

const SENDS: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn one_ticket_through_two_gateways_is_one_order() {
    let shop = Shop::open(Layout::default()).await;
    let offer = Offer { limit_per_user: 3, ..Offer::default() };
    let sale = shop.sell(offer).await;
    let here = shop.shopper(0).await;
    let there = Shopper { channel: shop.gateways[1].channel(), ..here.clone() };
    let ticket = here.ticket(&sale.item_id, 2, "one").await.expect("the sale is open");

    let sends = (0..SENDS).map(|send| {
        let shopper = if send % 2 == 0 { &here } else { &there };
        shopper.purchase(&ticket, 1 + send / 2)
    });
    let answers = join_all(sends).await;
    let accepted = answers.iter().filter(|answer| matches!(answer, Ok(PurchaseState::Accepted)));
    assert!(accepted.count() > 0, "{answers:?}");
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(refused.is_empty(), "{refused:?}");

    let ledger = shop.at_rest(sale.shard, PATIENCE).await;
    let rows = shop.rows(sale.shard).await;
    assert_eq!((rows.live_orders, rows.live_units), (1, 2));
    assert_eq!((rows.rejected_orders, rows.duplicate_orders), (0, 0));
    assert_eq!((ledger.placed_orders, ledger.stock), (1, u64::from(offer.units) - 2));
}
