//! The usual ways of taking a unit atomically, side by side: more want one than there are, all at
//! once, and afterwards it is counted whether more were taken than there were (oversold), or units
//! are gone that nobody got (lost). All but ours do nothing else: no limit for a user, no record of
//! who has it, nothing that makes a second try harmless.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::Clock;
use futures::future::try_join_all;

use crate::{failure::Failure, figures::Figures};

pub(crate) mod redis;
pub(crate) mod sql;

/// Callers at once, in each way.
pub(crate) const AT_ONCE: u64 = 64;

/// How many want a unit, and how many get one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rush {
    pub(crate) attempts: u64,
    pub(crate) units: u64,
}

impl Rush {
    /// One in five comes too late.
    pub(crate) fn of(attempts: u64) -> Self {
        Self { attempts, units: attempts * 4 / 5 }
    }

    /// Writes down what came of it.
    fn note(self, figures: &mut Figures, way: &str, taken: u64, left: i64, took: Duration) {
        let rate = self.attempts as f64 / took.as_secs_f64();
        figures.note(&format!("stock_{way}_per_s"), rate);
        let oversold = taken.saturating_sub(self.units);
        let kept = u64::try_from(left).unwrap_or(0);
        let lost = self.units.saturating_sub(taken + kept);
        figures.note(&format!("stock_{way}_oversold"), oversold as f64);
        figures.note(&format!("stock_{way}_lost"), lost as f64);
    }
}

/// Lets [`AT_ONCE`] callers try one after the other until all attempts are made. Answers how many
/// units they took, and how long it took.
async fn rush<T, F>(
    rush: Rush,
    callers: Vec<T>,
    take: impl Fn(T) -> F + Copy,
) -> Result<(u64, Duration), Failure>
where
    F: Future<Output = Result<(T, bool), Failure>>,
{
    let clock = Clock::system();
    let begun = Arc::new(AtomicU64::new(0));
    let from = clock.now();
    let callers = callers.into_iter().map(|mut caller| {
        let begun = Arc::clone(&begun);
        async move {
            let mut taken = 0;
            while begun.fetch_add(1, Ordering::Relaxed) < rush.attempts {
                let got;
                (caller, got) = take(caller).await?;
                taken += u64::from(got);
            }
            Ok::<u64, Failure>(taken)
        }
    });
    let taken = try_join_all(callers).await?.into_iter().sum();
    Ok((taken, clock.now().saturating_sub(from)))
}
