//! The order in which open holds wait for the books: an index by time with the back-off kept in it,
//! so that looking for overdue holds costs what is found and not what is open. It knows ids and
//! times only.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use ids::OrderId;

use super::hold::{ATTEMPTS_MAX, patience_ms};

/// Where a hold waits. Places are ordered: a hold that is put off moves behind all that it was
/// ahead of, so a walk through the places in order misses none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// How often it was put off, counted up to [`ATTEMPTS_MAX`].
    pub attempts: u8,
    /// Since when it waits, by the ledger's clock.
    pub since_ms: u64,
    /// Whose place it is.
    pub order: OrderId,
}

/// All places, one row for each number of attempts: within a row all wait equally long, so those
/// that are due stand at its front, and those from the future at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Waiting {
    rows: [BTreeSet<(u64, OrderId)>; ATTEMPTS_MAX as usize + 1],
}

impl Waiting {
    pub(super) fn insert(&mut self, place: Place) {
        self.rows[usize::from(place.attempts)].insert((place.since_ms, place.order));
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.rows[usize::from(place.attempts)].remove(&(place.since_ms, place.order));
    }

    /// Places that waited long enough by `now_ms`, the longest overdue first, at most `limit`.
    /// Those that lie in the future come first of all: the clock jumped back, and nobody can tell
    /// how long they have been waiting.
    pub(super) fn due(&self, now_ms: u64, limit: usize) -> Vec<Place> {
        let mut due = Vec::new();
        for (attempts, row) in (0..).zip(&self.rows) {
            let patience = patience_ms(attempts);
            let place = |&(since_ms, order): &_| Place { attempts, since_ms, order };
            let future = row.iter().rev().take_while(|(since_ms, _)| *since_ms > now_ms);
            due.extend(future.take(limit).map(|entry| (0, place(entry))));
            let is_over = |since_ms: u64| since_ms.saturating_add(patience) <= now_ms;
            let over = row.iter().take_while(|(since_ms, _)| is_over(*since_ms));
            due.extend(
                over.take(limit).map(|entry| (entry.0.saturating_add(patience), place(entry))),
            );
        }
        due.sort_unstable();
        due.truncate(limit);
        due.into_iter().map(|(_, place)| place).collect()
    }

    /// The first `limit` places, or the first after one.
    pub(super) fn page(&self, after: Option<Place>, limit: usize) -> Vec<Place> {
        let first_row = after.map_or(0, |place| place.attempts.min(ATTEMPTS_MAX));
        let rows = (first_row..).zip(&self.rows[usize::from(first_row)..]);
        let places = rows.flat_map(|(attempts, row)| {
            let from = match after {
                Some(place) if place.attempts == attempts => {
                    Excluded((place.since_ms, place.order))
                }
                Some(_) | None => Unbounded,
            };
            let entries = row.range((from, Unbounded));
            entries.map(move |&(since_ms, order)| Place { attempts, since_ms, order })
        });
        places.take(limit).collect()
    }
}

#[cfg(test)]
mod tests;
