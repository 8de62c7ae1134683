//! Twice and ten times what can be done: what is done stays nearly all that can be, those who are
//! let in hardly wait longer, and when the crowd is gone everything is as before.

use std::{collections::BTreeSet, sync::Arc};

use super::{CAPACITY, WAY, load::Crowd, seconds, slow_ledger::SlowLedger};
use crate::{
    house::{House, PATIENCE},
    strictness::{at_least, at_most, is_strict},
};

/// What is accepted in all, and as many as come again at any time.
const TICKETS: usize = 54_000;
/// Of those, who comes when the burst is over. They are others: who was turned away has called over
/// the connections of the busier core, and so would load one core with more than its half.
const AFTERWARDS: usize = 9_500;

#[tokio::test]
async fn overload_costs_those_who_are_let_in_little_and_is_over_when_it_is_over() {
    let house = House::open_with(Arc::new(SlowLedger::new(CAPACITY, WAY)), |_| {}).await;
    let capacity = f64::from(CAPACITY);
    let mut crowd = Crowd::gather(&house, TICKETS).await;
    let mut later = crowd.part(AFTERWARDS);

    let usual = crowd.offer(0.8 * capacity, seconds(8), seconds(2)).await;
    usual.tell("0.8x");
    let twice = crowd.offer(2.0 * capacity, seconds(8), seconds(2)).await;
    twice.tell("2x");
    let ten_times = crowd.offer(10.0 * capacity, seconds(8), seconds(2)).await;
    ten_times.tell("10x");
    // What is judged begins five seconds after the burst.
    let after = later.offer(0.8 * capacity, seconds(11), seconds(5)).await;
    after.tell("0.8x again");

    for seen in [&usual, &twice, &ten_times, &after] {
        assert!(seen.is_on_time() || !is_strict(), "this machine is too busy to say anything");
    }
    let kept = |bound| at_least(bound) * capacity;
    assert!(usual.accepted_part() >= at_least(0.99), "{} refused", usual.overloaded);
    assert!(twice.goodput() >= kept(0.95), "{:.0}/s at 2x", twice.goodput());
    assert!(ten_times.goodput() >= kept(0.9), "{:.0}/s at 10x", ten_times.goodput());
    let bound = usual.p99().mul_f64(at_most(3.0));
    assert!(twice.p99() <= bound, "{:?} at 2x, {:?} usually", twice.p99(), usual.p99());
    assert!(ten_times.p99() <= bound, "{:?} at 10x, {:?} usually", ten_times.p99(), usual.p99());
    assert!(after.accepted_part() >= at_least(0.99), "{} refused afterwards", after.overloaded);
    let bound = usual.p99().mul_f64(at_most(1.5));
    assert!(after.p99() <= bound, "{:?}, {:?}", after.p99(), usual.p99());
    house.judge(&crowd.sale, &BTreeSet::new(), PATIENCE).await;
    house.close().await;
}
