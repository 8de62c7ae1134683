//! When an open hold is due, also after the clock jumped back.

use ids::ShardNo;
use proptest::prelude::*;

use super::*;

fn place(attempts: u8, since_ms: u64, name: u8) -> Place {
    Place { attempts, since_ms, order: OrderId::mint(ShardNo::new(1).unwrap(), [name; 12]) }
}

fn waiting(places: &[Place]) -> Waiting {
    let mut waiting = Waiting::default();
    places.iter().for_each(|place| waiting.insert(*place));
    waiting
}

#[test]
fn patience_ends_on_the_millisecond() {
    let places = [place(0, 1_000, 1), place(1, 1_000, 2), place(6, 1_000, 3)];
    let waiting = waiting(&places);
    for (now_ms, count) in [(5_999, 0), (6_000, 1), (10_999, 1), (11_000, 2), (301_000, 3)] {
        assert_eq!(waiting.due(now_ms, 9), places[..count], "at {now_ms}");
    }
}

#[test]
fn the_longest_overdue_comes_first_and_the_future_before_it() {
    let waiting = waiting(&[
        place(0, 90_001, 1),
        place(0, 50_000, 2),
        place(3, 10_000, 3),
        place(2, 95_000, 4),
        place(0, 85_000, 5),
    ]);
    // Due since: 55 s, 50 s, 90 s. From the future: 90.001 s and 95 s.
    let wanted =
        [place(0, 90_001, 1), place(2, 95_000, 4), place(3, 10_000, 3), place(0, 50_000, 2)];
    assert_eq!(waiting.due(90_000, 4), wanted);
    assert_eq!(waiting.due(90_000, 3), wanted[..3]);
    assert_eq!(waiting.due(90_000, 9).last(), Some(&place(0, 85_000, 5)));
}

#[test]
fn a_place_that_is_left_is_empty() {
    let mut waiting = waiting(&[place(0, 1, 1), place(1, 1, 1)]);
    waiting.remove(place(0, 1, 1));
    assert_eq!(waiting.page(None, 9), [place(1, 1, 1)]);
    assert_eq!(waiting.due(u64::MAX, 9), [place(1, 1, 1)]);
}

proptest! {
    #[test]
    fn pages_show_each_place_once_in_order(
        places in prop::collection::btree_set((0u8..=ATTEMPTS_MAX, 0u64..5, 0u8..20), 0..60),
        limit in 1usize..7,
    ) {
        let places = places.into_iter();
        let places: Vec<_> = places.map(|(n, since, name)| place(n, since, name)).collect();
        let waiting = waiting(&places);
        let mut seen: Vec<Place> = Vec::new();
        loop {
            let page = waiting.page(seen.last().copied(), limit);
            seen.extend(&page);
            if page.len() < limit {
                break;
            }
        }
        let mut wanted = places;
        wanted.sort_unstable();
        prop_assert_eq!(seen, wanted);
    }
}
