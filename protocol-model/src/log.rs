//! Kafka: one partition, whose acknowledged tail can be lost. A record that is there already is
//! not appended again: the second one would change nothing (the books' fold), and would be lost at
//! the latest when the first one is.

use std::sync::Arc;

use ids::OrderId;
use journal::{Command, Record};

use crate::names;

/// The records that there are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Log {
    records: Vec<Logged>,
    /// How often it has lost its tail.
    losses: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Logged {
    record: Arc<Record>,
    /// Before this many losses. Two records with the same offset and the same number are one.
    losses: u8,
}

impl Log {
    pub(crate) fn append(&mut self, command: Command) {
        if self.has(&command) {
            return;
        }
        let record = Record { command_id: names::command(), shard: names::shard(), command };
        self.records.push(Logged { record: Arc::new(record), losses: self.losses });
    }

    /// The offset of the next record.
    pub(crate) fn end(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&Record> {
        self.at(offset).map(|logged| &*logged.record)
    }

    /// Stands for the digest of a record's bytes.
    pub(crate) fn digest(&self, offset: u64) -> Option<[u8; 32]> {
        self.at(offset).map(|logged| [logged.losses + 1; 32])
    }

    pub(crate) fn lose_from(&mut self, offset: u64) {
        self.records.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        self.losses += 1;
    }

    /// Whether a record from `offset` on has a hold of this order.
    pub(crate) fn has_hold(&self, order: OrderId, offset: u64) -> bool {
        let first = usize::try_from(offset).unwrap_or(usize::MAX).min(self.records.len());
        self.records[first..].iter().any(|logged| match &logged.record.command {
            Command::HoldsPlaced { holds, .. } => holds.iter().any(|hold| hold.order == order),
            Command::ItemOpened(_) | Command::EpochChanged { .. } => false,
        })
    }

    pub(crate) fn has(&self, command: &Command) -> bool {
        self.records.iter().any(|logged| logged.record.command == *command)
    }

    fn at(&self, offset: u64) -> Option<&Logged> {
        self.records.get(usize::try_from(offset).ok()?)
    }
}
