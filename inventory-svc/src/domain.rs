//! What a sale is and what its stock does: pure, without time, stores or messages.

pub mod attempts;
pub mod hold;
pub mod refusal;
pub mod sale;
pub mod shard_keeper;
pub mod stock;
mod waiting;

pub use attempts::{ATTEMPT_LASTS_US, PLACED_NOBODY_SAYS};
pub use hold::{EntryAnswer, Hold, OpenHold, ReserveEntry, Settled, StagedOrder};
pub use refusal::Refusal;
pub use shard_keeper::{
    Activation, Holds, Identity, NotActivated, NotForgotten, NotStaged, Peek, Reserved,
    ShardKeeper, Shut,
};
pub use stock::{
    Count, Found, KnownOrder, KnownOrders, Look, Opening, Settlement, Staging, Stock, Taken, Terms,
};
pub use waiting::Place;
