//! The number of a shard, a part of an item's stock with a counter of its own.

use std::fmt;

use crate::{ItemId, ParseError, UserId};

/// A shard's number: assigned by the catalog, never used again, never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardNo(u32);

impl ShardNo {
    /// From a number of 1 or more.
    ///
    /// # Errors
    /// [`ParseError::NotAShard`] for 0.
    pub const fn new(number: u32) -> Result<Self, ParseError> {
        if number == 0 { Err(ParseError::NotAShard) } else { Ok(Self(number)) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Which of an item's `shards` serves a user: the same one in every process and for ever, since
    /// limits are kept per shard. FNV-1a over both ids; both are random or keyed, so a simple hash
    /// spreads them.
    ///
    /// `shards` is at least 1; the answer is below it.
    pub fn index_for(item: ItemId, user: UserId, shards: usize) -> usize {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let bytes = item.as_bytes().iter().chain(user.as_bytes());
        let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
        usize::try_from(hash % shards.max(1) as u64).expect("below a usize")
    }
}

impl fmt::Display for ShardNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ShardNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardNo({})", self.0)
    }
}
