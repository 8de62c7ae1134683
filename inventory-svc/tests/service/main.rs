//! inventory-svc from outside: the built service on a free port, with a catalog of its own, a
//! ledger in memory or on a Redis, and the embedded journal, asked over gRPC by ordinary clients.
//! Only what lies across the network is played: order-svc's books, read off the journal, and
//! user-svc's keys.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod books;
mod catalog;
mod foreign;
mod house;
mod loading;
mod on_redis;
mod operators;
mod pausing;
mod readiness;
mod rolling;
mod start;
mod surface;
