//! The contract of the ledger: one suite for whoever keeps it. `suite` plays stories, text tables
//! of calls and answers, each on a fresh keeper; `walk` plays seeded random lists of commands and
//! judges by `law` after each. Both panic with the line or the seed that failed.
//!
//! Compiled into the library, so that keepers in other places (a real store) can be held to it.

mod script;
mod stories;
mod walk;

use std::time::Duration;

use super::Ledger;

/// A keeper under test, and the hands that move its world.
#[async_trait::async_trait]
pub trait Bench: Send + Sync {
    /// The keeper.
    fn ledger(&self) -> &dyn Ledger;

    /// The keeper's clock, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Time goes on for the keeper.
    async fn pass(&self, by: Duration);

    /// The keeper's clock jumps back.
    async fn jump_back(&self, by: Duration);

    /// The keeper dies, and another process takes its place, with nothing in it.
    async fn restart_empty(&self);
}

/// Plays every story, each on a keeper that `make` made for it.
///
/// # Panics
/// If an answer isn't the promised one, with the story and its line.
pub async fn suite<B: Bench>(make: impl AsyncFn() -> B) {
    for (name, story) in stories::STORIES {
        script::play(&make().await, name, story).await;
    }
}

/// Plays `steps` random commands for each seed, each list on a keeper that `make` made for it.
///
/// # Panics
/// If a law is broken or an answer can't be, with the seed and the step.
pub async fn walk<B: Bench>(
    make: impl AsyncFn() -> B,
    seeds: impl IntoIterator<Item = u64>,
    steps: usize,
) {
    for seed in seeds {
        walk::play(&make().await, seed, steps).await;
    }
}

#[cfg(test)]
mod tests;
