//! One fault at a time under load, in processes on real stores: what dies comes back, and the books
//! are exact. Each story ends in the judgement of shoppers who kept every answer, and in the audit.
//!
//! They measure seconds, so they run alone: `scripts/test` runs them one after the other.

mod clocks_apart;
mod damaged_stores;
mod disk_full;
mod gateway_clocks;
mod gateway_killed;
mod journal_silent;
mod kafka_stopped;
mod mariadb_killed;
mod one_apart;
mod orders_stopped;
mod redis_lost;
mod rolling_restart;
mod stores_later;
mod two_gateways;

use std::time::Duration;

use crate::shop::Rush;

/// Half of the shoppers get a unit, so that the sale outlasts the fault and sells out after it.
const RUSH: Rush = Rush { units: 2_000, shoppers: 4_000, within: Duration::from_secs(20) };
