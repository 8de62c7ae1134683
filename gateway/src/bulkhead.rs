//! How the places of one core are shared by sales: one sale at ten times its load must leave the
//! others alone. A sale may use every place that the others don't seem to want, and always its fair
//! part and a few; what another wants is what it used or asked for lately, and half as much again.
//! The few may be more than there are places, which the limit bounds. Pure; the layer tells it who
//! comes and goes. It doesn't know how many places there are until it is asked.

use std::{collections::HashMap, time::Duration};

use ids::SaleId;

/// What a sale wanted is half forgotten after so long: longer than a lull, shorter than a rush.
const HALF_LIFE_S: f64 = 1.0;
/// A sale that wanted nothing for so long isn't counted among the others.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// So many at once don't make a rush, however few places a rush beside it has left.
const FEW: f64 = 16.0;
/// What a sale may grow by between two looks, beside its half as much again.
const ROOM: f64 = 2.0;

/// The sales of one core.
#[derive(Debug, Default)]
pub(crate) struct Bulkhead {
    sales: HashMap<SaleId, Sale>,
}

#[derive(Debug, Default)]
struct Sale {
    in_flight: usize,
    /// The most that it wanted at once, as of `seen_at`.
    wanted: f64,
    seen_at: Duration,
}

impl Sale {
    fn wants(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.seen_at).as_secs_f64();
        (self.wanted * (-age / HALF_LIFE_S).exp2()).max(self.in_flight as f64)
    }
}

impl Bulkhead {
    /// Lets a purchase of `sale` take one of `places`; [`Bulkhead::leave`] must follow. Answers
    /// with the surplus of the others: what they have taken while there were more places, beyond
    /// what they would get now. They keep it until it ends, and it is no reason to refuse this one.
    /// `None`: it may not.
    pub(crate) fn enter(&mut self, sale: SaleId, places: usize, now: Duration) -> Option<usize> {
        self.sales.retain(|_, sale| {
            sale.in_flight > 0 || now.saturating_sub(sale.seen_at) < FORGOTTEN_AFTER
        });
        let own = self.sales.entry(sale).or_default();
        own.wanted = own.wants(now).max(own.in_flight as f64 + 1.0);
        own.seen_at = now;
        let in_flight = own.in_flight as f64;

        let fair = places as f64 / self.sales.len() as f64;
        let few = FEW.min(places as f64).max(1.0);
        let (mut kept, mut surplus) = (0.0, 0);
        for (_, other) in self.sales.iter().filter(|(id, _)| **id != sale) {
            kept += (other.wants(now) * 1.5 + ROOM).min(fair);
            surplus += other.in_flight.saturating_sub(fair.max(few) as usize);
        }
        let allowed = (places as f64 - kept).max(fair).max(few);
        let may = in_flight + 1.0 <= allowed;
        if may && let Some(own) = self.sales.get_mut(&sale) {
            own.in_flight += 1;
        }
        may.then_some(surplus)
    }

    /// A purchase of `sale` has ended.
    pub(crate) fn leave(&mut self, sale: SaleId) {
        if let Some(sale) = self.sales.get_mut(&sale) {
            sale.in_flight = sale.in_flight.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
