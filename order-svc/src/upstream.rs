//! Other services, as their clients see them.

pub(crate) mod inventory;
