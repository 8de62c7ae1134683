//! The proof: the whole system, tested as one. `tidy` holds the tree against the rules of the
//! house. `house` starts all services in this process, as `seckill dev` does, and `shop` each as a
//! process on real stores; `stories`, `faults`, `abuse` and `overload` are what must be true of
//! them, one story a file, each ending in the invariants of `law`. In `tools` the shop is called by
//! the programs that people use.

#![cfg(test)]

mod abuse;
mod faults;
mod generic_client;
mod house;
mod overload;
mod plain_client;
mod shop;
mod stories;
mod strictness;
mod tidy;
mod tools;
