//! The books, looked at again. A consumer goes by the position that it left, and meets the books
//! only when it commits: on a partition where nothing happens it would never hear that they were
//! put back to an older copy. So one task asks for all positions in one question, again and again,
//! and each consumer compares its own. What was asked for before a commit ended proves nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{Clock, Stopper, job::Beat};
use tokio::sync::watch;

use crate::books::{Books, Position};

/// What the books showed of all partitions at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// When the question was about to be sent; none before the first answer.
    asked_at: Option<Duration>,
    positions: BTreeMap<u32, Position>,
}

/// The newest look, for every consumer.
pub(crate) type Looks = watch::Receiver<Arc<Look>>;

/// Asks every `every`, and publishes what is answered, until `stopper` stops. Without an answer the
/// last one stands: whoever commits meanwhile meets the books itself.
pub(crate) async fn look_again(
    books: Arc<dyn Books>,
    clock: Clock,
    every: Duration,
    looks: watch::Sender<Arc<Look>>,
    stopper: Stopper,
) {
    /// A question that takes longer is asked anew.
    const ANSWER_MAX: Duration = Duration::from_secs(5);
    let mut beat = Beat::new(every, &stopper);
    while beat.next().await {
        let asked_at = Some(clock.now());
        match tokio::time::timeout(ANSWER_MAX, books.positions()).await {
            Ok(Ok(positions)) => {
                let positions = positions.into_iter().collect();
                looks.send_replace(Arc::new(Look { asked_at, positions }));
            }
            // Readiness tells that the books don't answer.
            Ok(Err(error)) => tracing::debug!(%error, "the positions were not read"),
            Err(_) => tracing::debug!("the positions were not read in time"),
        }
    }
}

impl Look {
    /// Whether it shows another position than `left`, which was committed by `since`.
    pub(super) fn contradicts(&self, partition: u32, left: &Position, since: Duration) -> bool {
        let is_later = self.asked_at.is_some_and(|asked_at| since <= asked_at);
        // A row that isn't there any more is the beginning.
        is_later && self.positions.get(&partition) != Some(left)
    }
}

/// Whether `now` is a place that books which were left at `left` can only have by being put back.
pub(super) fn went_back(left: &Position, now: &Position) -> bool {
    now.generation < left.generation || (now.generation == left.generation && now != left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next_offset: u64, generation: u64, digest: u8) -> Position {
        Position { next_offset, generation, last_digest: Some([digest; 32]) }
    }

    #[test]
    fn only_a_copy_goes_back() {
        let left = at(9, 4, 1);
        for (now, expected) in [
            (at(9, 4, 1), false),
            (at(12, 5, 2), false),
            // Somebody read the log again from its start.
            (at(0, 5, 2), false),
            (at(7, 3, 2), true),
            (at(9, 3, 1), true),
            // Restored, and folded again up to there by someone else.
            (at(9, 4, 2), true),
            (at(8, 4, 1), true),
        ] {
            assert_eq!(went_back(&left, &now), expected, "{now:?}");
        }
    }

    #[test]
    fn what_was_asked_before_the_commit_proves_nothing() {
        let left = at(9, 4, 1);
        let seconds = Duration::from_secs;
        let look = |asked_at, shown| {
            let positions = BTreeMap::from_iter([(3, shown)]);
            Look { asked_at, positions }
        };
        let contradicts = |look: Look| look.contradicts(3, &left, seconds(5));
        assert!(!contradicts(Look::default()), "nothing was asked yet");
        assert!(!contradicts(look(Some(seconds(4)), at(7, 3, 2))), "the commit was on its way");
        assert!(!contradicts(look(Some(seconds(6)), left.clone())));
        assert!(contradicts(look(Some(seconds(6)), at(7, 3, 2))));
        assert!(contradicts(look(Some(seconds(6)), at(12, 5, 2))), "another writer");
        let no_row = Look { asked_at: Some(seconds(6)), positions: BTreeMap::new() };
        assert!(contradicts(no_row));
    }
}
