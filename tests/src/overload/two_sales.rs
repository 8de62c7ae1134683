//! One sale at ten times its capacity, and one beside it that sells as it always does: the second
//! hardly notices the first. Each sale's shard has a capacity of its own, as in a real ledger the
//! batches of each shard wait for each other and not for those of others; what both share is the
//! gateway.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{load::Crowd, open, slow_ledger::SlowLedger};
use crate::house::PATIENCE;

const CAPACITY: u32 = 100;
/// Less, so that ten times of it is little to the processor.
const RUSH_CAPACITY: u32 = 20;
const WAY: Duration = Duration::from_millis(150);
const LENGTH: Duration = Duration::from_secs(9);
const SETTLED: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_sale_beside_a_rush_keeps_its_goodput_and_its_latency() {
    let ledger = Arc::new(SlowLedger::new(CAPACITY, WAY));
    let house = open(Arc::clone(&ledger)).await;
    let (capacity, rush_capacity) = (f64::from(CAPACITY), f64::from(RUSH_CAPACITY));
    let (mut rush, mut beside) =
        (Crowd::gather(&house, 1_500).await, Crowd::gather(&house, 800).await);
    ledger.slow_down(rush.sale.shard, RUSH_CAPACITY);

    let both = futures::join!(
        rush.offer(0.5 * rush_capacity, LENGTH, SETTLED),
        beside.offer(0.2 * capacity, LENGTH, SETTLED),
    );
    let (_, usual) = both;
    usual.tell("beside a quiet sale");
    let (rushed, seen) = futures::join!(
        rush.offer(10.0 * rush_capacity, LENGTH, SETTLED),
        beside.offer(0.2 * capacity, LENGTH, SETTLED),
    );
    rushed.tell("the rush");
    seen.tell("beside the rush");

    assert!(rushed.overloaded > rushed.accepted, "it was a rush");
    assert!(rushed.goodput() >= 0.9 * rush_capacity, "{:.0}/s", rushed.goodput());
    let kept = seen.accepted * 100;
    assert!(kept >= seen.offered * 98, "{} of {}", seen.accepted, seen.offered);
    assert!(seen.p99() <= usual.p99().mul_f64(1.2), "{:?}, {:?}", seen.p99(), usual.p99());
    for crowd in [&rush, &beside] {
        house.judge(&crowd.sale, &BTreeSet::new(), PATIENCE).await;
    }
    house.close().await;
}
