//! The books: rows, the guard, the position, and older copies that they may be restored from. What
//! a record means is the code's own fold, one record a transaction (its result doesn't depend on
//! the borders of batches, which order-svc's property tests show). Where reading goes on is the
//! code's own rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ids::{Epoch, ItemId, OrderId, UserId};
use inventory_svc::domain::{Settled, StagedOrder};
use journal::{Command, Record};
use law::OrderState;
use order_svc::{
    Guard, Order, Place,
    books::Position,
    fold::{Entry, GuardChange, Outcome, View, fold},
    place,
};

use crate::{
    log::Log,
    names::{NOW_MS, PARTITION, shard},
};

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) item: ItemId,
    pub(crate) user: UserId,
    pub(crate) quantity: u32,
    pub(crate) state: OrderState,
}

/// What one copy of the books has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pages {
    pub(crate) guard: Option<Guard>,
    pub(crate) rows: BTreeMap<OrderId, Row>,
    pub(crate) position: Position,
}

/// The books, and copies of them from some time ago.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Books {
    pub(crate) pages: Arc<Pages>,
    /// None if no copy is ever restored.
    copies: Option<Vec<Arc<Pages>>>,
}

/// What a load reads in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    pub(crate) total: u64,
    pub(crate) sold: u64,
    pub(crate) generation: u64,
    pub(crate) orders: Vec<StagedOrder>,
}

/// How a batch goes into the books.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// The guard never refuses.
    pub(crate) has_no_guard: bool,
    /// A unique key refuses this order.
    pub(crate) barred: Option<OrderId>,
}

impl Books {
    pub(crate) fn new() -> Self {
        let position = Position { next_offset: 0, generation: 0, last_digest: None };
        let pages = Pages { guard: None, rows: BTreeMap::new(), position };
        Self { pages: Arc::new(pages), copies: None }
    }

    /// For the next transaction.
    pub(crate) fn pages_mut(&mut self) -> &mut Pages {
        if let Some(copies) = &mut self.copies {
            copies.push(Arc::clone(&self.pages));
        }
        Arc::make_mut(&mut self.pages)
    }

    /// Whether copies are made from now on.
    pub(crate) fn keep_copies(&mut self, keeps: bool) {
        self.copies = keeps.then(Vec::new);
    }

    pub(crate) fn copies(&self) -> &[Arc<Pages>] {
        self.copies.as_deref().unwrap_or_default()
    }

    pub(crate) fn restore(&mut self, copy: usize) -> Option<()> {
        self.pages = Arc::clone(self.copies().get(copy)?);
        Some(())
    }
}

impl Pages {
    pub(crate) fn open_epoch(&self) -> Option<Epoch> {
        self.guard.as_ref().and_then(|guard| guard.open_epoch)
    }

    /// Units of live orders.
    pub(crate) fn live_units(&self) -> u64 {
        let live = self.rows.values().filter(|row| row.state.is_live());
        live.map(|row| u64::from(row.quantity)).sum()
    }

    /// What the books say of an order, as the ledger is told.
    pub(crate) fn decided(&self, order: OrderId) -> Option<Settled> {
        self.rows.get(&order).map(|row| settled(row.state))
    }

    /// Whether the log shows before the position what the books have read there.
    pub(crate) fn is_in_place(&self, log: &Log) -> bool {
        match place(self.position.next_offset, 0, log.end()) {
            Place::UnreadGone => false,
            Place::NothingBefore => true,
            Place::BehindTheEnd => false,
            Place::After(offset) => log.digest(offset) == self.position.last_digest,
        }
    }

    /// To read the log again from its start.
    pub(crate) fn rewind(&mut self) {
        let generation = self.position.generation + 1;
        self.position = Position { next_offset: 0, generation, last_digest: None };
    }

    /// Folds records into the books, in the order that they are given in, and moves the position
    /// behind `next`.
    pub(crate) fn apply(
        &mut self,
        records: &[Record],
        next: u64,
        log: &Log,
        rules: Rules,
    ) -> Outcome {
        let entries: Vec<_> = records.iter().map(|record| entry(record.clone())).collect();
        let outcome = fold(self.view(rules), PARTITION, &entries, NOW_MS);
        for order in &outcome.orders {
            let Order { item, user, quantity, state, .. } = *order;
            let row = Row { item, user, quantity, state };
            let before = self.rows.insert(order.id, row);
            assert_eq!(before, None, "I-4: the primary key refuses a second row");
        }
        for change in &outcome.guards {
            match change {
                GuardChange::Opened(guard) => self.guard = Some(guard.clone()),
                GuardChange::Moved { sold_more, open_epoch, .. } => {
                    let guard = self.guard.as_mut().expect("a row that moves is there");
                    guard.sold += sold_more;
                    guard.open_epoch = *open_epoch;
                }
            }
        }
        self.position = Position {
            next_offset: next,
            generation: self.position.generation + 1,
            last_digest: next.checked_sub(1).and_then(|offset| log.digest(offset)),
        };
        outcome
    }

    fn view(&self, rules: Rules) -> View {
        let mut view = View {
            orders: self.rows.iter().map(|(order, row)| (*order, row.state)).collect(),
            barred: rules.barred.into_iter().collect::<BTreeSet<_>>(),
            ..View::default()
        };
        if let Some(guard) = &self.guard {
            for row in self.rows.values().filter(|row| row.state.is_live()) {
                *view.user_units.entry((guard.item, row.user)).or_default() +=
                    u64::from(row.quantity);
            }
            let mut guard = guard.clone();
            if rules.has_no_guard {
                guard.total = u64::MAX;
            }
            view.guards.insert(shard(), guard);
        }
        view
    }

    /// All that a load needs.
    pub(crate) fn snapshot(&self, has_tombstones: bool) -> Option<Snapshot> {
        let guard = self.guard.as_ref()?;
        let staged = |(order, row): (&OrderId, &Row)| StagedOrder {
            order: *order,
            user: row.user,
            quantity: row.quantity,
            state: settled(row.state),
        };
        let is_staged = |order: &StagedOrder| has_tombstones || order.state != Settled::Rejected;
        Some(Snapshot {
            total: guard.total,
            sold: guard.sold,
            generation: self.position.generation,
            orders: self.rows.iter().map(staged).filter(is_staged).collect(),
        })
    }
}

fn entry(record: Record) -> Entry {
    Entry { offset: 0, digest: [0; 32], bytes: Default::default(), decoded: Ok(record) }
}

/// What the ledger is told of an order's state.
pub(crate) fn settled(state: OrderState) -> Settled {
    match state {
        OrderState::Placed | OrderState::Paid => Settled::Placed,
        OrderState::Cancelled | OrderState::Expired => Settled::Released,
        OrderState::Rejected => Settled::Rejected,
    }
}

/// Changes of the epoch first, as a fold by kind would.
pub(crate) fn by_kind(records: &mut [Record]) {
    records.sort_by_key(|record| match record.command {
        Command::ItemOpened(_) => 0,
        Command::EpochChanged { .. } => 1,
        Command::HoldsPlaced { .. } => 2,
    });
}
