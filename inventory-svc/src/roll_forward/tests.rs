//! A table of small cases, and what is true of every plan.

use ids::{Epoch, UserId};
use proptest::prelude::*;

use super::*;
use crate::domain::OpenHold;

fn order(number: u8) -> OrderId {
    OrderId::mint(ShardNo::new(1).unwrap(), [number; 12])
}

fn open(number: u8) -> OpenHold {
    let hold = Hold {
        order: order(number),
        user: UserId::from_bytes([number; 16]),
        quantity: 1,
        unit_price: 100,
        taken_at_ms: 1_000,
        traceparent: String::new(),
    };
    OpenHold { hold, attempts: 0, since_ms: 1_000 }
}

fn due(numbers: impl IntoIterator<Item = u8>) -> Holds {
    let holds = numbers.into_iter().map(open).collect();
    Holds { epoch: Epoch::new(7).unwrap(), generation: 10, holds }
}

fn known(decided: &[(u8, Settled)], generation: Option<u64>) -> Known {
    let decided = decided.iter().map(|(number, state)| (order(*number), *state)).collect();
    Known { decided, generation }
}

fn published(plan: &Plan) -> Vec<OrderId> {
    plan.publish.iter().flatten().map(|hold| hold.order).collect()
}

#[test]
fn what_the_books_know_is_settled_and_the_rest_published() {
    let known = known(&[(2, Settled::Placed), (3, Settled::Rejected)], Some(10));
    let plan = plan(due([1, 2, 3, 4]), &known, 100);
    assert_eq!(plan.settle, [(order(2), Settled::Placed), (order(3), Settled::Rejected)]);
    assert_eq!(published(&plan), [order(1), order(4)]);
    assert!(!plan.books_are_older);
}

#[test]
fn nothing_is_published_beyond_the_budget_but_all_that_is_known_is_settled() {
    let known = known(&[(3, Settled::Released)], Some(11));
    let plan = plan(due([1, 2, 3]), &known, 1);
    assert_eq!(published(&plan), [order(1)]);
    assert_eq!(plan.settle, [(order(3), Settled::Released)]);
}

#[test]
fn a_lower_generation_tells_of_an_older_copy() {
    let check = |generation, wanted| {
        let plan = plan(due([1]), &known(&[], generation), 100);
        assert_eq!(plan.books_are_older, wanted, "{generation:?}");
    };
    check(Some(9), true);
    check(Some(10), false);
    check(Some(11), false);
    check(None, false);
}

#[test]
fn a_record_says_what_the_hold_said() {
    let Holds { epoch, mut holds, .. } = due([5]);
    let shard = ShardNo::new(1).unwrap();
    let hold = holds.remove(0).hold;
    let record = record(CommandId::random(), shard, epoch, std::slice::from_ref(&hold));
    let Command::HoldsPlaced { epoch: of, holds } = record.command else { panic!("holds") };
    assert_eq!((of, holds[0].order, holds[0].user), (epoch, hold.order, hold.user));
    assert_eq!((holds[0].quantity, holds[0].unit_price), (hold.quantity, hold.unit_price));
    assert_eq!(holds[0].taken_at_ms, hold.taken_at_ms);
}

proptest! {
    #[test]
    fn each_due_hold_is_settled_published_or_left(
        copies in 0usize..700,
        decided in proptest::collection::vec(any::<u8>(), 0..40),
        budget in 0usize..700,
    ) {
        // Ids repeat beyond 256, as a page that overlaps the one before does.
        let numbers = (0..copies).map(|n| u8::try_from(n % 256).unwrap());
        let decided: Vec<_> = decided.into_iter().map(|n| (n, Settled::Placed)).collect();
        let known = known(&decided, Some(10));
        let due = due(numbers);
        let plan = plan(due.clone(), &known, budget);

        prop_assert!(plan.publish.iter().all(|group| (1..=RECORD_HOLDS).contains(&group.len())));
        let published = published(&plan);
        prop_assert!(published.len() <= budget);
        let unknown = due.holds.iter().map(|open| open.hold.order);
        let unknown: Vec<_> = unknown.filter(|order| !known.decided.contains_key(order)).collect();
        prop_assert_eq!(published.as_slice(), &unknown[..budget.min(unknown.len())]);
        prop_assert_eq!(plan.settle.len() + unknown.len(), due.holds.len());
    }
}
