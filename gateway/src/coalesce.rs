//! Gathers the purchases of one shard into batches, without a timer: an arrival asks for a carrier,
//! which takes what has gathered by the time it leaves, and what has gathered again when it is
//! back; there are only so many carriers. Promises that each waiter comes out in exactly one batch,
//! that entries keep the order of their arrival, that an order id stands in a batch once with
//! everybody who waits for it, that nobody waits without a carrier that will come, and that nothing
//! here grows past its bounds. It does no I/O, asks no clock, and doesn't know what a waiter is.

use std::collections::{BTreeMap, VecDeque};

use ids::OrderId;

use crate::domain::purchase::Entry;

/// What limits a [`Coalescer`]; each is at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    /// Entries in one batch.
    pub(crate) batch_len_max: usize,
    /// Waiters that may gather.
    pub(crate) gathering_len_max: usize,
    /// Carriers, each of which has one batch at a time.
    pub(crate) batches_in_flight_max: usize,
}

/// Those who wait for one entry: nearly always one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Waiters<W> {
    first: W,
    more: Vec<W>,
}

impl<W> IntoIterator for Waiters<W> {
    type Item = W;
    type IntoIter = std::iter::Chain<std::iter::Once<W>, std::vec::IntoIter<W>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.more)
    }
}

/// What goes out in one Reserve call and one journal record. Both lists have the same length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Batch<W> {
    pub(crate) entries: Vec<Entry>,
    pub(crate) waiters: Vec<Waiters<W>>,
}

/// What came of an arrival.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Arrival<W> {
    /// It waits, and another carrier is to start: [`Coalescer::next_batch`], and again after each
    /// batch, until there is none.
    WantsCarrier,
    /// It waits for a carrier that has started already.
    Gathered,
    /// Too much waits already; nothing was done, and the waiter comes back.
    Overloaded(W),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Gathered<W> {
    entry: Entry,
    waiters: Waiters<W>,
}

/// The state for one shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Coalescer<W> {
    bounds: Bounds,
    gathering: VecDeque<Gathered<W>>,
    /// Where an order gathers: its arrival's number. The front of `gathering` has `front`.
    places: BTreeMap<OrderId, u64>,
    front: u64,
    waiting: usize,
    carriers: usize,
}

impl<W> Coalescer<W> {
    /// Nothing gathers, nobody carries.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            gathering: VecDeque::new(),
            places: BTreeMap::new(),
            front: 0,
            waiting: 0,
            carriers: 0,
        }
    }

    /// Someone wants an entry answered.
    pub(crate) fn arrived(&mut self, entry: Entry, waiter: W) -> Arrival<W> {
        if self.waiting >= self.bounds.gathering_len_max {
            return Arrival::Overloaded(waiter);
        }
        self.waiting += 1;
        if let Some(&place) = self.places.get(&entry.order) {
            let index = usize::try_from(place - self.front).expect("an index into the queue");
            let there = &mut self.gathering[index];
            // Both tickets are authentic and for the same order; the one that lasts longer is the
            // buyer's right.
            let ends = there.entry.ticket_expires_ms.max(entry.ticket_expires_ms);
            there.entry.ticket_expires_ms = ends;
            there.waiters.more.push(waiter);
            return Arrival::Gathered;
        }
        self.places.insert(entry.order, self.front + self.gathering.len() as u64);
        let waiters = Waiters { first: waiter, more: Vec::new() };
        self.gathering.push_back(Gathered { entry, waiters });
        if self.carriers >= self.bounds.batches_in_flight_max {
            return Arrival::Gathered;
        }
        self.carriers += 1;
        Arrival::WantsCarrier
    }

    /// What a carrier takes along. None: nothing waits, and the carrier has ended.
    pub(crate) fn next_batch(&mut self) -> Option<Batch<W>> {
        debug_assert!(self.carriers > 0, "a carrier that was never started");
        if self.gathering.is_empty() {
            self.carriers = self.carriers.saturating_sub(1);
            return None;
        }
        let len = self.gathering.len().min(self.bounds.batch_len_max);
        let mut batch =
            Batch { entries: Vec::with_capacity(len), waiters: Vec::with_capacity(len) };
        for Gathered { entry, waiters } in self.gathering.drain(..len) {
            self.places.remove(&entry.order);
            self.waiting -= 1 + waiters.more.len();
            batch.entries.push(entry);
            batch.waiters.push(waiters);
        }
        self.front += len as u64;
        Some(batch)
    }

    /// Whether it may be forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        self.carriers == 0 && self.gathering.is_empty()
    }
}

#[cfg(test)]
mod tests;
