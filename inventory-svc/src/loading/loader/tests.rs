//! Which shards are loaded, by what the catalog's primary shows of them.

use super::*;

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn row(phase: Phase, number: i64) -> Shard {
    Shard {
        no: ShardNo::new(1).unwrap(),
        partition: 1,
        total_units: 10,
        lease: Duration::from_secs(2),
        phase,
        epoch: Epoch::from_wire(number).unwrap(),
        paused: false,
    }
}

#[test]
fn a_load_needs_what_the_primary_shows() {
    let fenced = |number| Cause::Requested(Why::Fenced(epoch(number)));
    let check = |phase, number, cause, mine: &[i64], wanted| {
        let mine: Vec<_> = mine.iter().map(|number| epoch(*number)).collect();
        let row = row(phase, number);
        assert_eq!(is_wanted(&row, cause, &mine), wanted, "{phase:?} {number} {cause:?} {mine:?}");
    };
    check(Phase::New, 0, Cause::Opening, &[], true);
    check(Phase::New, 0, Cause::Opening, &[5], true);
    check(Phase::New, 0, fenced(5), &[], false);
    check(Phase::Open, 5, fenced(5), &[], true);
    // A claim whose answer was lost and that was never made.
    check(Phase::Open, 5, fenced(5), &[6], true);
    // It was loaded again since.
    check(Phase::Open, 6, fenced(5), &[], false);
    check(Phase::Open, 5, Cause::Opening, &[], false);
    check(Phase::Loading, 6, fenced(5), &[], false);
    check(Phase::Loading, 6, fenced(5), &[6], true);
    check(Phase::Loading, 6, fenced(5), &[6, 7], true);
    check(Phase::Loading, 8, fenced(5), &[6, 7], false);
    check(Phase::Loading, 8, Cause::Abandoned, &[], true);
    check(Phase::Loading, 8, Cause::Abandoned, &[6], false);
    check(Phase::Retired, 5, fenced(5), &[], false);
    check(Phase::Retired, 5, Cause::Opening, &[], false);
}
