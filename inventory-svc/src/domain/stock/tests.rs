//! The edges that the ledger's contract can't place, since it has no `now`: exact milliseconds. All
//! other rules are told there.

use ids::ShardNo;
use proptest::prelude::*;

use super::*;
use crate::domain::PLACED_NOBODY_SAYS;

const OPENS: u64 = 1_000;
const CLOSES: u64 = 2_000;

fn order(name: u8) -> OrderId {
    OrderId::mint(ShardNo::new(1).unwrap(), [name; 12])
}

fn entry(name: u8, user: u8, quantity: u32, ticket_expires_ms: u64) -> ReserveEntry {
    ReserveEntry {
        order: order(name),
        user: UserId::from_bytes([user; 16]),
        quantity,
        unit_price: 4_999,
        ticket_expires_ms,
        placed_us: PLACED_NOBODY_SAYS,
        traceparent: String::new(),
    }
}

fn stock(units: u32, limit_per_user: u32) -> Stock {
    let terms = Terms { opens_ms: OPENS, closes_ms: CLOSES, limit_per_user };
    let epoch = Epoch::new(1).unwrap();
    Staging::default().open(Opening {
        epoch,
        terms,
        stock: units,
        generation: 0,
        movement_watermark: 0,
    })
}

/// The answer to one unit for a fresh user, `None` if it is held.
fn refusal_at(now_ms: u64, ticket_expires_ms: u64) -> Option<Refusal> {
    match &stock(1, 1)
        .reserve(now_ms * 1000, false, vec![entry(1, 1, 1, ticket_expires_ms)])
        .unwrap()
        .answers[..]
    {
        [EntryAnswer::Held(hold)] => {
            assert_eq!(hold.taken_at_ms, now_ms);
            None
        }
        [EntryAnswer::Refused(refusal)] => Some(*refusal),
        answers => panic!("{answers:?}"),
    }
}

#[test]
fn the_window_opens_and_closes_on_the_millisecond() {
    for (now_ms, wanted) in [
        (OPENS - 1, Some(Refusal::NotOpen)),
        (OPENS, None),
        (CLOSES - 1, None),
        (CLOSES, Some(Refusal::Closed)),
    ] {
        assert_eq!(refusal_at(now_ms, u64::MAX), wanted, "at {now_ms}");
    }
}

#[test]
fn a_ticket_ends_on_the_millisecond() {
    assert_eq!(refusal_at(1_499, 1_500), None);
    assert_eq!(refusal_at(1_500, 1_500), Some(Refusal::TicketExpired));
    assert_eq!(refusal_at(1_500, 0), Some(Refusal::TicketExpired));
}

#[test]
fn refused_users_leave_nothing_behind() {
    let mut stock = stock(1, 1);
    for name in 0..200 {
        stock.reserve(OPENS * 1000, true, vec![entry(name, name, 1, CLOSES)]).unwrap();
        stock.reserve(OPENS * 1000, false, vec![entry(name, name, 2, CLOSES)]).unwrap();
    }
    let all = (0..200).map(|name| entry(name, name, 1, CLOSES)).collect();
    stock.reserve(OPENS * 1000, false, all).unwrap();
    assert_eq!((stock.users.len(), stock.orders.len()), (1, 1));
    // Nor does one whose only order the books refuse.
    stock.settle(stock.epoch(), None, &[(order(0), Settled::Rejected)]);
    assert!(stock.users.is_empty());
}

#[test]
#[should_panic(expected = "I-3 is broken")]
#[cfg(debug_assertions)]
fn a_leak_ends_the_process_in_debug_builds() {
    assert_lawful(|| law::nothing_leaks(1, Units::default()));
}

proptest! {
    #[test]
    fn a_batch_is_answered_like_its_requests_one_by_one(
        requests in prop::collection::vec((0u8..20, 0u8..6, 1u32..4, 1_400u64..1_600), 1..40),
        units in 0u32..30,
    ) {
        let entries: Vec<_> =
            requests.into_iter().map(|(name, user, n, ends)| entry(name, user, n, ends)).collect();
        let (mut whole, mut single) = (stock(units, 4), stock(units, 4));
        let at_once = whole.reserve(1_500_000, false, entries.clone()).unwrap().answers;
        let one = |entry| single.reserve(1_500_000, false, vec![entry]).unwrap().answers;
        let in_turn: Vec<_> = entries.into_iter().flat_map(one).collect();
        prop_assert_eq!(at_once, in_turn);
        prop_assert_eq!(whole.count(1_500), single.count(1_500));
        prop_assert_eq!(whole.version(), single.version());
    }

    #[test]
    fn counting_one_by_one_agrees_with_the_counters(
        requests in prop::collection::vec((0u8..20, 0u8..6, 1u32..4), 1..40),
        decisions in prop::collection::vec((0u8..20, any::<bool>()), 0..40),
    ) {
        let mut stock = stock(30, 4);
        for (name, user, quantity) in requests {
            stock.reserve(1_500_000, false, vec![entry(name, user, quantity, CLOSES)]).unwrap();
        }
        for (name, is_placed) in decisions {
            let decision = if is_placed { Settled::Placed } else { Settled::Rejected };
            stock.settle(stock.epoch(), None, &[(order(name), decision)]);
        }
        let count = stock.count(1_500);
        prop_assert_eq!(count.open_units, stock.open_units);
        prop_assert_eq!(count.placed_units, stock.placed_units);
        prop_assert_eq!(count.user_units, count.open_units + count.placed_units);
    }
}
