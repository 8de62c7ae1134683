//! What a try at a batch takes for known. Almost always nothing of a batch is in the books yet, so
//! the first try presumes just that and spares itself the question: that no order of it is there,
//! and that nobody has units of an item with a limit of 1. Both are what unique keys refuse (I-4),
//! so what is committed is what the fold of the real rows would have written. If a key refuses, the
//! try is rolled back whole, and the next one asks.

use std::collections::{BTreeMap, BTreeSet};

use ids::{ItemId, OrderId, ShardNo};

use super::Error;
use crate::domain::Guard;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// All of it is new.
    Presumed,
    /// The books are asked.
    Asked {
        /// Orders that a unique key refused all the same.
        barred: BTreeSet<OrderId>,
    },
}

impl Basis {
    /// That of the next try, after keys refused `refused` of this one.
    pub(super) fn after(self, refused: Vec<OrderId>) -> Result<Self, Error> {
        let Self::Asked { mut barred } = self else {
            return Ok(Self::Asked { barred: BTreeSet::new() });
        };
        let before = barred.len();
        barred.extend(refused);
        // Each try bars another hold of the batch, so a damaged row can't block its partition.
        if barred.len() == before {
            let what = "a key refuses an order that is rejected anyway";
            return Err(Error::Damaged(what.to_owned()));
        }
        Ok(Self::Asked { barred })
    }

    /// Whether the books have to be asked how many units users have of `item`. An item has one
    /// limit in all of its shards, and its users' only slots are known by a key if that is 1.
    pub(super) fn counts_units_of(&self, item: ItemId, guards: &BTreeMap<ShardNo, Guard>) -> bool {
        let mut known = guards.values().filter(|guard| guard.item == item).peekable();
        let is_kept_by_a_key =
            known.peek().is_some() && known.all(|guard| guard.limit_per_user == 1);
        *self != Self::Presumed || !is_kept_by_a_key
    }
}
