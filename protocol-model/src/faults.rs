//! What goes wrong in the stores. The catalog and the books may be restored from any earlier
//! state, Redis from the one that it had when its replica fell behind.

use std::sync::Arc;

use crate::{
    keeper::{Connection, Naming},
    settings::{Fault, Removed, Settings},
    world::{Event, World},
};

impl World {
    /// The faults that may happen now.
    pub(crate) fn store_faults(&self, events: &mut Vec<Event>) {
        let has = |fault| self.faults.has(fault);
        let redis = &self.redis;
        if has(Fault::FailOver) && redis.before.is_none() {
            if redis.replica.is_none() {
                events.push(Event::Lag);
            }
            events.push(Event::FailOver(false));
            if has(Fault::Split) {
                events.push(Event::FailOver(true));
            }
        }
        if has(Fault::Empty) && redis.before.is_none() {
            events.push(Event::ComeBackEmpty);
        }
        if has(Fault::LostTail) {
            events.extend((0..self.log.end()).map(Event::LoseTail));
        }
        events.extend((0..self.catalog.copies().len()).map(Event::RestoreCatalog));
        if has(Fault::NumberAgain) {
            events.push(Event::GiveAgain);
        }
        events.extend((0..self.books.copies().len()).map(Event::RestoreBooks));
    }

    pub(crate) fn fail_over(&mut self, settings: &Settings, is_split: bool) -> Option<()> {
        let replica = self.redis.take_replica();
        self.faults.spend(Fault::FailOver);
        if is_split {
            self.faults.spend(Fault::Split);
            for service in &mut self.services {
                service.connection = Connection::Before;
            }
        }
        self.redis.replace(replica, is_split, naming(settings));
        Some(())
    }

    pub(crate) fn come_back_empty(&mut self, settings: &Settings) {
        self.faults.spend(Fault::Empty);
        self.redis.replica = None;
        self.redis.replace(Arc::default(), false, naming(settings));
    }

    /// Whoever still had a connection to it connects again.
    pub(crate) fn old_ends(&mut self) -> Option<()> {
        self.redis.before.take()?;
        for service in &mut self.services {
            service.connection = Connection::Now;
        }
        Some(())
    }

    pub(crate) fn lose_tail(&mut self, offset: u64) {
        self.faults.spend(Fault::LostTail);
        self.log.lose_from(offset);
    }

    pub(crate) fn restore_catalog(&mut self, copy: usize) -> Option<()> {
        self.catalog.restore(copy)?;
        self.faults.spend(Fault::OldCatalog);
        self.keep_copies();
        Some(())
    }

    pub(crate) fn give_again(&mut self) {
        self.faults.spend(Fault::NumberAgain);
        self.catalog.give_again();
    }

    pub(crate) fn restore_books(&mut self, copy: usize) -> Option<()> {
        self.books.restore(copy)?;
        self.faults.spend(Fault::OldBooks);
        self.keep_copies();
        Some(())
    }

    /// Copies are kept as long as one may be restored.
    pub(crate) fn keep_copies(&mut self) {
        self.catalog.keep_copies(self.faults.has(Fault::OldCatalog));
        self.books.keep_copies(self.faults.has(Fault::OldBooks));
    }
}

fn naming(settings: &Settings) -> Naming {
    if settings.is_removed(Removed::Fence) || settings.is_removed(Removed::FenceAndGuard) {
        Naming::Alike
    } else if settings.is_removed(Removed::IdentityOfItsOwn) {
        Naming::ByMachine
    } else {
        Naming::Fresh
    }
}
