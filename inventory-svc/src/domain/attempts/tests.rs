//! How long an attempt lasts, what bars it, and clocks that step back.

use ids::ShardNo;

use super::*;

fn order(number: u32) -> OrderId {
    let mut hash = [0; 12];
    hash[8..].copy_from_slice(&number.to_be_bytes());
    OrderId::mint(ShardNo::new(1).unwrap(), hash)
}

#[test]
fn an_attempt_lasts_so_long() {
    let attempts = Attempts::default();
    for (placed_us, now_us, may) in [
        (1, 1, true),
        (1, ATTEMPT_LASTS_US, true),
        (1, ATTEMPT_LASTS_US + 1, false),
        (0, 1, false),
        (PLACED_NOBODY_SAYS, u64::MAX - 1, true),
    ] {
        assert_eq!(attempts.may_hold(order(1), placed_us, now_us), may, "{placed_us} {now_us}");
    }
}

#[test]
fn a_bar_outlasts_every_attempt_before_it_and_none_after() {
    let mut attempts = Attempts::since(100);
    assert!(!attempts.may_hold(order(1), 100, 101), "nobody knows what was said before");
    for number in 0..40 {
        let now_us = 1_000_000 * u64::from(number) + 1_000;
        assert!(attempts.bar(order(number), now_us));
        for (earlier, at) in (0..=number).map(|name| (name, 1_000_000 * u64::from(name))) {
            assert!(!attempts.may_hold(order(earlier), at + 1_000, now_us), "{earlier}");
        }
        assert!(attempts.may_hold(order(number), now_us + 1, now_us + 1));
    }
    let kept = attempts.young.len() + attempts.old.len();
    assert!(kept <= 20, "{kept} are kept");
}

#[test]
fn bars_are_bounded_and_who_finds_no_room_is_told() {
    let mut attempts = Attempts::since(1);
    let room = u32::try_from(BARS_MAX).unwrap();
    assert!((0..room).all(|number| attempts.bar(order(number), 5)));
    assert!(!attempts.bar(order(room), 6));
    assert!(attempts.bar(order(0), 6), "one that is there already needs no room");
    assert!(attempts.bar(order(room), 1 + ATTEMPT_LASTS_US));
}

#[test]
fn a_small_step_back_is_smoothed_over_and_a_large_one_refused() {
    let mut attempts = Attempts::default();
    assert_eq!(attempts.time_at(5_000_000), Ok(5_000_000));
    assert_eq!(attempts.time_at(4_000_000), Ok(5_000_000));
    assert_eq!(attempts.time_at(3_999_999), Err(ClockBack));
    assert_eq!(attempts.time_at(5_000_001), Ok(5_000_001));
}
