//! The protocol as a model: every order of steps and faults, searched in small sizes. The load
//! attempt, the fold, the ledger's keeper, the roll-forward and the gateway's rules are the code's
//! own; the stores, the network and the passing of time are made here. What is left out stands in
//! the README.

mod protocol;
mod settings;
mod world;

mod buyers;
mod catalog;
mod inventory;
mod keeper;
mod lease;
mod loader;
mod log;
mod names;

mod books;
mod decide;
mod faults;

mod configurations;
mod fingerprint;
mod properties;
mod removals;
mod search;

pub use configurations::{large, small};
pub use properties::*;
pub use protocol::Protocol;
pub use removals::{Row, rows};
pub use search::{Bounds, Found, Judged, search};
pub use settings::{Budget, Fault, Removed, Settings};
pub use world::{Event, Settling, Twin, World};
