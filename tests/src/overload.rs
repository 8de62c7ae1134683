//! What must be true while more is asked than can be done. The generator shares the machine with
//! the shop, so the capacity is made a known number that both can exceed tenfold: a ledger that
//! takes so many entries a second for each shard, and answers late, as one behind a
//! network. What is measured is the gateway's behaviour at that capacity, with its settings as
//! shipped, and not its speed.
//!
//! The stories compare tails of latencies, so they want an optimised build, and to be judged by
//! their bounds a machine that does nothing else: see [`crate::strictness`]. Where the tails are
//! compared within a fifth, [`machine`] knows whether it did.

mod load;
mod machine;
mod more_than_can_be_done;
mod seen;
mod sign_in_flood;
mod slow_ledger;
mod two_sales;

use std::time::Duration;

use crate::strictness::is_strict;

/// Entries that a shard takes in a second.
const CAPACITY: u32 = 1_000;
/// How long an answer of the ledger is on its way: as from another place of the same region.
const WAY: Duration = Duration::from_millis(20);

/// Of what is compared by its median.
fn rounds() -> usize {
    if is_strict() { 5 } else { 3 }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
