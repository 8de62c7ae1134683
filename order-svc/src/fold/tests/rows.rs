//! The smallest books: rows in maps. Like the real ones they refuse what would break a constraint,
//! and like them they show a batch only what it touches.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ids::{CommandId, Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use journal::record::{Command, ItemOpened, PlacedHold, Record};

use crate::{
    domain::{Guard, Order},
    fold::{Entry, GuardChange, Outcome, Touched, View, fold},
};

pub(super) const PARTITION: u32 = 3;
pub(super) const NOW_MS: u64 = 1_700_000_000_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) guards: BTreeMap<ShardNo, Guard>,
    pub(super) orders: BTreeMap<OrderId, Order>,
    pub(super) dead_letters: BTreeSet<(u64, [u8; 32], String)>,
}

impl Rows {
    pub(super) fn apply(&mut self, entries: &[Entry]) -> Outcome {
        let outcome = fold(self.view(&Touched::by(entries)), PARTITION, entries, NOW_MS);
        self.write(&outcome);
        self.obey_the_law();
        outcome
    }

    fn view(&self, touched: &Touched) -> View {
        let guards: BTreeMap<_, _> =
            touched.shards.iter().filter_map(|s| self.guards.get_key_value(s)).map(own).collect();
        let orders = touched.orders.iter().filter_map(|id| self.orders.get(id));
        let orders = orders.map(|order| (order.id, order.state)).collect();
        let mut user_units = BTreeMap::new();
        for (item, users) in touched.users(&guards) {
            for user in users {
                user_units.insert((item, user), self.units(item, user));
            }
        }
        View { guards, orders, user_units, barred: BTreeSet::new() }
    }

    fn units(&self, item: ItemId, user: UserId) -> u64 {
        let live = self.orders.values().filter(|order| order.state.is_live());
        let theirs = live.filter(|order| order.item == item && order.user == user);
        theirs.map(|order| u64::from(order.quantity)).sum()
    }

    fn write(&mut self, outcome: &Outcome) {
        for order in &outcome.orders {
            let old = self.orders.insert(order.id, order.clone());
            assert_eq!(old, None, "I-4: an order is written once");
        }
        for change in &outcome.guards {
            match change {
                GuardChange::Opened(guard) => {
                    let old = self.guards.insert(guard.shard, guard.clone());
                    assert_eq!(old, None, "a guard row is opened once");
                }
                GuardChange::Moved { shard, sold_more, open_epoch } => {
                    let guard = self.guards.get_mut(shard).expect("only a known row moves");
                    guard.sold += sold_more;
                    guard.open_epoch = *open_epoch;
                }
            }
        }
        let letters = outcome.dead_letters.iter();
        self.dead_letters.extend(letters.map(|l| (l.offset, l.digest, l.reason.clone())));
    }

    fn obey_the_law(&self) {
        for guard in self.guards.values() {
            let live: Vec<_> = self.live(guard.shard).collect();
            let units = live.iter().map(|order| u64::from(order.quantity)).sum();
            assert_eq!(guard.sold, units, "the guard counts the rows");
            law::no_oversell(guard.total, units).unwrap();
            for order in live {
                let units = self.units(order.item, order.user);
                law::within_limit(guard.limit_per_user, units).unwrap();
            }
        }
    }

    pub(super) fn live(&self, shard: ShardNo) -> impl Iterator<Item = &Order> {
        let of_shard = move |order: &&Order| order.id.shard() == shard && order.state.is_live();
        self.orders.values().filter(of_shard)
    }
}

fn own((shard, guard): (&ShardNo, &Guard)) -> (ShardNo, Guard) {
    (*shard, guard.clone())
}

pub(super) fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

pub(super) fn epoch(number: i64) -> Option<Epoch> {
    Epoch::from_wire(number).unwrap()
}

pub(super) fn user(name: u8) -> UserId {
    UserId::from_bytes([name; 16])
}

pub(super) fn order(shard: ShardNo, name: u8) -> OrderId {
    OrderId::mint(shard, [name; 12])
}

pub(super) fn hold(order: OrderId, user: UserId, quantity: u32) -> PlacedHold {
    let traceparent = String::new();
    PlacedHold { order, user, quantity, unit_price: 990, taken_at_ms: NOW_MS, traceparent }
}

/// All shards are parts of one item, as wide as the limit's rule goes.
pub(super) fn opened(total: u32, limit_per_user: u32) -> Command {
    Command::ItemOpened(ItemOpened {
        sale: SaleId::from_bytes([1; 16]),
        item: ItemId::from_bytes([2; 16]),
        total,
        limit_per_user,
        unit_price: 990,
        currency: "EUR".to_owned(),
        pay_within_s: 900,
    })
}

/// An entry whose bytes differ from those of every other offset.
pub(super) fn entry(offset: u64, content: Option<(ShardNo, Command)>) -> Entry {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&offset.to_be_bytes());
    let decoded = content
        .map(|(shard, command)| Record {
            command_id: CommandId::from_bytes([0; 16]),
            shard,
            command,
        })
        .ok_or_else(|| "not a record".to_owned());
    Entry { offset, digest, bytes: Bytes::copy_from_slice(&offset.to_be_bytes()), decoded }
}
