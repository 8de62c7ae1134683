//! The layers that stand before the handlers, one a file. [`crate::stack`] says in which order and
//! why. Deadlines are the chassis's, on every server.

pub(crate) mod adaptive;
pub(crate) mod client_address;
pub(crate) mod genuine;
mod held;
pub(crate) mod identify;
pub(crate) mod in_flight;
pub(crate) mod local_view;
pub(crate) mod per_sale;
pub(crate) mod places;
pub(crate) mod rates;
pub(crate) mod shares;
pub(crate) mod wanted;
