//! The items that this gateway knows: immutable facts, each with the cells that hear of its stock.
//! Bounded; an item that nobody asks for is forgotten, and then its stock isn't listened for. That
//! there is no such item is known for a moment too, apart from those that there are.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use ids::{ItemId, UserId};

use crate::{
    domain::{
        admission::Heard,
        item::{Item, Shard},
    },
    expiry::Spread,
    stock::{Cell, StockView},
    upstream::{Inventory, ReadError},
};

/// An item and what is heard of its shards.
#[derive(Debug)]
pub(crate) struct KnownItem {
    pub(crate) facts: Item,
    /// One for each shard, in their order.
    cells: Vec<Arc<Cell>>,
}

impl KnownItem {
    /// The shard that serves a user, and what was heard of it at most `fresh` ago.
    pub(crate) fn shard_for(
        &self,
        user: UserId,
        now: Duration,
        fresh: Duration,
    ) -> (Shard, Option<Heard>) {
        let place = self.facts.place_for(user);
        (self.facts.shards[place], self.cells[place].heard(now, fresh))
    }

    /// What is heard of the shard that serves a user.
    pub(crate) fn cell_for(&self, user: UserId) -> &Cell {
        &self.cells[self.facts.place_for(user)]
    }

    /// The first shard, and what is heard of it: any of them knows when the sale is over.
    pub(crate) fn first(&self) -> (Shard, &Cell) {
        (self.facts.shards[0], &self.cells[0])
    }

    /// Units left over all shards; `None` if one of them wasn't heard of lately.
    pub(crate) fn units_left(&self, now: Duration, fresh: Duration) -> Option<u32> {
        let mut levels = self.cells.iter().map(|cell| cell.level(now, fresh));
        levels.try_fold(0_u32, |sum, level| Some(sum.saturating_add(level?.units_left)))
    }
}

/// All items that this gateway knows.
#[derive(Debug)]
pub(crate) struct Items {
    known: moka::future::Cache<ItemId, Arc<KnownItem>>,
    /// No items of a scheduled sale, lately. Ids that somebody makes up must not push out real
    /// ones.
    missing: moka::future::Cache<ItemId, ()>,
    inventory: Inventory,
    stock: Arc<StockView>,
    read_limit: Duration,
}

impl Items {
    /// Knows none; remembers at most `known_max`, each until it wasn't asked for during `idle`, and
    /// as many that are missing, each for `missing_for`.
    pub(crate) fn new(
        inventory: Inventory,
        stock: Arc<StockView>,
        known_max: u64,
        idle: Duration,
        missing_for: Duration,
        read_limit: Duration,
    ) -> Self {
        let known = moka::future::Cache::builder().max_capacity(known_max).time_to_idle(idle);
        let spread = Spread { at_most: missing_for };
        let missing = moka::future::Cache::builder().max_capacity(known_max).expire_after(spread);
        Self { known: known.build(), missing: missing.build(), inventory, stock, read_limit }
    }

    /// An item that is known already. Asks nobody and waits for nothing.
    pub(crate) fn known(&self, id: ItemId) -> Option<Arc<KnownItem>> {
        self.known.get(&id).now_or_never().flatten()
    }

    /// An item of a scheduled sale. However many ask at once, the catalog is asked once.
    pub(crate) async fn get(&self, id: ItemId) -> Result<Arc<KnownItem>, ReadError> {
        if let Some(known) = self.known.get(&id).await {
            return Ok(known);
        }
        if self.missing.contains_key(&id) {
            return Err(ReadError::NotFound);
        }
        let ask = async {
            let facts = self.inventory.item(id, self.read_limit).await;
            if facts == Err(ReadError::NotFound) {
                self.missing.insert(id, ()).await;
            }
            Ok(self.with_cells(facts?))
        };
        self.known.try_get_with(id, ask).await.map_err(|error: Arc<ReadError>| (*error).clone())
    }

    /// Remembers an item that came with its sale.
    pub(crate) async fn adopt(&self, item: Item) -> Arc<KnownItem> {
        self.known.get_with(item.id, async { self.with_cells(item) }).await
    }

    fn with_cells(&self, facts: Item) -> Arc<KnownItem> {
        let cells = facts.shards.iter().map(|shard| self.stock.cell(shard.no)).collect();
        Arc::new(KnownItem { facts, cells })
    }
}
