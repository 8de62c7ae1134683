//! How we are asked: gRPC messages become values of the domain, answers become messages, and
//! refusals become statuses (in `status.rs` only). Decides nothing.

pub(crate) mod catalog;
pub(crate) mod inventory;
pub(crate) mod status;

pub(crate) use catalog::CatalogHandlers;
