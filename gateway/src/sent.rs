//! The orders that this gateway has sent on lately: they are never cut by the sold-out flag, since
//! one of them may be the order that holds the last unit. Bounded: the oldest are forgotten, half
//! of them at a time.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use ids::OrderId;

/// Enough for cores to meet seldom.
const STRIPES: usize = 16;

/// A bounded set of order ids.
#[derive(Debug)]
pub(crate) struct Sent {
    stripes: Vec<Mutex<Generations>>,
    generation_len_max: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<OrderId>,
    old: HashSet<OrderId>,
}

impl Sent {
    /// Remembers about `len_max` orders.
    pub(crate) fn new(len_max: usize) -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        Self { stripes, generation_len_max: (len_max / STRIPES / 2).max(1) }
    }

    /// Remembers an order.
    pub(crate) fn insert(&self, order: OrderId) {
        let mut stripe = self.stripe(order);
        if stripe.young.len() >= self.generation_len_max && !stripe.young.contains(&order) {
            stripe.old = std::mem::take(&mut stripe.young);
        }
        stripe.young.insert(order);
    }

    /// Whether an order was sent on lately.
    pub(crate) fn has(&self, order: OrderId) -> bool {
        let stripe = self.stripe(order);
        stripe.young.contains(&order) || stripe.old.contains(&order)
    }

    fn stripe(&self, order: OrderId) -> std::sync::MutexGuard<'_, Generations> {
        // The last byte is of a keyed hash, so it spreads.
        let place = usize::from(order.as_bytes()[15]) % STRIPES;
        self.stripes[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ids::ShardNo;

    use super::*;

    fn order(number: u32) -> OrderId {
        let mut hash = [0; 12];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        OrderId::mint(ShardNo::new(1).unwrap(), hash)
    }

    #[test]
    fn the_latest_are_remembered_and_the_oldest_forgotten() {
        // All of these fall into one stripe, which has room for two generations of four.
        let sent = Sent::new(STRIPES * 8);
        for number in 0..100 {
            sent.insert(order(number));
            let remembered = (0..=number).filter(|number| sent.has(order(*number))).count();
            assert!(remembered <= 8, "{remembered} after {number}");
            for latest in number.saturating_sub(3)..=number {
                assert!(sent.has(order(latest)), "{latest} after {number}");
            }
        }
        assert!(!sent.has(order(0)));
    }
}
