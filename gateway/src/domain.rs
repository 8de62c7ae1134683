//! The shop as the door sees it: what is sold and when, what a buyer may be told, and which answer
//! is a promise. Pure: no clock, no I/O, no wire types. It doesn't know how much is left; only the
//! ledger does.

pub(crate) mod admission;
pub(crate) mod append_time;
pub(crate) mod item;
pub(crate) mod order;
pub(crate) mod purchase;
pub(crate) mod refusal;
