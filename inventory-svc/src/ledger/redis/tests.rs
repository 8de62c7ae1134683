//! The contract, held against a real Redis whose clock the tests move.

mod bench;
mod shop;

mod access;
mod damage;
mod failover;
mod keys;
mod setup;
mod silence;
mod twins;

use self::bench::OwnRedis;
use crate::ledger::contract;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_redis_ledger_keeps_the_contract() {
    contract::suite(OwnRedis::start).await;
}

/// Few seeds: each dies some ten times, and a Redis takes 0.1 s to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_redis_ledger_keeps_the_law_on_random_walks() {
    contract::walk(OwnRedis::start, 0..4, 300).await;
}
