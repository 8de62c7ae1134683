//! What becomes of open holds that the books have not settled (protocol section 6): those that the
//! books know are settled, the rest is published again from its record, in the epoch that it was
//! taken in. It never gives units back (law A). Pure: which holds are due is the ledger's to say,
//! and what is published is put off by the job around this.

pub mod turns;

use std::collections::HashMap;

use ids::{CommandId, OrderId, ShardNo};
use journal::{Command, PlacedHold, Record};

use crate::{
    domain::{Hold, OpenHold, Place, Settled},
    ledger::Holds,
};

/// Holds in one record. Below what a record may have, so that a few large ones don't delay the
/// records of buyers who are waiting.
pub const RECORD_HOLDS: usize = 256;

/// What the books say of the due holds of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Those that they know.
    pub decided: HashMap<OrderId, Settled>,
    /// The generation of their position row, read before the orders were; none if they didn't say.
    pub generation: Option<u64>,
}

/// What to do about the due holds of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To tell the ledger, in the holds' epoch.
    pub settle: Vec<(OrderId, Settled)>,
    /// To append to the log, each as one record.
    pub publish: Vec<Group>,
    /// How many due holds are left over.
    pub left: usize,
    /// The books are an older copy than the ledger has heard of: the shard must be loaded.
    pub books_are_older: bool,
}

/// Holds for one record, and where they wait: once the record is acknowledged they are put off. A
/// record that wasn't is no reason to doubt a hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// What the record says.
    pub holds: Vec<Hold>,
    /// One for each hold.
    pub places: Vec<Place>,
}

/// What to do about `due`, publishing no more than `budget` holds. What is left over stays due.
pub fn plan(due: Holds, known: &Known, budget: usize) -> Plan {
    let Holds { epoch: _, generation, holds } = due;
    let mut plan = Plan {
        // The ledger was asked before the books were, so books that are the same copy have gone at
        // least as far.
        books_are_older: known.generation.is_some_and(|theirs| theirs < generation),
        ..Plan::default()
    };
    let mut publish = Vec::new();
    for open in holds {
        match known.decided.get(&open.hold.order) {
            Some(settled) => plan.settle.push((open.hold.order, *settled)),
            None if publish.len() < budget => publish.push(open),
            None => plan.left += 1,
        }
    }
    plan.publish = in_records(publish);
    plan
}

/// The same holds in groups of at most [`RECORD_HOLDS`], in their order.
fn in_records(open: Vec<OpenHold>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for open in open {
        if groups.last().is_none_or(|group| group.holds.len() >= RECORD_HOLDS) {
            groups.push(Group::default());
        }
        if let Some(group) = groups.last_mut() {
            group.places.push(open.place());
            group.holds.push(open.hold);
        }
    }
    groups
}

/// The journal's record of holds that were taken in `epoch`. It doesn't say of which item they are:
/// the ledger doesn't know, and a catalog that was restored may show another one for the number.
pub fn record(id: CommandId, shard: ShardNo, epoch: ids::Epoch, holds: &[Hold]) -> Record {
    let holds = holds
        .iter()
        .map(|hold| PlacedHold {
            order: hold.order,
            user: hold.user,
            quantity: hold.quantity,
            unit_price: hold.unit_price,
            taken_at_ms: hold.taken_at_ms,
            traceparent: hold.traceparent.clone(),
        })
        .collect();
    let command = Command::HoldsPlaced { epoch, item: None, holds };
    Record { command_id: id, shard, command }
}

#[cfg(test)]
mod tests;
