//! When a breaker opens, whom it lets through, and what closes it; and that with the settings as
//! shipped each of them can open, whatever a store does and however few ask.

use super::*;
use crate::config::Config;

const RULES: Rules = Rules {
    window: Duration::from_secs(1),
    calls_min: 10,
    failed_percent: 50,
    slow: Duration::from_millis(500),
    silent_calls_min: 3,
    open_for: Duration::from_millis(300),
    open_for_max: Duration::from_secs(1),
    probes: 2,
};

const FAST: Fared = Fared::Answered;
const SLOW: Fared = Fared::Late;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn saw(breaker: &mut Breaker, fared: Fared, count: u32, now: u64) {
    (0..count).for_each(|_| breaker.saw(fared, at(now)));
}

/// One that has just opened, at 0.
fn opened() -> Breaker {
    let mut breaker = Breaker::new(RULES);
    saw(&mut breaker, Fared::Failed, 10, 0);
    assert!(breaker.is_open() && !breaker.admits(at(299)));
    breaker
}

#[test]
fn half_of_the_calls_without_an_answer_open_it() {
    let mut breaker = Breaker::new(RULES);
    saw(&mut breaker, FAST, 6, 0);
    saw(&mut breaker, Fared::Failed, 5, 0);
    assert!(breaker.admits(at(0)), "5 of 11");
    breaker.saw(Fared::Failed, at(0));
    assert!(!breaker.admits(at(0)), "6 of 12");
}

#[test]
fn few_calls_prove_nothing() {
    let mut breaker = Breaker::new(RULES);
    saw(&mut breaker, Fared::Failed, 9, 0);
    assert!(breaker.admits(at(0)));
}

#[test]
fn half_of_the_calls_late_open_it_and_so_do_few_in_a_row() {
    let mut breaker = Breaker::new(RULES);
    for _ in 0..3 {
        saw(&mut breaker, SLOW, 2, 0);
        saw(&mut breaker, FAST, 1, 0);
    }
    assert!(breaker.admits(at(0)), "6 of 9");
    breaker.saw(SLOW, at(0));
    assert!(!breaker.admits(at(0)), "7 of 10");

    let mut breaker = Breaker::new(RULES);
    saw(&mut breaker, FAST, 100, 0);
    saw(&mut breaker, SLOW, 2, 1);
    assert!(breaker.admits(at(1)));
    breaker.saw(SLOW, at(1));
    assert!(!breaker.admits(at(1)), "3 without an answer between");
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let mut breaker = Breaker::new(RULES);
    for ms in (0..60_000).step_by(2_000) {
        saw(&mut breaker, Fared::Failed, 6, ms);
        saw(&mut breaker, FAST, 3, ms);
        assert!(breaker.admits(at(ms)), "6 of 9 a window at {ms}");
    }
    saw(&mut breaker, Fared::Failed, 6, 58_001);
    assert!(!breaker.admits(at(58_001)), "12 of 15");
}

#[test]
fn failures_without_an_answer_between_open_it_however_far_apart() {
    let mut breaker = Breaker::new(RULES);
    for call in 1..=10 {
        assert!(breaker.admits(at(60_000 * call)));
        breaker.saw(Fared::Failed, at(60_000 * call));
    }
    assert!(!breaker.admits(at(600_000)));
}

#[test]
fn who_was_let_in_before_it_opened_is_no_probe() {
    let mut breaker = opened();
    assert!(breaker.would_admit(at(300)) && breaker.is_open(), "until a probe is let through");
    assert!(breaker.admits(at(300)) && !breaker.is_open());
}

#[test]
fn a_probe_that_had_nothing_to_ask_makes_place_for_another() {
    let mut breaker = opened();
    assert!(breaker.admits(at(300)) && breaker.admits(at(300)));
    assert!(!breaker.admits(at(300)));
    breaker.was_not_asked();
    assert!(breaker.admits(at(300)) && !breaker.admits(at(300)));
}

#[test]
fn probes_that_are_answered_close_it() {
    let mut breaker = opened();
    assert!(breaker.admits(at(300)) && breaker.admits(at(300)), "two probes");
    assert!(!breaker.admits(at(300)));
    breaker.saw(FAST, at(310));
    assert!((0..100).all(|_| breaker.admits(at(310))));
    saw(&mut breaker, Fared::Failed, 9, 311);
    assert!(breaker.admits(at(311)), "what was before doesn't count again");
}

#[test]
fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound() {
    let (mut breaker, mut now) = (opened(), 0);
    for length in [300, 600, 1000, 1000] {
        assert!(!breaker.admits(at(now + length - 1)), "{length}");
        now += length;
        assert!(breaker.admits(at(now)));
        breaker.saw(Fared::Failed, at(now));
    }
}

#[test]
fn probes_that_never_tell_make_place_for_others() {
    let mut breaker = opened();
    assert!(breaker.admits(at(300)) && breaker.admits(at(300)));
    assert!(!breaker.admits(at(1_099)), "they aren't late yet");
    assert!(breaker.admits(at(1_100)));
}

#[test]
fn answers_from_before_it_opened_change_nothing() {
    let mut breaker = opened();
    saw(&mut breaker, FAST, 100, 1);
    assert!(breaker.is_open());
}

/// What a store does to calls.
enum Store {
    /// Nothing, up to their time-out.
    Silent { timeout: Duration },
    /// It fails them at once; one comes as often as this.
    Failing { every: Duration },
}

/// How many calls a store has got when its breaker opens, and after how long, if nothing is under
/// way but one shard's batches.
fn opens_after(store: &Store, rules: Rules, in_flight_max: usize) -> (u32, Duration) {
    let mut breaker = Breaker::new(rules);
    match *store {
        Store::Silent { timeout } => {
            for round in 0..100_u32 {
                let late_at = timeout * round + rules.slow.min(timeout / 3 * 2);
                for _ in 0..in_flight_max {
                    breaker.saw(Fared::Late, late_at);
                }
                if breaker.is_open() {
                    let calls = (round + 1) * u32::try_from(in_flight_max).unwrap();
                    return (calls, late_at);
                }
            }
        }
        Store::Failing { every } => {
            for call in 0..1_000 {
                breaker.saw(Fared::Failed, every * call);
                if breaker.is_open() {
                    return (call + 1, every * call);
                }
            }
        }
    }
    panic!("it never opens");
}

/// The table of ARCHITECTURE.md, "Each limit can do what it is for".
#[test]
fn with_the_settings_as_shipped_each_can_open_and_soon() {
    let config = Config::load(None).unwrap();
    let in_flight_max = config.purchase.batches_in_flight_max;
    let rules = config.breakers.rules(in_flight_max);
    let append = at(config.journal.message_timeout_ms.into());
    // Of the usual lease, and of the shortest (`batches::reserve_limit`).
    let (reserve, hasty) = (at(1500), at(750));
    let busy = Store::Failing { every: at(10) };
    let idle = Store::Failing { every: at(60_000) };
    for (name, store, calls, within) in [
        ("journal, silent", Store::Silent { timeout: append }, 2, at(1000)),
        ("inventory-svc, silent", Store::Silent { timeout: reserve }, 2, at(1000)),
        ("inventory-svc, silent, a short lease", Store::Silent { timeout: hasty }, 2, at(500)),
        ("either, failing, busy", busy, 10, at(90)),
        ("either, failing, a call a minute", idle, 10, at(540_000)),
    ] {
        let (after, at) = opens_after(&store, rules, in_flight_max);
        assert!(after <= calls && at <= within, "{name}: {after} calls, {at:?}");
    }
    let alone = Store::Silent { timeout: append };
    assert_eq!(opens_after(&alone, config.breakers.rules(1), 1), (1, at(1000)), "one at a time");
    // What was under way when it opened has ended before anybody is let through again.
    assert!(rules.open_for >= append - rules.slow && rules.open_for >= reserve - rules.slow);
}
