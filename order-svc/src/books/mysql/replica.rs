//! Reads that may be a little old, on a replica. It is never needed: whoever gets no answer here
//! asks the primary, and after trouble nobody is sent here for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::Clock;
use sqlx::MySqlConnection;
use store::mysql::Connections;

use crate::books::Error;

/// How long a replica in trouble is left alone. 5 s: one call in many waits for it in vain.
const REST: Duration = Duration::from_secs(5);

/// A replica of the books. Cloning is cheap.
#[derive(Clone)]
pub struct Replica {
    connections: Connections,
    clock: Clock,
    /// On the clock, in milliseconds.
    rests_until: Arc<AtomicU64>,
}

impl Replica {
    /// Behind these connections.
    pub fn new(connections: Connections, clock: Clock) -> Self {
        Self { connections, clock, rests_until: Arc::default() }
    }

    /// What it answers; `None` if it can't be asked.
    pub(super) async fn ask<T>(
        &self,
        work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, Error>,
    ) -> Option<T> {
        let now = self.clock.now();
        if millis(now) < self.rests_until.load(Ordering::Relaxed) {
            return None;
        }
        match self.connections.ask(work).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::warn!(%error, "the books' replica gave no answer, the primary is asked");
                self.rests_until.store(millis(self.clock.now() + REST), Ordering::Relaxed);
                None
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
