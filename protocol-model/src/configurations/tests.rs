//! The small worlds are searched in each run of the tests, and stateright's own checker agrees.

use std::time::Duration;

use stateright::{Checker as _, Model as _};

use super::*;
use crate::{Bounds, Found, Judged, Protocol, search};

const BOUNDS: Bounds =
    Bounds { states_max: 1_000_000, time_max: Duration::from_secs(600), names_matter: false };

fn found(settings: Settings) -> Found {
    search(&Protocol::new(settings), Judged::All, BOUNDS)
}

/// A few groups, so that two cores share them.
#[track_caller]
fn keeps_the_law(group: usize) {
    const GROUPS: usize = 3;
    let mut states = 0;
    for settings in small().into_iter().skip(group).step_by(GROUPS) {
        let name = settings.name;
        let found = found(settings);
        assert!(found.violations.is_empty(), "{name}: {found:?}");
        assert!(!found.is_truncated, "{name} is too large for a test");
        assert_eq!(found.stuck, 0, "{name}: no way to a good end: {found:?}");
        assert!(found.good_ends > 0, "{name}: nothing ever ends well, so nothing was judged");
        states += found.states;
    }
    assert!(states > 1_000, "{states} worlds are no search");
}

#[test]
fn small_worlds_keep_the_law() {
    keeps_the_law(0);
}

#[test]
fn more_small_worlds_keep_the_law() {
    keeps_the_law(1);
}

#[test]
fn still_more_small_worlds_keep_the_law() {
    keeps_the_law(2);
}

/// In worlds where each attempt leaves a trace: else the names of epochs, which matter here,
/// depend on which of two equal worlds was seen first.
#[test]
fn stateright_sees_as_many_worlds_and_nothing_broken() {
    for name in ["no faults", "two units", "a fail-over", "a lost tail", "a split, GetOrder"] {
        let named = |settings: &Settings| settings.name == name;
        let settings = small().into_iter().find(named).expect("one of that name");
        let bounds = Bounds { names_matter: true, ..BOUNDS };
        let ours = search(&Protocol::new(settings.clone()), Judged::All, bounds);
        let theirs = Protocol::new(settings).checker().threads(2).spawn_bfs().join();
        theirs.assert_properties();
        assert_eq!(theirs.unique_state_count(), ours.states, "{name}");
    }
}

#[test]
fn names_are_told_apart() {
    let all: Vec<_> = small().into_iter().chain(large()).map(|settings| settings.name).collect();
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}
