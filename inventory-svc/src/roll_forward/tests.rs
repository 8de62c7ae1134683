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
    plan.publish.iter().flat_map(|group| &group.holds).map(|hold| hold.order).collect()
}

/// A line is: due | known | budget | settled | published.
const TABLE: &str = "
                     |                    | 9 |                    |
    1 2              |                    | 9 |                    | 1 2
    1 2              | 1=placed 2=placed  | 9 | 1=placed 2=placed  |
    1 2 3 4          | 3=rejected 2=placed| 9 | 2=placed 3=rejected| 1 4
    1 2 3            | 3=released         | 1 | 3=released         | 1
    1 2 3            | 1=placed           | 2 | 1=placed           | 2 3
    1 2 3            | 2=placed           | 0 | 2=placed           |
    1                | 7=placed           | 9 |                    | 1
";

fn decisions(text: &str) -> Vec<(u8, Settled)> {
    let decision = |text: &str| {
        let (number, state) = text.split_once('=').expect("number=state");
        let state = match state {
            "placed" => Settled::Placed,
            "rejected" => Settled::Rejected,
            "released" => Settled::Released,
            other => panic!("{other}"),
        };
        (number.parse().unwrap(), state)
    };
    text.split_whitespace().map(decision).collect()
}

#[test]
fn what_the_books_know_is_settled_and_the_rest_published_within_the_budget() {
    for line in TABLE.lines().filter(|line| line.contains('|')) {
        let cells: Vec<_> = line.split('|').collect();
        let [holds, decided, budget, settled, wanted] = cells[..] else { panic!("{line}") };
        let numbers = |text: &str| -> Vec<u8> {
            text.split_whitespace().map(|number| number.parse().unwrap()).collect()
        };
        let known = known(&decisions(decided), Some(10));
        let plan = plan(due(numbers(holds)), &known, budget.trim().parse().unwrap());
        let settled = decisions(settled).into_iter();
        let settled: Vec<_> = settled.map(|(number, state)| (order(number), state)).collect();
        assert_eq!(plan.settle, settled, "{line}");
        let wanted: Vec<_> = numbers(wanted).into_iter().map(order).collect();
        assert_eq!(published(&plan), wanted, "{line}");
        assert!(!plan.books_are_older, "{line}");
    }
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
    let Command::HoldsPlaced { epoch: of, item: told, holds } = record.command else {
        panic!("holds")
    };
    assert_eq!(told, None, "the ledger doesn't know it");
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

        for Group { holds, places } in &plan.publish {
            prop_assert!((1..=RECORD_HOLDS).contains(&holds.len()));
            let of = |place: &Place| place.order;
            prop_assert!(holds.iter().map(|hold| hold.order).eq(places.iter().map(of)));
        }
        let published = published(&plan);
        prop_assert!(published.len() <= budget);
        let unknown = due.holds.iter().map(|open| open.hold.order);
        let unknown: Vec<_> = unknown.filter(|order| !known.decided.contains_key(order)).collect();
        prop_assert_eq!(published.as_slice(), &unknown[..budget.min(unknown.len())]);
        prop_assert_eq!(plan.settle.len() + unknown.len(), due.holds.len());
        prop_assert_eq!(published.len() + plan.left, unknown.len());
    }

    #[test]
    fn no_unit_of_a_due_hold_is_lost_or_doubled(
        quantities in proptest::collection::vec(1u32..5, 0..256),
        decided in proptest::collection::vec(any::<u8>(), 0..40),
        budget in 0usize..300,
    ) {
        let mut due = due((0u8..=255).take(quantities.len()));
        for (open, quantity) in due.holds.iter_mut().zip(&quantities) {
            open.hold.quantity = *quantity;
        }
        let decided: Vec<_> = decided.into_iter().map(|n| (n, Settled::Placed)).collect();
        let plan = plan(due.clone(), &known(&decided, Some(10)), budget);

        let units: HashMap<_, _> =
            due.holds.iter().map(|open| (open.hold.order, u64::from(open.hold.quantity))).collect();
        let published = published(&plan);
        let mut left = units.clone();
        let touched = plan.settle.iter().map(|(order, _)| order).chain(&published);
        for order in touched {
            left.remove(order);
        }
        for order in units.keys() {
            let settled = plan.settle.iter().filter(|(settled, _)| settled == order).count();
            let sent = published.iter().filter(|sent| *sent == order).count();
            law::one_row(*order, (settled + sent) as u64).unwrap();
        }
        prop_assert!(left.is_empty() || published.len() == budget, "left though there was room");
        let open = published.iter().map(|order| units[order]).chain(left.into_values()).sum();
        let live = plan.settle.iter().map(|(order, _)| units[order]).sum();
        let conserved = law::Units { open, live, ..law::Units::default() };
        law::nothing_leaks(units.values().sum(), conserved).unwrap();
    }
}
