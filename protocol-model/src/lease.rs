//! Leases without a clock. A lease may run as long as nothing proves that it is over: who says
//! less and asks less because its lease has run out early does nothing that could break a promise.
//! What proves it is a loader's wait: 2 L after it closed the ledger, whatever was stamped before
//! is over, and so is what was built on that (epoch leases last L/2, a lease on ACCEPTED L).

use crate::{
    buyers::Purchase,
    settings::{Removed, Settings},
    world::World,
};

/// One lease: of an epoch, or on saying ACCEPTED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Lease {
    /// The loaders, a bit each, whose running attempt has closed the ledger since it was stamped.
    closed_since: u8,
    pub(crate) is_lapsed: bool,
}

impl World {
    /// A loader has heard that the ledger is closed: what is stamped from now on, its wait doesn't
    /// cover.
    pub(crate) fn loader_has_closed(&mut self, loader: usize) {
        self.leases(|lease| {
            if !lease.is_lapsed {
                lease.closed_since |= 1 << loader;
            }
        });
    }

    /// A loader has waited.
    pub(crate) fn leases_end(&mut self, settings: &Settings, loader: usize) {
        self.leases(|lease| {
            if lease.closed_since & (1 << loader) != 0 {
                *lease = Lease { closed_since: 0, is_lapsed: true };
            }
        });
        // Nobody looks at these any more.
        for service in &mut self.services {
            if !settings.is_removed(Removed::LeaseInGetOrder) {
                service.view = service.view.filter(|view| !view.lease.is_lapsed);
            }
            if !settings.is_removed(Removed::LeaseStampedFirst) {
                service.heard_soon = service.heard_soon.filter(|view| !view.lease.is_lapsed);
            }
        }
    }

    /// A loader's attempt has ended.
    pub(crate) fn forget_loader(&mut self, loader: usize) {
        self.leases(|lease| lease.closed_since &= !(1 << loader));
    }

    fn leases(&mut self, change: impl Fn(&mut Lease)) {
        for service in &mut self.services {
            for view in service.view.iter_mut().chain(&mut service.heard_soon) {
                change(&mut view.lease);
            }
        }
        for purchase in &mut self.purchases {
            match purchase {
                Purchase::Leased { lease, .. } | Purchase::Held { lease, .. } => change(lease),
                Purchase::Idle | Purchase::Done => {}
            }
        }
    }
}
