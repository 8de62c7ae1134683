//! What a batch touches, so that the books can be asked for just that before it is folded. Too much
//! costs time; too little would break the fold, so a property test folds with views cut down to
//! this.

use std::collections::{BTreeMap, BTreeSet};

use ids::{ItemId, OrderId, ShardNo, UserId};
use journal::record::{Command, Record};

use super::Entry;
use crate::domain::Guard;

/// Rows that a fold of some entries reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Touched {
    /// Guard rows.
    pub shards: BTreeSet<ShardNo>,
    /// Orders.
    pub orders: BTreeSet<OrderId>,
    users: BTreeSet<(ShardNo, UserId)>,
    /// The items of shards that have no guard row yet, should the batch open them.
    opened: BTreeMap<ShardNo, BTreeSet<ItemId>>,
}

impl Touched {
    /// By these entries.
    pub fn by(entries: &[Entry]) -> Self {
        let mut touched = Self::default();
        for record in entries.iter().filter_map(|entry| entry.decoded.as_ref().ok()) {
            touched.add(record);
        }
        touched
    }

    fn add(&mut self, record: &Record) {
        self.shards.insert(record.shard);
        match &record.command {
            Command::ItemOpened(opened) => {
                self.opened.entry(record.shard).or_default().insert(opened.item);
            }
            Command::EpochChanged { .. } => {}
            Command::HoldsPlaced { holds, .. } => {
                self.orders.extend(holds.iter().map(|hold| hold.order));
                self.users.extend(holds.iter().map(|hold| (record.shard, hold.user)));
            }
        }
    }

    /// Whose live units of which items, now that the guard rows are known.
    pub fn users(&self, guards: &BTreeMap<ShardNo, Guard>) -> BTreeMap<ItemId, BTreeSet<UserId>> {
        let mut users = BTreeMap::<_, BTreeSet<_>>::new();
        for (shard, user) in &self.users {
            let known = guards.get(shard).map(|guard| guard.item);
            let opened = self.opened.get(shard).filter(|_| known.is_none());
            for item in known.into_iter().chain(opened.into_iter().flatten().copied()) {
                users.entry(item).or_default().insert(*user);
            }
        }
        users
    }
}
