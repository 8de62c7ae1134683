//! How values stand in the rows of every SQL keeper. A value that the domain can't have written is
//! an error, not a guess.

use std::time::Duration;

use ids::{Epoch, ItemId, SaleId, ShardNo};

use super::Error;
use crate::domain::sale::Phase;

impl Error {
    pub(super) fn lost_row() -> Self {
        Self("a row that was just written isn't there".to_owned())
    }

    pub(super) fn damaged(what: &str) -> Self {
        Self(format!("the catalog holds {what} that it can't have written"))
    }
}

/// Times and lengths stay far below 2^63 ms; what doesn't is as good as the end of time.
pub(super) fn to_db(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn sale_id(bytes: &[u8]) -> Result<SaleId, Error> {
    SaleId::try_from(bytes).map_err(|_| Error::damaged("a sale id"))
}

pub(super) fn item_id(bytes: &[u8]) -> Result<ItemId, Error> {
    ItemId::try_from(bytes).map_err(|_| Error::damaged("an item id"))
}

/// The number of a new shard where others have `seen` more than the `highest` that this catalog
/// gave; else the store may count on by itself.
pub(super) fn number_above(seen: u32, highest: i64) -> Result<Option<u32>, Error> {
    if i64::from(seen) <= highest {
        return Ok(None);
    }
    seen.checked_add(1).map(Some).ok_or_else(|| Error("there are no shard numbers left".to_owned()))
}

pub(super) fn shard_no(number: u32) -> Result<ShardNo, Error> {
    ShardNo::new(number).map_err(|_| Error::damaged("a shard number"))
}

pub(super) fn epoch(number: i64) -> Result<Option<Epoch>, Error> {
    Epoch::from_wire(number).map_err(|_| Error::damaged("an epoch"))
}

pub(super) fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::New => "NEW",
        Phase::Loading => "LOADING",
        Phase::Open => "OPEN",
        Phase::Retired => "RETIRED",
    }
}

pub(super) fn phase(text: &str) -> Result<Phase, Error> {
    match text {
        "NEW" => Ok(Phase::New),
        "LOADING" => Ok(Phase::Loading),
        "OPEN" => Ok(Phase::Open),
        "RETIRED" => Ok(Phase::Retired),
        _ => Err(Error::damaged("a phase")),
    }
}
