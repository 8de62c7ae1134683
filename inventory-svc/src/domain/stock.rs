//! The stock of one shard in one epoch: what is left, what is held, and what the books have said of
//! each order id. Every rule of protocol section 3 behind the fence is here, in that order, with
//! `now` passed in. Keeps I-1, I-3, I-4 and I-5 within the shard and asserts them with `law`.
//! It does not know fences, identities, epochs of others, or who asks.

/// When a shard admits, and how much per user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The window is `[opens_ms, closes_ms)`, in milliseconds since the Unix epoch.
    pub opens_ms: u64,
    /// See `opens_ms`.
    pub closes_ms: u64,
    /// Units per user and item, 1 or more.
    pub limit_per_user: u32,
}
