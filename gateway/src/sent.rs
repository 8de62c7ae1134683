//! The orders that this gateway has sent on lately: they are never cut by the sold-out flag, since
//! one of them may be the order that holds the last unit. Forgotten when no ticket of theirs can be
//! good any more, and bounded before that: the oldest go first, half of them at a time.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ids::OrderId;

/// Enough for cores to meet seldom.
const STRIPES: usize = 16;

/// A bounded set of order ids.
#[derive(Debug)]
pub(crate) struct Sent {
    stripes: Vec<Mutex<Generations>>,
    generation_len_max: usize,
    generation_lasts: Duration,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<OrderId>,
    old: HashSet<OrderId>,
    /// When the young one began.
    since: Duration,
}

impl Sent {
    /// Remembers about `len_max` orders, each for `lasts` at least and twice that at most as long
    /// as others come.
    pub(crate) fn new(len_max: usize, lasts: Duration) -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        let generation_len_max = (len_max / STRIPES / 2).max(1);
        Self { stripes, generation_len_max, generation_lasts: lasts }
    }

    /// Remembers an order from `now` on, by a clock that never goes back.
    pub(crate) fn insert(&self, order: OrderId, now: Duration) {
        let mut stripe = self.stripe(order);
        let is_full = stripe.young.len() >= self.generation_len_max;
        let is_past = now >= stripe.since + self.generation_lasts;
        if is_past || (is_full && !stripe.young.contains(&order)) {
            stripe.old = std::mem::take(&mut stripe.young);
            stripe.since = now;
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

    const LASTS: Duration = Duration::from_secs(900);

    #[test]
    fn the_latest_are_remembered_and_the_oldest_forgotten() {
        // All of these fall into one stripe, which has room for two generations of four.
        let sent = Sent::new(STRIPES * 8, LASTS);
        for number in 0..100 {
            sent.insert(order(number), Duration::ZERO);
            let remembered = (0..=number).filter(|number| sent.has(order(*number))).count();
            assert!(remembered <= 8, "{remembered} after {number}");
            for latest in number.saturating_sub(3)..=number {
                assert!(sent.has(order(latest)), "{latest} after {number}");
            }
        }
        assert!(!sent.has(order(0)));
    }

    #[test]
    fn an_order_is_remembered_while_its_ticket_may_be_good_and_forgotten_later() {
        let sent = Sent::new(STRIPES * 4_000, LASTS);
        // One order a second.
        for second in 0..4_000 {
            sent.insert(order(second), Duration::from_secs(second.into()));
            assert!(sent.has(order(second.saturating_sub(900))), "at second {second}");
            if second > 1_800 {
                assert!(!sent.has(order(second - 1_801)), "at second {second}");
            }
        }
    }
}
