//! What is left: sales, items, the ledger of stock and holds, loading a shard.

pub mod domain;
pub mod ledger;

pub mod catalog;
pub mod lease;
pub mod loading;
