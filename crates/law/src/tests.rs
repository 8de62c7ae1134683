//! The law, held against figures on both sides of each border.

use ids::ShardNo;
use proptest::prelude::*;

use super::*;

fn order() -> OrderId {
    OrderId::mint(ShardNo::new(7).unwrap(), [3; 12])
}

fn broken(result: Result<(), Violation>) -> Option<&'static str> {
    result.err().map(|violation| violation.invariant.number())
}

#[test]
fn the_last_unit_may_be_sold_and_no_more() {
    assert_eq!(broken(no_oversell(1000, 1000)), None);
    assert_eq!(broken(no_oversell(1000, 1001)), Some("I-1"));
}

#[test]
fn a_promise_is_one_live_row() {
    assert_eq!(broken(promise_kept(order(), 1)), None);
    assert_eq!(broken(promise_kept(order(), 0)), Some("I-2"));
    assert_eq!(broken(promise_kept(order(), 2)), Some("I-2"));
}

proptest! {
    #[test]
    fn one_unit_astray_is_a_leak(stock: u32, open: u32, live: u32, unapplied: u32) {
        let [stock, open, live, unapplied] = [stock, open, live, unapplied].map(u64::from);
        let units = Units { stock, open, live, unapplied };
        let total = stock + open + live + unapplied;
        prop_assert_eq!(broken(nothing_leaks(total, units)), None);
        prop_assert_eq!(broken(nothing_leaks(total + 1, units)), Some("I-3"));
        let more = Units { open: open + 1, ..units };
        prop_assert_eq!(broken(nothing_leaks(total, more)), Some("I-3"));
    }
}

#[test]
fn sums_beyond_64_bits_are_not_wrapped() {
    let units = Units { stock: u64::MAX, open: 1, live: 0, unapplied: 0 };
    assert_eq!(broken(nothing_leaks(0, units)), Some("I-3"));
}

#[test]
fn one_order_a_ticket_and_nobody_above_the_limit() {
    assert_eq!(broken(one_row(order(), 1)), None);
    assert_eq!(broken(one_row(order(), 2)), Some("I-4"));
    assert_eq!(broken(within_limit(2, 2)), None);
    assert_eq!(broken(within_limit(2, 3)), Some("I-4"));
}

#[test]
fn the_window_is_half_open_and_the_ticket_ends_sharply() {
    let times = AdmissionTimes { opens_ms: 100, closes_ms: 200, ticket_expires_ms: 150 };
    for (at, verdict) in
        [(99, Some("I-5")), (100, None), (149, None), (150, Some("I-5")), (200, Some("I-5"))]
    {
        assert_eq!(broken(admitted_lawfully(at, times)), verdict, "at {at}");
    }
    let long = AdmissionTimes { ticket_expires_ms: 900, ..times };
    assert_eq!(broken(admitted_lawfully(199, long)), None);
    assert_eq!(broken(admitted_lawfully(200, long)), Some("I-5"));
}

#[test]
fn only_a_placed_order_moves() {
    use OrderState::*;
    for from in [Placed, Paid, Cancelled, Expired, Rejected] {
        for to in [Placed, Paid, Cancelled, Expired, Rejected] {
            let is_lawful = from == Placed && [Paid, Cancelled, Expired].contains(&to);
            assert_eq!(broken(moves_forward(from, to)).is_none(), is_lawful, "{from} to {to}");
        }
    }
}
