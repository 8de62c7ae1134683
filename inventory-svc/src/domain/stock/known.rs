//! Everything that a shard knows of order ids, one by one, for the audit.

use ids::{Epoch, OrderId, UserId};

use super::{Found, Known, Stock};
use crate::domain::{Hold, OpenHold, Settled};

/// What an epoch knows, and the limit that it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOrders {
    /// The epoch that is loaded.
    pub epoch: Epoch,
    /// Units per user and item.
    pub limit_per_user: u32,
    /// Each order id once, in no order.
    pub orders: Vec<KnownOrder>,
}

/// What is known of one order id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownOrder {
    /// Its id.
    pub order: OrderId,
    /// Never [`Found::Nothing`] or [`Found::Unsure`].
    pub state: Found,
    /// Whose it is and its units; a tombstone keeps neither.
    pub units: Option<(UserId, u32)>,
}

impl Stock {
    /// All order ids that are known.
    pub fn known(&self) -> KnownOrders {
        let order = |(order, known): (&OrderId, &Known)| {
            let (state, units) = match known {
                Known::Open(OpenHold { hold: Hold { user, quantity, .. }, .. }) => {
                    (Found::Open, Some((*user, *quantity)))
                }
                Known::Placed { user, quantity } => {
                    (Found::Settled(Settled::Placed), Some((*user, *quantity)))
                }
                Known::Rejected => (Found::Settled(Settled::Rejected), None),
                Known::Released => (Found::Settled(Settled::Released), None),
            };
            KnownOrder { order: *order, state, units }
        };
        KnownOrders {
            epoch: self.epoch(),
            limit_per_user: self.opening.terms.limit_per_user,
            orders: self.orders.iter().map(order).collect(),
        }
    }
}
