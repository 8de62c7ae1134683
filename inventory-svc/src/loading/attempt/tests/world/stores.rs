//! What the stores of the small world hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ids::Epoch;

pub(super) type Buyer = u8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    ItemOpened,
    Changed { from: Option<Epoch>, to: Epoch },
    Placed { epoch: Epoch, buyer: Buyer },
}

#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) epoch: Epoch,
    pub(super) fence: u32,
    pub(super) stock: u64,
    /// True: the books have settled it.
    pub(super) known: BTreeMap<Buyer, bool>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) identity: u32,
    pub(super) mark: Option<Epoch>,
    pub(super) staged: Option<(Epoch, u32, BTreeSet<Buyer>)>,
    pub(super) loaded: Option<Loaded>,
}

impl Ledger {
    /// What can be read: none once it was lost or restored.
    pub(super) fn readable(&mut self) -> Option<&mut Loaded> {
        let identity = self.identity;
        self.loaded.as_mut().filter(|loaded| loaded.fence == identity)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Books {
    pub(super) has_row: bool,
    pub(super) open: Option<Epoch>,
    pub(super) read: usize,
    pub(super) orders: BTreeSet<Buyer>,
    /// They read nothing before this moment.
    pub(super) asleep_until: Duration,
}
