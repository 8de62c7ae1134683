//! The gateway as a whole: built on port 0, asked over real gRPC, with stubs of the three services
//! behind it at the rim of the network and the embedded journal. One story a file.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod choices;
mod finality;
mod http;
mod identity;
mod instances;
mod journal_trouble;
mod limits;
mod logs;
mod operators;
mod orders;
mod people;
mod purchase;
mod refusals;
mod sales;
mod sold_out;
mod stage;
mod startup;
mod stubs;
mod tickets;
mod under_way;
mod watch;
mod watch_item;
