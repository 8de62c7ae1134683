//! One sale at ten times its capacity, and one beside it that sells as it always does: the second
//! hardly notices the first. Each sale's shard has a capacity of its own, as in a real ledger the
//! batches of each shard wait for each other and not for those of others; what both share is the
//! gateway. Quiet and rush take turns; what is compared is the median of the undisturbed rounds.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    WAY,
    load::Crowd,
    machine::undisturbed,
    rounds, seconds,
    seen::{Seen, median},
    slow_ledger::SlowLedger,
};
use crate::{
    house::{House, PATIENCE},
    strictness::{at_least, at_most, is_strict},
};

/// Entries that each shard takes in a second. Ten times that, what comes beside it and those who
/// send it all share two cores with the gateway: at more than this it is them that a tail shows.
const CAPACITY: u32 = 500;
const LENGTH: Duration = seconds(4);
const SETTLED: Duration = seconds(1);
/// What a round takes at most, those who come again included.
const RUSH_TICKETS: usize = 12_000;
const BESIDE_TICKETS: usize = 2_500;

#[tokio::test]
async fn a_sale_beside_a_rush_keeps_its_goodput_and_its_latency() {
    let house = House::open_with(Arc::new(SlowLedger::new(CAPACITY, WAY)), |_| {}).await;
    let capacity = f64::from(CAPACITY);
    let mut rush = Crowd::gather(&house, 0).await;
    let mut beside = Crowd::gather(&house, 0).await;

    let judged = undisturbed(rounds(), async || {
        rush.stock_up(RUSH_TICKETS).await;
        beside.stock_up(BESIDE_TICKETS).await;
        let (_, beside_quiet) = futures::join!(
            rush.offer(0.5 * capacity, LENGTH, SETTLED),
            beside.offer(0.5 * capacity, LENGTH, SETTLED),
        );
        beside_quiet.tell("beside a quiet sale");
        let (the_rush, beside_rush) = futures::join!(
            rush.offer(10.0 * capacity, LENGTH, SETTLED),
            beside.offer(0.5 * capacity, LENGTH, SETTLED),
        );
        the_rush.tell("the rush");
        beside_rush.tell("beside the rush");
        let on_time = [&beside_quiet, &the_rush, &beside_rush].map(Seen::is_on_time);
        let can_tell = !on_time.contains(&false) || !is_strict();
        can_tell.then_some((beside_quiet, (the_rush, beside_rush)))
    });
    let (usual, rushed): (Vec<_>, Vec<_>) = judged.await.into_iter().unzip();
    let (rushed, seen): (Vec<_>, Vec<_>) = rushed.into_iter().unzip();

    for rush in &rushed {
        assert!(rush.overloaded > rush.accepted_in_all(), "it was a rush");
        assert!(rush.goodput() >= at_least(0.9) * capacity, "{:.0}/s", rush.goodput());
    }
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let (accepted, offered) = (sum(Seen::accepted_in_all), sum(|round| round.offered));
    assert!(accepted as f64 >= at_least(0.98) * offered as f64, "{accepted} of {offered}");
    let (usual_p99, p99) = (median(&usual, Seen::p99), median(&seen, Seen::p99));
    assert!(p99 <= usual_p99.mul_f64(at_most(1.2)), "{p99:?}, {usual_p99:?}");
    // Its queue is seen as one, though most windows hold but the other's quick answers.
    let (usual_p50, p50) = (median(&usual, Seen::p50), median(&rushed, Seen::p50));
    assert!(p50 <= usual_p50.mul_f64(at_most(4.0)), "{p50:?}, {usual_p50:?}");
    for crowd in [&rush, &beside] {
        house.judge(&crowd.sale, &BTreeSet::new(), PATIENCE).await;
    }
    house.close().await;
}
