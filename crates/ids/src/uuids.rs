//! Ids that are plain UUIDs. One macro, since the kinds differ in nothing but their name.

use std::{fmt, str::FromStr};

use crate::ParseError;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new random one (UUID version 4).
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4().into_bytes())
            }

            /// From its 16 bytes; any are good.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes, as they stand in messages and tables.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ParseError;

            fn try_from(bytes: &[u8]) -> Result<Self, ParseError> {
                bytes.try_into().map(Self).map_err(|_| ParseError::NotSixteenBytes)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            /// Reads the hyphenated form, in either case.
            fn from_str(text: &str) -> Result<Self, ParseError> {
                crate::uuids::parse_hyphenated(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

uuid_id!(
    /// A buyer.
    UserId
);
uuid_id!(
    /// An event with a window.
    SaleId
);
uuid_id!(
    /// Something offered in one sale.
    ItemId
);
uuid_id!(
    /// A command in the journal; it changes nothing the second time.
    CommandId
);

/// Other spellings of a UUID (braces, URN, no hyphens) are refused, so that one id has one text.
pub(crate) fn parse_hyphenated(text: &str) -> Result<[u8; 16], ParseError> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(ParseError::NotAUuid);
    }
    uuid::Uuid::try_parse(text).map(uuid::Uuid::into_bytes).map_err(|_| ParseError::NotAUuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_come_back_the_same() {
        let id = UserId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(UserId::try_from(id.as_bytes().as_slice()), Ok(id));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in
            ["", "x", "{0190b2c4-6f1e-7cc3-98c4-dc0c0c07398f}", "0190b2c46f1e7cc398c4dc0c0c07398f"]
        {
            assert_eq!(text.parse::<SaleId>(), Err(ParseError::NotAUuid), "{text}");
        }
        assert_eq!(ItemId::try_from([0u8; 15].as_slice()), Err(ParseError::NotSixteenBytes));
    }
}
