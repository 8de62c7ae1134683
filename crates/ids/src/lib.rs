//! The words: every identifier of the suite. Text and bytes are parsed once, at the edge; inside,
//! an id is opaque and can't be mistaken for another kind. This crate does not know what the things
//! are that it names.

mod epoch;
mod order_id;
mod shard;
mod uuids;

pub use epoch::Epoch;
pub use order_id::OrderId;
pub use shard::ShardNo;
pub use uuids::{CommandId, ItemId, SaleId, UserId};

/// Why a text or a row of bytes is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a UUID in its hyphenated form.
    #[error("must be a UUID such as 0190b2c4-6f1e-7cc3-98c4-dc0c0c07398f")]
    NotAUuid,
    /// Not 16 bytes long.
    #[error("must be 16 bytes")]
    NotSixteenBytes,
    /// A UUID, but not one that this suite mints for orders.
    #[error("must be an order id")]
    NotAnOrderId,
    /// Outside 1..=u32::MAX.
    #[error("must be a shard number of 1 or more")]
    NotAShard,
    /// Outside 1..=i64::MAX.
    #[error("must be an epoch of 1 or more")]
    NotAnEpoch,
}
