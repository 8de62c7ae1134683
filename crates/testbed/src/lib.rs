//! Real stores for tests: the shared ones that `make stores` started, and ones of a test's own that
//! it may kill, freeze, empty and damage.
//!
//! It promises that a store which isn't there fails the test with one sentence, that every wait has
//! a deadline, that what a test started ends with it, and that no two tests get the same port or
//! database. It knows nothing of what the services keep in the stores.

pub mod running;

mod database;
mod kafka;
mod mariadb;
mod patience;
mod port;
mod process;
mod proxy;
mod redis_server;
mod small_disk;

pub use database::Database;
pub use kafka::Kafka;
pub use mariadb::MariaDb;
pub use port::Port;
pub use process::Process;
pub use proxy::Proxy;
pub use redis_server::{Dump, Redis};
pub use small_disk::SmallDisk;
