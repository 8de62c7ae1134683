//! Every instrument of the gateway, named once; calls by method and status are the chassis's.
//! Nothing that names a person, a ticket or an address becomes a label.

use std::sync::Arc;

use chassis::metrics::{Counters, Histogram, Metrics};

use crate::{edge::Shop, stack::Senses};

/// What the gateway counts and measures. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Instruments {
    /// Purchases that were answered with a state.
    pub(crate) purchases: Counters<1>,
    /// Everything that was answered with no, by the reason that its caller is told.
    pub(crate) refusals: Counters<1>,
    /// Purchases that went to the ledger together.
    pub(crate) batch_holds: Histogram,
    /// From a batch's Reserve call to its answer.
    pub(crate) reserve: Histogram,
    /// From a batch's record to the broker's acknowledgement.
    pub(crate) append: Histogram,
}

impl Instruments {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            purchases: metrics.counters(
                "seckill_gateway_purchases",
                "Purchases that were answered, by the state they were told",
                ["state"],
            ),
            refusals: metrics.counters(
                "seckill_gateway_refusals",
                "Calls that were refused, by the reason they were told",
                ["reason"],
            ),
            batch_holds: metrics
                .sizes("seckill_gateway_batch_holds", "Purchases of one Reserve call"),
            reserve: metrics.latency("seckill_gateway_reserve_seconds", "A batch's Reserve call"),
            append: metrics.latency(
                "seckill_gateway_append_seconds",
                "A batch's record, until the journal has acknowledged it",
            ),
        }
    }
}

/// Shows what the limits have learnt and how far they are used, each time that somebody looks.
pub(crate) fn show_limits(metrics: &Metrics, cores: Vec<Senses>, shop: Arc<Shop>) {
    let places = metrics.gauges(
        "seckill_gateway_places",
        "Purchases that a core may have under way at once, as it has learnt",
        ["core"],
    );
    let purchases = metrics.gauges(
        "seckill_gateway_purchases_under_way",
        "Purchases that a core has under way",
        ["core"],
    );
    let open = metrics.gauges(
        "seckill_gateway_breakers_open",
        "Breakers that let nobody through, towards inventory-svc and the journal's partitions",
        ["core", "store"],
    );
    let remembered = metrics.gauges(
        "seckill_gateway_allowances_remembered",
        "Users, networks and sales whose allowance of calls isn't whole",
        ["whose"],
    );
    let watchers = metrics.gauges(
        "seckill_gateway_watchers",
        "Open streams that tell of orders and of what is left of items",
        ["of"],
    );
    let ahead = metrics.gauge(
        "seckill_gateway_ledger_clock_ahead_seconds",
        "How far a ledger's clock is ahead of this machine's: the one that is furthest, or 0 while \
         none's time is known",
    );
    metrics.before_reading(move || {
        let ahead_ms = shop.inquiry.stock.clock_ahead_ms(&shop.clock).unwrap_or_default();
        ahead.set(ahead_ms as f64 / 1000.0);
        for (core, Senses { limiter, breakers }) in cores.iter().enumerate() {
            let core = core.to_string();
            places.with([core.clone()]).set(limiter.places() as f64);
            purchases.with([core.clone()]).set(limiter.purchases() as f64);
            let (inventory, journal) = breakers.open();
            for (store, count) in [("inventory", inventory), ("journal", journal)] {
                open.with([core.clone(), store.to_owned()]).set(count as f64);
            }
        }
        for (whose, count) in ["user", "network", "sale"].into_iter().zip(shop.rates.len()) {
            remembered.with([whose]).set(count as f64);
        }
        watchers.with(["order"]).set(shop.order_watchers.len() as f64);
        watchers.with(["item"]).set(shop.item_watchers.len() as f64);
    });
}
