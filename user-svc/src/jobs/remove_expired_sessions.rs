//! Removes sessions that have expired, in batches small enough that sign-ins pass between them.
//! Several instances may do it at once: each removes what the others haven't. Late is harmless: an
//! expired session continues for nobody.

use std::{error::Error, sync::Arc, time::Duration};

use chassis::{Clock, Stopper, job::Beat};

use crate::sessions::Sessions;

/// Expired rows are in nobody's way for a while.
const INTERVAL: Duration = Duration::from_secs(60);
/// A few milliseconds of the one writer.
const BATCH_LEN_MAX: u32 = 500;
/// So many batches at a beat: 20,000 rows a minute, far more than anybody signs in.
const BATCHES_MAX: u32 = 40;

/// Removes until `stopper` stops.
pub(crate) async fn remove_expired_sessions(
    sessions: Arc<dyn Sessions>,
    clock: Clock,
    stopper: Stopper,
) {
    let mut beat = Beat::new(INTERVAL, &stopper);
    while beat.next().await {
        for _ in 0..BATCHES_MAX {
            match sessions.remove_expired(clock.wall_ms(), BATCH_LEN_MAX).await {
                Ok(removed) if removed < u64::from(BATCH_LEN_MAX) => break,
                Ok(_) if stopper.is_stopped() => break,
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &dyn Error;
                    tracing::warn!(error, "expired sessions were not removed");
                    break;
                }
            }
        }
    }
}
