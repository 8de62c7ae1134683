//! Loading a shard's stock into the ledger (protocol section 7): who asks for it, the pure core of
//! one attempt, and the shell that performs its steps. Exclusion doesn't rest on anything here: the
//! log elects the epoch, so attempts can't hurt each other.

pub mod attempt;
mod foreign;
pub mod loader;
pub mod over;
mod requests;
mod steps;

pub use foreign::Foreign;
pub use loader::{Cause, Loader, Rooms, Start};
pub use requests::{LoadRequests, Why};
