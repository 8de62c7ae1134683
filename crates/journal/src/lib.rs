//! The log: topic, producer, partition reader, group member, record codec, embedded broker. It
//! promises that an acknowledged append stands in its partition at the offset that was answered
//! (rarely a second time too), that everything else about an append is either certainly not
//! written or honestly unknown, and that a reader gives each record of its partition once, in
//! order, or says what is missing.
//!
//! It is the only crate that names rdkafka. It does not know when a command counts (the books' fold
//! does), and it keeps no position: that stands in the books, in the transaction of what was read.

pub mod codec;
pub mod embedded;
pub mod record;

mod client;
mod header;
mod journal;
mod membership;
mod polled;
mod producer;
mod reader;
mod settings;
mod topic;

pub use codec::{Undecodable, decode, encode};
pub use journal::{Error, Flushed, Journal};
pub use membership::{Assignment, Membership};
pub use producer::{AppendError, Appended};
pub use reader::{PartitionReader, Raw, ReadError};
pub use record::{Command, ItemOpened, PlacedHold, Record};
pub use settings::{Sasl, SaslMechanism, Settings, TOPIC, Tls};
pub use topic::{Migrated, migrate};
