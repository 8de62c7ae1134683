//! Records that a test wants to be lost after they were acknowledged: what a broker does that loses
//! its unflushed tail. Without an order to lose something it costs one atomic load an append.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crate::Record;

type Matches = Box<dyn Fn(&Record) -> bool + Send + Sync>;

/// Losses that were asked for, and those that have happened.
#[derive(Default)]
pub struct Losses {
    armed: Mutex<Vec<Matches>>,
    armed_count: AtomicUsize,
    happened: AtomicUsize,
}

impl Losses {
    /// How many records were acknowledged and not written.
    pub fn happened(&self) -> usize {
        self.happened.load(Ordering::SeqCst)
    }

    /// How many are still waited for. A test whose fault never struck has shown nothing.
    pub fn armed(&self) -> usize {
        self.armed_count.load(Ordering::SeqCst)
    }

    pub(crate) fn arm(&self, matches: Matches) {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.push(matches);
        self.armed_count.store(armed.len(), Ordering::SeqCst);
    }

    /// Whether this record is to be lost; each order is carried out once.
    pub(crate) fn take(&self, record: &Record) -> bool {
        if self.armed_count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = armed.iter().position(|matches| matches(record)) else {
            return false;
        };
        drop(armed.remove(found));
        self.armed_count.store(armed.len(), Ordering::SeqCst);
        self.happened.fetch_add(1, Ordering::SeqCst);
        true
    }
}

impl std::fmt::Debug for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Losses")
            .field("armed", &self.armed())
            .field("happened", &self.happened())
            .finish()
    }
}
