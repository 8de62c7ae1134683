//! How much of each partition the books have not committed. The mock cluster evicts from the old
//! end, and what is unread is the new end of the log; so nothing unread goes while this count stays
//! below the cluster's space. The count errs upwards: records are counted with their frame from the
//! moment they are sent.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The mock cluster's space in one partition.
const SPACE_BYTES: u64 = 5 * 1024 * 1024;
const SPACE_RECORDS: u64 = 100_000;

/// What the log keeps around a record, if each has a batch of its own: 61 bytes of batch header and
/// up to 25 of record header.
const FRAME_BYTES: u64 = 86;

/// What the books have not committed of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnreadCount {
    /// Records, with those that are being sent.
    pub records: u64,
    /// Their bytes, with frames.
    pub bytes: u64,
    /// Records that the cluster has evicted before the books had them. More than 0 is a loss.
    pub evicted: u64,
}

/// One count for all producers and readers of a broker.
#[derive(Debug)]
pub(crate) struct Unread {
    partitions: Vec<Mutex<Partition>>,
}

#[derive(Debug, Default)]
struct Partition {
    in_flight_records: u64,
    in_flight_bytes: u64,
    /// Offset → bytes, from `committed` on.
    landed: BTreeMap<u64, u64>,
    landed_bytes: u64,
    committed: u64,
    end: u64,
    evicted: u64,
}

impl Unread {
    pub(crate) fn new(partitions: u32) -> Self {
        Self { partitions: (0..partitions).map(|_| Mutex::default()).collect() }
    }

    /// Below half of the space: the other half is for what was admitted meanwhile.
    pub(crate) fn has_room(&self, partition: u32) -> bool {
        let count = self.count(partition);
        count.bytes < SPACE_BYTES / 2 && count.records < SPACE_RECORDS / 2
    }

    pub(crate) fn count(&self, partition: u32) -> UnreadCount {
        self.of(partition).map_or_else(UnreadCount::default, |partition| UnreadCount {
            records: partition.in_flight_records + partition.landed.len() as u64,
            bytes: partition.in_flight_bytes + partition.landed_bytes,
            evicted: partition.evicted,
        })
    }

    /// The offset after the last record that is known of.
    pub(crate) fn end(&self, partition: u32) -> u64 {
        self.of(partition).map_or(0, |partition| partition.end)
    }

    pub(crate) fn sent(&self, partition: u32, payload_len: usize) {
        if let Some(mut partition) = self.of(partition) {
            partition.in_flight_records += 1;
            partition.in_flight_bytes += framed(payload_len);
        }
    }

    /// A record that was sent is in flight no more: acknowledged at `offset`, or not.
    pub(crate) fn landed(&self, partition_no: u32, payload_len: usize, offset: Option<u64>) {
        let Some(mut partition) = self.of(partition_no) else {
            return;
        };
        partition.in_flight_records = partition.in_flight_records.saturating_sub(1);
        partition.in_flight_bytes = partition.in_flight_bytes.saturating_sub(framed(payload_len));
        if let Some(offset) = offset {
            partition.insert(partition_no, offset, framed(payload_len));
        }
    }

    /// A reader met a record, perhaps one whose append was never acknowledged.
    pub(crate) fn seen(&self, partition_no: u32, offset: u64, payload_len: usize) {
        if let Some(mut partition) = self.of(partition_no) {
            partition.insert(partition_no, offset, framed(payload_len));
        }
    }

    /// The books have everything before `next_offset`. A lower one than before changes nothing.
    pub(crate) fn committed(&self, partition: u32, next_offset: u64) {
        if let Some(mut partition) = self.of(partition) {
            partition.committed = partition.committed.max(next_offset);
            partition.forget_before(next_offset);
        }
    }

    /// The log was seen to begin at `low`.
    pub(crate) fn starts_at(&self, partition_no: u32, low: u64) {
        if let Some(mut partition) = self.of(partition_no) {
            partition.lose_before(partition_no, low);
        }
    }

    fn of(&self, partition: u32) -> Option<MutexGuard<'_, Partition>> {
        let found = self.partitions.get(usize::try_from(partition).ok()?)?;
        // Plain counters: a panic elsewhere can't leave them half changed.
        Some(found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Partition {
    fn insert(&mut self, partition_no: u32, offset: u64, bytes: u64) {
        self.end = self.end.max(offset + 1);
        if offset < self.committed {
            return;
        }
        if self.landed.insert(offset, bytes).is_none() {
            self.landed_bytes += bytes;
        }
        // Beyond its space the cluster has evicted the oldest ones; keeping them would also let
        // this map grow without end.
        let mut low = None;
        let (mut bytes, mut records) = (self.landed_bytes, self.landed.len() as u64);
        for (offset, size) in &self.landed {
            if bytes <= SPACE_BYTES && records <= SPACE_RECORDS {
                break;
            }
            (bytes, records, low) = (bytes - size, records - 1, Some(offset + 1));
        }
        if let Some(low) = low {
            self.lose_before(partition_no, low);
        }
    }

    fn lose_before(&mut self, partition_no: u32, low: u64) {
        let lost = self.forget_before(low);
        if lost > 0 {
            let is_first = self.evicted == 0;
            self.evicted += lost;
            if is_first {
                tracing::error!(
                    partition = partition_no,
                    low,
                    committed = self.committed,
                    "the embedded journal is full and has evicted records that the books don't have"
                );
            }
        }
    }

    fn forget_before(&mut self, offset: u64) -> u64 {
        let kept = self.landed.split_off(&offset);
        let forgotten = std::mem::replace(&mut self.landed, kept);
        self.landed_bytes -= forgotten.values().sum::<u64>();
        forgotten.len() as u64
    }
}

fn framed(payload_len: usize) -> u64 {
    payload_len as u64 + FRAME_BYTES
}

#[cfg(test)]
mod tests;
