//! order-svc: reads on, folds, commits, and tells the ledger. It looks at the log before each
//! record as it does on each start: a reader whose log became shorter fails and begins anew
//! (KIP-320).

use ids::OrderId;
use inventory_svc::domain::Settled;
use journal::{Command, Record};

use crate::{
    books::{Rules, by_kind, settled},
    loader::Late,
    names,
    settings::{Fault, Removed, Settings},
    world::{Settling, World},
};

impl World {
    /// Whether there is something to read.
    pub(crate) fn can_consume(&self) -> bool {
        let pages = &self.books.pages;
        !pages.is_in_place(&self.log) || pages.position.next_offset < self.log.end()
    }

    /// Whether reading on would tell the ledger something.
    pub(crate) fn would_settle(&self) -> bool {
        let pages = &self.books.pages;
        let next = self.log.get(pages.position.next_offset).map(|record| &record.command);
        pages.is_in_place(&self.log) && matches!(next, Some(Command::HoldsPlaced { .. }))
    }

    /// The order whose row could be barred now: one that was promised to nobody, and that nobody
    /// is about to promise. A ledger that takes what the books refuse is wrong, and who promises
    /// on it is not at fault.
    pub(crate) fn could_be_barred(&self, settings: &Settings) -> Option<OrderId> {
        let pages = &self.books.pages;
        let record = self.log.get(pages.position.next_offset)?;
        let Command::HoldsPlaced { holds, .. } = &record.command else { return None };
        let order = holds.first()?.order;
        let is_new = !pages.rows.contains_key(&order);
        let is_promised = self.told.is_accepted(order) || self.has_in_flight(settings, order);
        (pages.is_in_place(&self.log) && is_new && !is_promised).then_some(order)
    }

    pub(crate) fn consume(
        &mut self,
        settings: &Settings,
        settling: Settling,
        barred: Option<OrderId>,
    ) -> Option<()> {
        if !self.books.pages.is_in_place(&self.log) {
            self.books.pages_mut().rewind();
            return Some(());
        }
        let rules = Rules { has_no_guard: settings.is_removed(Removed::FenceAndGuard), barred };
        let mut next = self.books.pages.position.next_offset;
        let mut records = vec![self.log.get(next)?.clone()];
        next += 1;
        if settings.is_removed(Removed::FoldInLogOrder)
            && let Some(second) = self.log.get(next)
        {
            records.push(second.clone());
            by_kind(&mut records);
            next += 1;
        }
        let epoch_before = self.books.pages.open_epoch();
        let log = std::mem::take(&mut self.log);
        let outcome = self.books.pages_mut().apply(&records, next, &log, rules);
        self.log = log;
        if barred.is_some() {
            self.faults.spend(Fault::Barred);
        } else {
            self.told.is_alarmed |= !outcome.alarms.is_empty();
        }
        let generation = self.books.pages.position.generation;
        for ((_, epoch), decisions) in outcome.settles {
            let decisions = decisions.iter().map(|one| (one.order, settled(one.state))).collect();
            self.tell_ledger(settling, epoch, generation, decisions);
        }
        if settings.is_removed(Removed::SettleOnlyDecided)
            && let Some(open) = epoch_before
        {
            let decisions = ignored(&records, open);
            self.tell_ledger(settling, open, generation, decisions);
        }
        Some(())
    }

    fn tell_ledger(
        &mut self,
        settling: Settling,
        epoch: ids::Epoch,
        generation: u64,
        decisions: Vec<(OrderId, Settled)>,
    ) {
        match settling {
            Settling::Lost => {}
            Settling::Through(service) => {
                let connection = self.services[service].connection;
                self.settle(connection, epoch, Some(generation), &decisions);
            }
            Settling::Late(service) => {
                self.faults.spend(Fault::LateSettle);
                let connection = self.services[service].connection;
                self.late = Some(Late::Settle { connection, epoch, generation, decisions });
            }
        }
    }
}

/// Holds of other epochs, as if they were decided.
fn ignored(records: &[Record], open: ids::Epoch) -> Vec<(OrderId, Settled)> {
    let mut decisions = Vec::new();
    for record in records.iter().filter(|record| record.shard == names::shard()) {
        if let Command::HoldsPlaced { epoch, holds, .. } = &record.command
            && *epoch != open
        {
            decisions.extend(holds.iter().map(|hold| (hold.order, Settled::Placed)));
        }
    }
    decisions
}
