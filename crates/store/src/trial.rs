//! When a look at a store is to write: that it may be written is no sign that its disk has room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Trouble, trouble};

/// So many looks at a store that could be written pass until it is tried again: each is a write.
pub(crate) const LOOKS_BETWEEN: u32 = 5;

/// Every few looks one is due, and each one after a failure. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trials {
    /// Looks until the next one.
    left: Arc<AtomicU32>,
}

impl Trials {
    /// Whether this look is to write.
    pub(crate) fn is_due(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// What a try says of the store. That it was busy says nothing bad.
    pub(crate) fn judge(&self, tried: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
        match tried {
            Err(error) if trouble(&error) != Trouble::Busy => Err(error),
            Err(_) | Ok(()) => {
                self.left.store(LOOKS_BETWEEN - 1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_looks_tries_and_each_one_after_a_failure() {
        let trials = Trials::default();
        let look = |works: bool| {
            let is_due = trials.is_due();
            let tried = if works { Ok(()) } else { Err(sqlx::Error::WorkerCrashed) };
            assert!(!is_due || trials.judge(tried).is_ok() == works);
            is_due
        };
        let due = [true, true, true, true, true, true, false].map(look);
        assert_eq!(due, [true, false, false, false, false, true, false]);
        assert_eq!([true, true, true].map(look), [false, false, false]);
        assert_eq!([false, false, true, true].map(look), [true, true, true, false]);
    }
}
