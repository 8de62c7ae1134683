//! What must be true while more is asked than can be done. The generator is in this process and
//! this may be a debug build, so the capacity is made a known number: a ledger that takes so many
//! entries a second for each shard, far below what the processor could do, and answers late, as one
//! behind a network. What is measured is the gateway's behaviour at that capacity, not its speed.
//!
//! The stories measure seconds, so they run alone, by `scripts/overload`, one after the other.

use crate::house::House;

mod load;
mod more_than_can_be_done;
mod slow_ledger;
mod two_sales;

/// The ledger here does some hundredth of what a real one does, so the gateway's bounds on places
/// are scaled as well; that they are learnt in between is what the stories are about.
fn scaled(config: &mut gateway::Config) {
    let of = &mut config.concurrency;
    (of.places_first, of.places_min, of.samples_min) = (12, 3, 8);
}

/// All services, with this ledger.
async fn open(ledger: std::sync::Arc<slow_ledger::SlowLedger>) -> House {
    House::open_with(ledger, scaled).await
}
