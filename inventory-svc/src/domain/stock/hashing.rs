//! Hashes of stocks: equal ones hash alike, whatever the order in which their tables keep things.
//! It sorts all that there is, so it is for searches over small worlds, and not for a sale.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
};

use super::{Attempts, Staging, Stock};

impl Hash for Stock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            opening,
            left,
            version,
            generation,
            orders,
            users,
            waiting,
            attempts,
            open_units,
            placed_units,
        } = self;
        (opening, left, version, generation).hash(state);
        (waiting, open_units, placed_units).hash(state);
        sorted(orders).hash(state);
        sorted(users).hash(state);
        if let Some(Attempts { since_us, latest_us, turned_us, young, old }) = attempts {
            (since_us, latest_us, turned_us).hash(state);
            sorted(young).hash(state);
            sorted(old).hash(state);
        }
    }
}

impl Hash for Staging {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { orders, users, placed_units } = self;
        sorted(orders).hash(state);
        sorted(users).hash(state);
        placed_units.hash(state);
    }
}

fn sorted<K: Ord, V>(table: &HashMap<K, V>) -> Vec<(&K, &V)> {
    let mut rows: Vec<_> = table.iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}
