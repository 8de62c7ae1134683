//! Every instrument of the gateway, named once. Nothing that names a person, a ticket or an address
//! becomes a label.

use std::sync::Arc;

use chassis::metrics::Metrics;

use crate::{rates::Rates, stack::Senses};

/// Shows what the limits have learnt and how far they are used, each time that somebody looks.
pub(crate) fn show_limits(metrics: &Metrics, cores: Vec<Senses>, rates: Arc<Rates>) {
    let places = metrics.gauges(
        "gateway_places",
        "Purchases that a core may have under way at once, as it has learnt",
        ["core"],
    );
    let purchases = metrics.gauges(
        "gateway_purchases_under_way",
        "Purchases that a core has under way",
        ["core"],
    );
    let open = metrics.gauges(
        "gateway_breakers_open",
        "Breakers that let nobody through, towards inventory-svc and the journal's partitions",
        ["core", "store"],
    );
    let remembered = metrics.gauges(
        "gateway_allowances_remembered",
        "Users, networks and sales whose allowance of calls isn't whole",
        ["whose"],
    );
    metrics.before_reading(move || {
        for (core, Senses { limiter, breakers }) in cores.iter().enumerate() {
            let core = core.to_string();
            places.with([core.clone()]).set(limiter.places() as f64);
            purchases.with([core.clone()]).set(limiter.purchases() as f64);
            let (inventory, journal) = breakers.open();
            for (store, count) in [("inventory", inventory), ("journal", journal)] {
                open.with([core.clone(), store.to_owned()]).set(count as f64);
            }
        }
        for (whose, count) in ["user", "network", "sale"].into_iter().zip(rates.len()) {
            remembered.with([whose]).set(count as f64);
        }
    });
}
