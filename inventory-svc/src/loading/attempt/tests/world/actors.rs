//! Who does something in the small world, and how far they are.

use std::{collections::BTreeSet, time::Duration};

use ids::Epoch;

use super::stores::Buyer;
use crate::{
    domain::sale::Phase,
    loading::attempt::{Action, Attempt},
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Purchase {
    /// The lease was looked at, then the call was sent.
    Sent {
        epoch: Epoch,
        at: Duration,
    },
    Held {
        epoch: Epoch,
        at: Duration,
    },
}

pub(super) struct Loader {
    pub(super) attempt: Attempt,
    pub(super) seen: (Phase, Option<Epoch>),
    pub(super) is_frozen: bool,
    pub(super) staged_on: Option<(u32, BTreeSet<Buyer>)>,
}

/// A call that nobody waits for any more.
pub(super) struct Late {
    pub(super) action: Action,
    pub(super) to: Epoch,
    pub(super) seen: (Phase, Option<Epoch>),
    pub(super) staged_on: Option<(u32, BTreeSet<Buyer>)>,
}
