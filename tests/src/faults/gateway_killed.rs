//! A gateway dies under load, with holds that it has not recorded and answers that it has not
//! given.

use std::time::Duration;

use crate::{
    faults::RUSH,
    house::eventually,
    shop::{Layout, Shop},
};

/// How long a hold may stay open, whoever was to record it.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_takes_no_promise_with_it() {
    let mut shop = Shop::open(Layout::default()).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    for taken in [300, 700, 1_100] {
        shop.taken(shard, taken).await;
        shop.gateways[0].kill();
        let killed_at = shop.clock.now();
        // Whatever is open from before the kill is older than the kill.
        eventually("no hold is open from before the kill", SETTLED_WITHIN, async || {
            let since = shop.clock.now() - killed_at;
            let count = shop.ledger(shard).await.expect("it stays loaded");
            (Duration::from_millis(count.oldest_open_ms) < since).then_some(())
        })
        .await;
        shop.gateways[0].start().await;
    }
    rushing.sells_out().await;
}
