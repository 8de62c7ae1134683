//! Waits until the books have read what was in the log when it was asked. Who rests on it may
//! believe that what the books don't know was never written (law C: a row, not an offset, so the
//! positions are those that stand in the books).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use journal::Journal;
use tokio::sync::Semaphore;
use tonic::Status;

use super::refusal;
use crate::books::Books;

/// Books that are in good health are milliseconds behind. Shorter than inventory-svc waits for an
/// answer.
const WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each asks the brokers over a connection of its own, and only operators make anybody ask.
const AT_ONCE_MAX: usize = 4;

/// Clones share the bound.
#[derive(Clone)]
pub(super) struct ReadUp {
    books: Arc<dyn Books>,
    journal: Journal,
    places: Arc<Semaphore>,
}

impl ReadUp {
    pub(super) fn new(books: Arc<dyn Books>, journal: Journal) -> Self {
        Self { books, journal, places: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Returns once the books have read everything that stood in the log when this was called.
    pub(super) async fn wait(&self) -> Result<(), Status> {
        let place = self.places.try_acquire();
        let _place = place.map_err(|_| refusal::overloaded("enough look at the whole log"))?;
        let waited = tokio::time::timeout(WITHIN, self.read_up()).await;
        waited.unwrap_or_else(|_| Err(refusal::behind("the books have not read the whole log yet")))
    }

    async fn read_up(&self) -> Result<(), Status> {
        let ends = self.journal.ends().await.map_err(|error| {
            tracing::warn!(%error, "the ends of the journal were not read");
            refusal::behind("the journal does not answer")
        })?;
        while !self.has_read(&ends).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn has_read(&self, ends: &[u64]) -> Result<bool, Status> {
        let found = self.books.positions().await.map_err(refusal::unanswered)?;
        let read: BTreeMap<_, _> = found.into_iter().map(|(no, at)| (no, at.next_offset)).collect();
        // A log that has lost its tail ends below what the books have read.
        Ok((0..).zip(ends).all(|(no, end)| read.get(&no).copied().unwrap_or(0) >= *end))
    }
}
