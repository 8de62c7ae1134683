//! Seeded walks: any log, cut into any batches, with any earlier part of it read again, gives the
//! same books as the log read once, record by record, and never breaks the law.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::Index};

use super::rows::{Rows, entry, epoch, hold, opened, order, shard, user};
use crate::fold::Entry;
use ids::ShardNo;
use journal::record::{Command, Record};

/// The shards are parts of one item, which has one limit.
const LIMIT: u32 = 3;

/// Few names of everything, so that they meet often.
fn content() -> impl Strategy<Value = Option<(ShardNo, Command)>> {
    let shards = (1..=2u32).prop_map(shard);
    let holds = (1..=4i64, prop::collection::vec((0..12u8, 0..4u8, 1..=3u32), 1..6));
    prop_oneof![
        1 => Just(None),
        2 => (shards.clone(), 1..=6u32).prop_map(|(shard, total)| {
            Some((shard, opened(total, LIMIT)))
        }),
        3 => (shards.clone(), 0..=4i64, 1..=4i64).prop_map(|(shard, from, to)| {
            let (from, to) = (epoch(from), epoch(to).unwrap());
            Some((shard, Command::EpochChanged { from, to }))
        }),
        8 => (shards, holds).prop_map(|(shard, (of, holds))| {
            let holds = holds.into_iter().map(|(id, who, n)| hold(order(shard, id), user(who), n));
            let epoch = epoch(of).unwrap();
            Some((shard, Command::HoldsPlaced { epoch, item: None, holds: holds.collect() }))
        }),
    ]
}

fn any_log() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(content(), 0..60).prop_map(|contents| {
        (0..).zip(contents).map(|(offset, content)| entry(offset, content)).collect()
    })
}

/// A log as the suite writes it. An epoch is used once, ever (law B), and nobody names a row or an
/// epoch that the books haven't shown: what would is taken out.
fn lawful_log() -> impl Strategy<Value = Vec<Entry>> {
    any_log().prop_map(|log| {
        let mut rows = Rows::default();
        let mut named = BTreeSet::new();
        let mut shown = BTreeSet::new();
        let is_lawful = |entry: &Entry| {
            let is_lawful = match &entry.decoded {
                Ok(Record { shard, command: Command::EpochChanged { from, to }, .. }) => {
                    shown.contains(&(*shard, *from)) && named.insert((*shard, *to))
                }
                Ok(Record { shard, command: Command::HoldsPlaced { epoch, .. }, .. }) => {
                    shown.contains(&(*shard, Some(*epoch)))
                }
                Ok(_) | Err(_) => true,
            };
            if is_lawful {
                rows.apply(std::slice::from_ref(entry));
                shown.extend(rows.guards.values().map(|guard| (guard.shard, guard.open_epoch)));
            }
            is_lawful
        };
        log.into_iter().filter(is_lawful).collect()
    })
}

fn one_by_one(log: &[Entry]) -> Rows {
    let mut rows = Rows::default();
    for entry in log {
        rows.apply(std::slice::from_ref(entry));
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_borders_of_batches_do_not_matter(
        log in any_log(),
        lengths in prop::collection::vec(0..12usize, 0..20),
    ) {
        let mut rows = Rows::default();
        let mut rest = log.as_slice();
        for length in lengths {
            let (batch, later) = rest.split_at(length.min(rest.len()));
            rows.apply(batch);
            rest = later;
        }
        rows.apply(rest);
        prop_assert_eq!(rows, one_by_one(&log));
    }

    #[test]
    fn replays_from_earlier_places_change_nothing(
        log in lawful_log(),
        steps in prop::collection::vec((any::<Index>(), any::<Option<Index>>()), 0..20),
    ) {
        let mut rows = Rows::default();
        let mut at = 0;
        for (length, replay_from) in steps {
            if let Some(place) = replay_from {
                at = place.index(at + 1);
            }
            let next = at + length.index(log.len() - at + 1);
            rows.apply(&log[at..next]);
            at = next;
        }
        rows.apply(&log[at..]);
        prop_assert_eq!(rows, one_by_one(&log));
    }

    #[test]
    fn a_log_without_a_lying_ledger_has_no_refusals(log in any_log()) {
        // A ledger that admits by the same rules: what it would refuse never reaches the log.
        let mut rows = Rows::default();
        let mut honest = Vec::new();
        for entry in log {
            let mut trial = rows.clone();
            if trial.apply(std::slice::from_ref(&entry)).alarms.is_empty() {
                rows = trial;
                honest.push(entry);
            }
        }
        let mut again = Rows::default();
        let outcome = again.apply(&honest);
        prop_assert_eq!(outcome.alarms, vec![]);
        prop_assert_eq!(again, rows);
    }
}
