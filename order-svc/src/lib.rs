//! What was bought: the books, and the life of an order in them.

mod domain;

pub mod fold;

pub use domain::{Guard, Order, Refusal};
