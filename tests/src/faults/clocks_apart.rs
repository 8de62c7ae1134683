//! Two inventory-svc with clocks far apart lose their ledger: who may overtake whose load is judged
//! by one clock, the catalog's, so they don't take over from each other for ever.

use std::time::Duration;

use proto::gateway::v1::PurchaseState;

use crate::{
    house::{Offer, eventually},
    shop::{Layout, Shop},
};

/// From the moment when nobody reaches Redis any more. It takes less than 8 s on a quiet machine;
/// with claims judged by two clocks it took for ever.
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_is_back_though_clocks_are_seconds_apart() {
    is_back_with(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_is_back_though_clocks_are_an_hour_apart() {
    is_back_with(3_600).await;
}

async fn is_back_with(ahead_s: i64) {
    let mut shop = Shop::open(Layout::default()).await;
    let other = &mut shop.inventories[1];
    other.stop().await;
    other.set_calendar(ahead_s).await;
    other.start().await;
    // Open as each of the two sees it.
    let offer = Offer { limit_per_user: 3, ..Offer::default() };
    let sale = shop.sell(offer).await;
    let shopper = shop.shopper(1).await;
    let mut epoch = shop.taken(sale.shard, 0).await.epoch;

    // Whoever of the two begins a load, the other one looks on.
    for round in 0..3 {
        let ticket =
            shopper.ticket(&sale.item_id, 1, &format!("{round}")).await.expect("it is open");
        let lost_at = shop.clock.now();
        shop.stores.redis_door.cut();
        let redis = &mut shop.stores.redis;
        redis.kill();
        redis.clear_data();
        redis.start_again().await;
        shop.stores.redis_door.heal();

        let mut attempt = 0;
        eventually("something is sold again", GOES_ON_WITHIN, async || {
            attempt += 1;
            let answer = shopper.purchase(&ticket, attempt).await;
            (answer.ok()? == PurchaseState::Accepted).then_some(())
        })
        .await;
        let took = shop.clock.now() - lost_at;
        epoch = shop.loaded_anew(sale.shard, epoch).await.epoch;
        #[expect(clippy::print_stdout, reason = "a measurement is worth reading")]
        {
            println!("clocks {ahead_s} s apart: sold again {took:?} after Redis was lost");
        }
    }
}
