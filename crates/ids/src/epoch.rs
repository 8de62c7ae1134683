//! The name of one loading of a shard's stock.

use std::fmt;

use crate::ParseError;

/// An epoch: a positive 63-bit number, random, used once, ever (law B). 0 stands for "none yet" in
/// messages and tables and is `Option::None` here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(i64);

impl Epoch {
    /// From a number of 1 or more.
    ///
    /// # Errors
    /// [`ParseError::NotAnEpoch`] for 0 and below.
    pub const fn new(number: i64) -> Result<Self, ParseError> {
        if number < 1 { Err(ParseError::NotAnEpoch) } else { Ok(Self(number)) }
    }

    /// From the 0-for-none form of messages and tables.
    ///
    /// # Errors
    /// [`ParseError::NotAnEpoch`] below 0.
    pub const fn from_wire(number: i64) -> Result<Option<Self>, ParseError> {
        match number {
            0 => Ok(None),
            number => match Self::new(number) {
                Ok(epoch) => Ok(Some(epoch)),
                Err(error) => Err(error),
            },
        }
    }

    /// The 0-for-none form of messages and tables.
    pub const fn to_wire(epoch: Option<Self>) -> i64 {
        match epoch {
            None => 0,
            Some(epoch) => epoch.0,
        }
    }

    /// Made from 64 random bits; one in 2^63 of them would be 0 and becomes 1.
    pub const fn from_random_bits(bits: u64) -> Self {
        let number = (bits & (i64::MAX as u64)) as i64;
        Self(if number == 0 { 1 } else { number })
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}
