//! Who waits for whose failures.

use chassis::ClockShift;

use super::*;
use crate::Config;

const PAIR_MAX: u32 = 3;
const ACCOUNT_MAX: u32 = 6;
const NEIGHBOURHOOD_MAX: u32 = 9;

fn lockout() -> (Arc<Lockout>, ClockShift) {
    let patience = |failures_max| Patience {
        failures_max,
        forgiven_after: Duration::from_secs(600),
        first_wait: Duration::from_secs(1),
        wait_max: Duration::from_secs(60),
    };
    let rules = LockoutRules {
        pair: patience(PAIR_MAX),
        account: patience(ACCOUNT_MAX),
        neighbourhood: patience(NEIGHBOURHOOD_MAX),
        home: Duration::from_secs(1_000),
        entries_max: 1_000,
    };
    let (clock, shift) = Clock::adjustable();
    (Lockout::new(rules, clock), shift)
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.org")).unwrap()
}

/// The neighbourhood with this number.
fn at(number: u8) -> From {
    Some(Neighbourhood::of(std::net::Ipv4Addr::new(192, 0, number, 1).into()))
}

fn fail(lockout: &Arc<Lockout>, name: &str, from: From) {
    lockout.begin(&email(name), from).unwrap_or_else(|_| panic!("{name} may try")).failed();
}

fn is_waiting(lockout: &Arc<Lockout>, name: &str, from: From) -> bool {
    lockout.begin(&email(name), from).is_err()
}

#[test]
fn failures_from_one_place_wait_there_and_nowhere_else() {
    let (lockout, shift) = lockout();
    for _ in 0..PAIR_MAX {
        fail(&lockout, "ann", at(1));
    }
    assert!(is_waiting(&lockout, "ann", at(1)));
    assert!(!is_waiting(&lockout, "ann", at(2)), "from elsewhere");
    assert!(!is_waiting(&lockout, "ann", None), "from nobody knows where");
    assert!(!is_waiting(&lockout, "bob", at(1)), "somebody else");
    shift.jump(Duration::from_secs(1));
    assert!(!is_waiting(&lockout, "ann", at(1)), "a second later");
    fail(&lockout, "ann", at(1));
    shift.jump(Duration::from_secs(1));
    assert!(is_waiting(&lockout, "ann", at(1)), "twice as long");
}

#[test]
fn failures_from_many_places_wait_everywhere_but_at_home() {
    let (lockout, _) = lockout();
    lockout.begin(&email("ann"), at(1)).ok().unwrap().succeeded();
    for place in 2..2 + u8::try_from(ACCOUNT_MAX).unwrap() {
        fail(&lockout, "ann", at(place));
    }
    assert!(is_waiting(&lockout, "ann", at(100)));
    assert!(!is_waiting(&lockout, "ann", at(1)), "nobody locks her out of her home");
    for _ in 0..PAIR_MAX {
        fail(&lockout, "ann", at(1));
    }
    assert!(is_waiting(&lockout, "ann", at(1)), "but guesses from there count");
}

#[test]
fn failures_at_many_accounts_wait_for_the_neighbourhood() {
    let (lockout, _) = lockout();
    lockout.begin(&email("ann"), at(1)).ok().unwrap().succeeded();
    for victim in 0..NEIGHBOURHOOD_MAX {
        fail(&lockout, &format!("victim-{victim}"), at(1));
    }
    assert!(is_waiting(&lockout, "eve", at(1)));
    assert!(!is_waiting(&lockout, "eve", at(2)));
    assert!(!is_waiting(&lockout, "ann", at(1)), "she lives there");
}

/// The table of ARCHITECTURE.md, "Each limit can do what it is for".
#[test]
fn with_the_settings_as_shipped_each_kind_of_failures_waits_in_the_end() {
    let rules = Config::load(None).unwrap().lockout.rules();
    type Try = fn(u8) -> (String, From);
    let one: Try = |_| ("ann".to_owned(), at(1));
    let anywhere: Try = |number| ("ann".to_owned(), at(number));
    let anybody: Try = |number| (format!("victim-{number}"), at(1));
    for (what, who, failures) in
        [("pair", one, 5), ("account", anywhere, 50), ("all", anybody, 100)]
    {
        let lockout = Lockout::new(rules, Clock::adjustable().0);
        for number in 0..failures {
            let (name, from) = who(number);
            fail(&lockout, &name, from);
        }
        let (name, from) = who(failures);
        assert!(is_waiting(&lockout, &name, from), "{what}: after {failures}");
    }
}

#[test]
fn many_at_once_get_no_more_tries_than_one_after_the_other() {
    let (lockout, _) = lockout();
    let tries = (0..20).map(|_| lockout.begin(&email("ann"), at(1)));
    let allowed: Vec<_> = tries.filter_map(Result::ok).collect();
    assert_eq!(allowed.len(), PAIR_MAX as usize);
}

#[test]
fn a_try_without_a_result_was_none() {
    let (lockout, _) = lockout();
    for _ in 0..20 {
        drop(lockout.begin(&email("ann"), at(1)));
    }
    assert!(!is_waiting(&lockout, "ann", at(1)));
}

#[test]
fn who_signs_in_begins_anew() {
    let (lockout, _) = lockout();
    for _ in 0..4 {
        for _ in 1..PAIR_MAX {
            fail(&lockout, "ann", at(1));
        }
        lockout.begin(&email("ann"), at(1)).ok().unwrap().succeeded();
    }
    assert!(!is_waiting(&lockout, "ann", at(1)));
}
