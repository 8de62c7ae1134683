//! What a sale is and what its stock does: pure, without time, stores or messages.

pub mod hold;
pub mod refusal;
pub mod sale;
pub mod shard_keeper;
pub mod stock;
mod waiting;

pub use hold::{EntryAnswer, Hold, OpenHold, ReserveEntry, Settled, StagedOrder};
pub use refusal::Refusal;
pub use shard_keeper::{
    Activation, Holds, Identity, NotActivated, NotForgotten, NotStaged, Peek, Reserved,
    ShardKeeper, Shut,
};
pub use stock::{Count, Found, Opening, Settlement, Staging, Stock, Terms};
pub use waiting::Place;
