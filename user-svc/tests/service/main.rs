//! user-svc from outside: the built service on a free port, with a store of its own, asked over
//! gRPC by ordinary clients.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod accounts;
mod crash;
mod house;
mod lockout;
mod logs;
mod operators;
mod rehearsal;
mod revocations;
mod rights;
mod sessions;
mod start;
mod surface;
