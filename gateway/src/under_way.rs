//! The orders that this gateway is carrying: from the moment that a batch takes one in until that
//! batch has ended, over all cores. The ledger may not have heard of them yet, so its "nothing"
//! proves nothing about them. An order stands here as long as one of its [`Mark`]s lives, and marks
//! live with those who wait, so it is bounded by the bounds of the coalescers and nothing is left
//! behind by a batch that panics.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ids::OrderId;

/// Enough for cores to meet seldom.
const STRIPES: usize = 16;

/// How often each order is being carried; never 0.
type Counts = HashMap<OrderId, usize>;

/// A set of orders, shared by all cores.
#[derive(Debug)]
pub(crate) struct UnderWay {
    stripes: [Mutex<Counts>; STRIPES],
}

/// Keeps an order under way until it is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    order: OrderId,
    all: Arc<UnderWay>,
}

impl UnderWay {
    /// Nothing is.
    pub(crate) fn new() -> Self {
        Self { stripes: std::array::from_fn(|_| Mutex::default()) }
    }

    /// An order is, from now on. The same order may be so several times.
    pub(crate) fn mark(self: &Arc<Self>, order: OrderId) -> Mark {
        *self.stripe(order).entry(order).or_default() += 1;
        Mark { order, all: Arc::clone(self) }
    }

    /// Whether an order is.
    pub(crate) fn has(&self, order: OrderId) -> bool {
        self.stripe(order).contains_key(&order)
    }

    fn stripe(&self, order: OrderId) -> MutexGuard<'_, Counts> {
        // The last byte is of a keyed hash, so it spreads.
        let place = usize::from(order.as_bytes()[15]) % STRIPES;
        self.stripes[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut stripe = self.all.stripe(self.order);
        let Some(count) = stripe.get_mut(&self.order) else { return };
        *count -= 1;
        if *count == 0 {
            stripe.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use ids::ShardNo;

    use super::*;

    fn order(last: u8) -> OrderId {
        let mut hash = [7; 12];
        hash[11] = last;
        OrderId::mint(ShardNo::new(1).unwrap(), hash)
    }

    #[test]
    fn an_order_is_under_way_until_its_last_mark_is_gone() {
        let all = Arc::new(UnderWay::new());
        let (first, second) = (all.mark(order(1)), all.mark(order(1)));
        assert!(all.has(order(1)));
        assert!(!all.has(order(1 + 16)), "another order of the same stripe");
        drop(first);
        assert!(all.has(order(1)));
        drop(second);
        assert!(!all.has(order(1)));
        assert!(all.stripes.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_panic_leaves_nothing_under_way() {
        let all = Arc::new(UnderWay::new());
        let mark = all.mark(order(1));
        let carry = std::panic::AssertUnwindSafe(|| {
            let _mark = mark;
            panic!("a batch that panics");
        });
        assert!(std::panic::catch_unwind(carry).is_err());
        assert!(!all.has(order(1)));
    }
}
