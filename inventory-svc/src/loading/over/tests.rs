//! Clocks that jump, and what they don't decide.

use super::*;

const LONG: Duration = Duration::from_secs(300);

fn at(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

#[test]
fn a_sale_is_over_once_it_was_seen_so_all_the_while() {
    let mut seen = SeenOver::default();
    assert!(!seen.is_over(shard(1), at(1_000), Duration::ZERO), "never seen");
    seen.look(at(1_000), &[shard(1)]);
    seen.look(at(1_200), &[shard(1), shard(2)]);
    assert!(!seen.is_over(shard(1), at(1_299), LONG));
    assert!(seen.is_over(shard(1), at(1_300), LONG));
    assert!(!seen.is_over(shard(2), at(1_499), LONG));
    assert!(seen.is_over(shard(2), at(1_500), LONG));
}

#[test]
fn a_clock_that_is_put_right_begins_anew() {
    let mut seen = SeenOver::default();
    seen.look(at(1_000), &[shard(1)]);
    seen.look(at(1_299), &[]);
    seen.look(at(1_300), &[shard(1)]);
    assert!(!seen.is_over(shard(1), at(1_301), LONG));
    assert!(seen.is_over(shard(1), at(1_600), LONG));
}

#[test]
fn a_clock_that_goes_as_time_does_has_not_jumped() {
    let mut pace = Pace::default();
    assert_eq!(pace.look(at(100), 1_000_000), None, "the first look");
    assert_eq!(pace.look(at(101), 1_001_000), None);
    assert_eq!(pace.look(at(102), 1_011_999), None, "late answers");
    assert_eq!(pace.look(at(102), 4_611_999), Some(3_600_000));
    assert_eq!(pace.look(at(103), 1_012_999), Some(-3_600_000));
    assert_eq!(pace.look(at(104), 1_013_999), None);
}
