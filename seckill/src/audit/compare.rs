//! Which orders the two stores have, id by id: sums agree where one order is lost and another
//! belongs to nobody. Pure. The ledger was read before the books, so what the ledger has as decided
//! must be a row; a row that the ledger doesn't have may have come in between, and it is asked
//! again.

use std::collections::HashMap;

/// An order id, and what it is called.
pub(crate) type Id = [u8; 16];

/// How the ledger has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InLedger {
    Open(Units),
    Placed(Units),
    /// It was rejected or released.
    Tombstone,
}

/// How the books have an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InBooks {
    pub(super) units: Units,
    pub(super) is_live: bool,
}

/// Whose it is, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) user: Id,
    pub(super) quantity: u32,
}

/// What both stores say together of each order of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Compared {
    /// Decided in the ledger, and no row in the books.
    pub(crate) lost: Vec<Id>,
    /// Live in one store and dead in the other.
    pub(crate) contradicted: Vec<Id>,
    /// Another user or quantity in one store than in the other.
    pub(crate) altered: Vec<Id>,
    /// A row of which the ledger had nothing when it was read.
    pub(crate) unknown: Vec<Id>,
    /// Rows that are live.
    pub(crate) live: u64,
}

/// `books` were read after `ledger`, both in one epoch.
pub(super) fn compare(ledger: &HashMap<Id, InLedger>, books: &HashMap<Id, InBooks>) -> Compared {
    let mut compared = Compared::default();
    for (id, in_ledger) in ledger {
        let Some(row) = books.get(id) else {
            match in_ledger {
                InLedger::Open(_) => {}
                InLedger::Placed(_) | InLedger::Tombstone => compared.lost.push(*id),
            }
            continue;
        };
        match in_ledger {
            InLedger::Open(units) | InLedger::Placed(units) if *units != row.units => {
                compared.altered.push(*id);
            }
            InLedger::Placed(_) if !row.is_live => compared.contradicted.push(*id),
            InLedger::Tombstone if row.is_live => compared.contradicted.push(*id),
            InLedger::Open(_) | InLedger::Placed(_) | InLedger::Tombstone => {}
        }
    }
    compared.live = books.values().filter(|row| row.is_live).count() as u64;
    compared.unknown.extend(books.keys().filter(|id| !ledger.contains_key(*id)));
    for ids in [
        &mut compared.lost,
        &mut compared.contradicted,
        &mut compared.altered,
        &mut compared.unknown,
    ] {
        ids.sort_unstable();
    }
    compared
}

#[cfg(test)]
mod tests;
