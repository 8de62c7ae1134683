//! What becomes of watched orders. The books are asked for all of them at once, the ledger for
//! those without a row. Books that can't be asked are no news.

use std::{collections::BTreeMap, time::Duration};

use chassis::Clock;
use ids::{OrderId, ShardNo, UserId};

use super::News;
use crate::{
    domain::order::{Became, Next},
    orders::Inquiry,
    upstream::{ReadError, Until, inventory, orders},
};

/// An order is watched for one user: to anybody else it isn't there.
pub(crate) type Key = (OrderId, UserId);

/// Who watches orders: of the places, each account has a few.
pub(crate) type Watchers = super::Watchers<Key, Became, UserId>;

impl News for Became {
    fn may_become(&self, next: &Self) -> bool {
        self.may_become(next)
    }

    fn is_final(&self) -> bool {
        self.is_final()
    }
}

/// Asks once for everything that is watched.
pub(crate) async fn poll(watchers: &Watchers, inquiry: &Inquiry, clock: &Clock, limit: Duration) {
    for keys in watchers.keys().chunks(orders::FIND_LEN_MAX) {
        let found = find(inquiry, keys, Until::within(clock, limit)).await;
        // The others may be told all the same.
        let Ok(mut found) = found else { continue };
        let mut rowless: BTreeMap<ShardNo, Vec<Key>> = BTreeMap::new();
        for key in keys {
            match found.of_user(key.0, key.1) {
                Some(row) => watchers.tell(key, Became::Recorded(row)),
                None => rowless.entry(key.0.shard()).or_default().push(*key),
            }
        }
        for (shard, keys) in rowless {
            // Who was told so already is told nothing new: to bar their orders again and again
            // would let nothing come of their next attempts. What is under way here mustn't be
            // barred, and is asked for apart: a question that names it bars none of the others.
            let needs_no_bar = |key: &Key| {
                watchers.last(key) == Some(Became::NotPlaced) || inquiry.under_way.has(key.0)
            };
            let (as_is, to_bar): (Vec<_>, Vec<_>) = keys.into_iter().partition(needs_no_bar);
            for (keys, bars) in [(as_is, false), (to_bar, true)] {
                for keys in keys.chunks(inventory::FIND_LEN_MAX) {
                    let until = Until::within(clock, limit);
                    ask_ledger(watchers, inquiry, (shard, bars), keys, until).await;
                }
            }
        }
    }
}

async fn find(inquiry: &Inquiry, keys: &[Key], until: Until) -> Result<orders::Found, ReadError> {
    let ids: Vec<_> = keys.iter().map(|(order, _)| *order).collect();
    inquiry.books.find(&ids, until).await
}

async fn ask_ledger(
    watchers: &Watchers,
    inquiry: &Inquiry,
    (shard, bars): (ShardNo, bool),
    keys: &[Key],
    until: Until,
) {
    let ids: Vec<_> = keys.iter().map(|(order, _)| *order).collect();
    let says = inquiry.beyond_books(shard, &ids, bars, until).await;
    let mut retired = Vec::new();
    for (key, next) in keys.iter().zip(says) {
        match next {
            Next::Say(became) => watchers.tell(key, became),
            Next::Nothing => {}
            // The next poll does, soon enough.
            Next::AskBooksAgain => watchers.tell(key, Became::Processing),
            Next::AskBooksOf { last } => retired.push((*key, last)),
        }
    }
    let keys: Vec<_> = retired.iter().map(|(key, _)| *key).collect();
    if keys.is_empty() {
        return;
    }
    let Ok(mut found) = find(inquiry, &keys, until).await else { return };
    let open = found.open_epoch(shard);
    for (key, last) in retired {
        let became = match found.of_user(key.0, key.1) {
            Some(row) => Became::Recorded(row),
            None => Became::without_row(last, open),
        };
        watchers.tell(&key, became);
    }
}
