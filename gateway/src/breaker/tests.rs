//! When a breaker opens, whom it lets through, and what closes it.

use super::*;

const RULES: Rules = Rules {
    window: Duration::from_secs(1),
    calls_min: 10,
    failed_percent: 50,
    slow: Duration::from_millis(500),
    slow_percent: 80,
    open_for: Duration::from_millis(300),
    open_for_max: Duration::from_secs(1),
    probes: 2,
};

const FAST: Fared = Fared::Answered(Duration::from_millis(5));
const SLOW: Fared = Fared::Answered(Duration::from_millis(500));

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
    assert!(breaker.is_open(at(0)) && !breaker.admits(at(299)));
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
fn slow_answers_open_it_too() {
    let mut breaker = Breaker::new(RULES);
    saw(&mut breaker, FAST, 3, 0);
    saw(&mut breaker, SLOW, 11, 0);
    assert!(breaker.admits(at(0)));
    breaker.saw(SLOW, at(0));
    assert!(!breaker.admits(at(0)));
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let mut breaker = Breaker::new(RULES);
    for ms in (0..10_000).step_by(200) {
        saw(&mut breaker, Fared::Failed, 1, ms);
        assert!(breaker.admits(at(ms)), "5 or 6 a window at {ms}");
    }
    saw(&mut breaker, Fared::Failed, 9, 60_000);
    assert!(breaker.admits(at(60_000)));
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
    assert!(!breaker.admits(at(599)));
    assert!(breaker.admits(at(600)));
}

#[test]
fn answers_from_before_it_opened_change_nothing() {
    let mut breaker = opened();
    saw(&mut breaker, FAST, 100, 1);
    assert!(breaker.is_open(at(299)));
}
