//! Who loses its turn, and gets it back: a table of what was seen, one word a call.

use super::*;

const QUICK: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_secs(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Whether it is in turn after these calls at `now`; others usually take [`QUICK`].
fn after(standing: &mut Standing, calls: &str, now: Duration) -> bool {
    for call in calls.split_whitespace() {
        let fared = match call {
            "quick" => Fared::Answered(QUICK),
            "slow" => Fared::Answered(SLOW),
            "failed" => Fared::Failed,
            "unable" => Fared::Unable,
            "left" => Fared::Left(ms(20)),
            "left-late" => Fared::Left(ms(1_500)),
            "unheard" => Fared::Silent(ms(20)),
            "silent" => Fared::Silent(ms(1_500)),
            word => panic!("no such word: {word}"),
        };
        standing.called(now);
        standing.saw(fared, Some(QUICK), now);
    }
    standing.is_in_turn(now)
}

#[test]
fn only_what_the_instance_does_costs_the_turn() {
    let check = |calls: &str, wanted| {
        assert_eq!(after(&mut Standing::default(), calls, ms(10)), wanted, "{calls}");
    };
    check("quick quick", true);
    check("failed failed failed failed", true);
    check("failed failed failed failed failed", false);
    check("failed failed failed failed quick failed", true);
    check("quick unable", false);
    check("quick silent", false);
    check("quick quick slow slow", false);
    check("quick quick left-late left-late", false);
    // Callers may leave as early and as often as they like.
    let impatient = "left unheard ".repeat(100);
    check(&impatient, true);
}

#[test]
fn who_is_as_slow_as_all_others_keeps_the_turn() {
    let mut standing = Standing::default();
    for _ in 0..10 {
        standing.saw(Fared::Answered(SLOW), Some(SLOW), ms(1));
    }
    assert!(standing.is_in_turn(ms(1)));
    let mut alone = Standing::default();
    assert!(!alone.saw(Fared::Answered(SLOW), None, ms(1)), "nobody is quicker");
}

#[test]
fn a_turn_is_lost_for_longer_each_time_and_given_back_by_one_answer() {
    let mut standing = Standing::default();
    let mut now = ms(0);
    for length in [500, 1_000, 2_000, 4_000, 8_000, 8_000] {
        assert!(!after(&mut standing, "unable", now), "{length}");
        assert!(!standing.is_in_turn(now + ms(length - 1)), "{length}");
        now += ms(length);
        assert!(standing.is_in_turn(now), "{length}");
    }
    assert!(after(&mut standing, "quick", now));
    // So soon again: it isn't forgotten.
    assert!(!after(&mut standing, "unable", now));
    assert!(!standing.is_in_turn(now + ms(7_999)));
    now += ms(8_000);
    assert!(after(&mut standing, "quick", now));
    now += OUT_MAX;
    assert!(!after(&mut standing, "unable", now));
    assert!(standing.is_in_turn(now + OUT_FIRST), "it was well for long");
}

#[test]
fn one_call_probes_and_if_it_never_tells_another_may_later() {
    let mut standing = Standing::default();
    after(&mut standing, "unable", ms(0));
    assert!(standing.is_in_turn(ms(500)));
    standing.called(ms(500));
    assert!(!standing.is_in_turn(ms(2_499)));
    assert!(standing.is_in_turn(ms(2_500)));
    // A slow answer is no good one, even if it is the first.
    standing.called(ms(2_500));
    assert!(standing.saw(Fared::Answered(SLOW), Some(QUICK), ms(2_500)));
    assert!(!standing.is_in_turn(ms(3_499)));
}

#[test]
fn who_says_that_it_is_well_again_is_looked_at_at_once() {
    let mut standing = Standing::default();
    after(&mut standing, "unable", ms(0));
    standing.look_again(ms(1));
    assert!(standing.is_in_turn(ms(1)));
    assert!(!after(&mut standing, "unable", ms(1)), "its word alone is not enough");
}
