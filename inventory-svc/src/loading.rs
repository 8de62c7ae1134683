//! Loading a shard's stock into the ledger (protocol section 7): who asks for it, the pure core of
//! one attempt, and the shell that performs its steps. Exclusion doesn't rest on anything here: the
//! log elects the epoch, so attempts can't hurt each other.

mod requests;

pub use requests::{LoadRequests, Why};
