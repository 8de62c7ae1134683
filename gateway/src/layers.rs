//! The layers that stand before the handlers, one a file. [`crate::stack`] says in which order and
//! why. Deadlines are the chassis's, on every server.

pub(crate) mod in_flight;
