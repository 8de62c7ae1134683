//! The id of an order, known before anything is bought.

use std::{fmt, str::FromStr};

use crate::{ParseError, ShardNo, uuids::parse_hyphenated};

/// An order id: a UUIDv8 of 32 bits of shard number and 90 bits of a keyed hash, so that anyone can
/// route by it and nobody can guess one. The key and what it covers are the gateway's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId([u8; 16]);

impl OrderId {
    /// The id for `hash` on `shard`. Six of the hash's 96 bits give way to version and variant.
    pub fn mint(shard: ShardNo, hash: [u8; 12]) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&shard.get().to_be_bytes());
        bytes[4..].copy_from_slice(&hash);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// From its 16 bytes.
    ///
    /// # Errors
    /// [`ParseError::NotAnOrderId`] unless it is a UUIDv8 with a shard number of 1 or more.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, ParseError> {
        let is_v8 = bytes[6] & 0xf0 == 0x80 && bytes[8] & 0xc0 == 0x80;
        if is_v8 && bytes[..4] != [0; 4] { Ok(Self(bytes)) } else { Err(ParseError::NotAnOrderId) }
    }

    /// Its 16 bytes, as they stand in messages and tables.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The shard that the order belongs to.
    pub fn shard(&self) -> ShardNo {
        let [a, b, c, d, ..] = self.0;
        ShardNo::new(u32::from_be_bytes([a, b, c, d])).expect("checked when the id was made")
    }
}

impl TryFrom<&[u8]> for OrderId {
    type Error = ParseError;

    fn try_from(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::from_bytes(bytes.try_into().map_err(|_| ParseError::NotSixteenBytes)?)
    }
}

impl FromStr for OrderId {
    type Err = ParseError;

    /// Reads the hyphenated form, in either case.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::from_bytes(parse_hyphenated(text)?)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderId({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_minted_id_names_its_shard(number in 1u32.., hash: [u8; 12]) {
            let shard = ShardNo::new(number).unwrap();
            let id = OrderId::mint(shard, hash);
            prop_assert_eq!(id.shard(), shard);
            prop_assert_eq!(OrderId::from_bytes(*id.as_bytes()), Ok(id));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn a_uuid_of_another_version_is_refused() {
        let v4 = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        assert_eq!(v4.parse::<OrderId>(), Err(ParseError::NotAnOrderId));
        let no_shard = "00000000-58cc-8372-a567-0e02b2c3d479";
        assert_eq!(no_shard.parse::<OrderId>(), Err(ParseError::NotAnOrderId));
    }
}
