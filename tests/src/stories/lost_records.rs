//! Law C: an acknowledged record may be lost. Who sent it sends it again until the books show it,
//! so a shard opens all the same.

use std::{collections::BTreeSet, time::Duration};

use journal::record::{Command, Record};
use proto::gateway::v1::PurchaseState;

use crate::house::{House, Offer, PATIENCE, eventually};

async fn opens_though_lost(is_victim: fn(&Record) -> bool) {
    let house = House::open().await;
    house.broker.lose_next(is_victim);
    let sale = house.sell(Offer { units: 2, ..Offer::default() }).await;
    assert_eq!(house.broker.losses().happened(), 1, "nothing was lost");
    let shopper = house.shopper().await;
    let ticket = shopper.ticket(&sale.item_id, 1, "open").await.expect("a ticket");
    assert_eq!(shopper.purchase(&ticket, 1).await.unwrap(), PurchaseState::Accepted);
    house.judge(&sale, &BTreeSet::from([ticket.order_id]), PATIENCE).await;
    house.close().await;
}

#[tokio::test]
async fn a_shard_opens_though_its_item_opened_was_lost() {
    opens_though_lost(|record| matches!(record.command, Command::ItemOpened(_))).await;
}

#[tokio::test]
async fn a_shard_opens_though_its_epoch_changed_was_lost() {
    opens_though_lost(|record| matches!(record.command, Command::EpochChanged { .. })).await;
}

#[tokio::test]
async fn a_shard_is_loaded_again_though_its_epoch_changed_was_lost() {
    let house = House::open().await;
    let offer = Offer { units: 2, lease: Duration::from_millis(200), ..Offer::default() };
    let sale = house.sell(offer).await;
    let before = house.ledger_count(&sale).await.epoch;
    house.broker.lose_next(|record| matches!(record.command, Command::EpochChanged { .. }));
    house.ledger.swap_for_empty();
    eventually("the shard is loaded again", PATIENCE, async || {
        let counts = house.counts(&sale).await.ok()?;
        (counts.ledger.epoch != before).then_some(())
    })
    .await;
    assert_eq!(house.broker.losses().happened(), 1, "nothing was lost");
    house.judge(&sale, &BTreeSet::new(), PATIENCE).await;
    house.close().await;
}

#[tokio::test]
async fn a_lost_record_of_holds_is_rolled_forward() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 5, ..Offer::default() }).await;
    let shopper = house.shopper().await;
    let ticket = shopper.ticket(&sale.item_id, 1, "tail").await.expect("a ticket");
    house.broker.lose_next(|record| matches!(record.command, Command::HoldsPlaced { .. }));
    assert_eq!(shopper.purchase(&ticket, 1).await.unwrap(), PurchaseState::Accepted);
    assert_eq!(house.broker.losses().happened(), 1, "nothing was lost");
    // The broker said that it had the record and lost it: the ledger's hold brings it back.
    let counts = house.judge(&sale, &BTreeSet::from([ticket.order_id]), PATIENCE).await;
    assert_eq!(counts.books.live_orders, 1);
    house.close().await;
}
