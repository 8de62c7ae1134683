//! What a call passes before anything is done for it, from the outside in and cheapest first: what
//! most calls of a rush end at must cost next to nothing, and nothing that costs others something
//! (a hold, a place, a question to another service) is done for a call that a layer below would
//! still refuse. Everything here says no at once; nothing waits.
//!
//! The transport part (connections, streams, time-outs, the deadline of each call) is the
//! chassis's. [`routes`] puts on the layers that need headers alone. The rest is typed: a handler
//! turns its request into a [`Call`] and sends it through [`Stack`]. JSON's requests become gRPC's
//! ([`crate::edge::http`]) and go through all of it.

use std::sync::Arc;

use tonic::service::Routes;
use tower::{Layer as _, ServiceBuilder};

use crate::{
    batches::Batches,
    breakers::Breakers,
    config::Config,
    edge::{
        self, Edge, OnCore, Reception, Shop, http,
        operators::{self, OperatorDesk},
        web::Web,
    },
    layers::{
        adaptive::{Adaptive, AdaptiveLayer, Class, Limiter},
        client_address::ClientAddressLayer,
        genuine::{Genuine, GenuineLayer},
        identify::{Identify, IdentifyLayer},
        in_flight::InFlightLayer,
        local_view::{LocalView, LocalViewLayer},
        per_sale::{PerSale, PerSaleLayer},
        places::{InPlace, PlacesLayer},
        rates::{Limited, RatesLayer},
        shares::{InShare, Shares, SharesLayer},
        wanted::{FindWanted, WantedLayer},
    },
    rates::Rates,
    till::Till,
};

/// The way of a purchase, as a type: the outermost layer first.
pub(crate) type Purchase =
    LocalView<Genuine<InShare<InPlace<Identify<Limited<FindWanted<PerSale<Till>>>>>>>>;

/// What the layers of one core count and learn.
#[derive(Debug, Clone)]
pub(crate) struct Senses {
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) breakers: Arc<Breakers>,
}

impl Senses {
    /// Nothing was learnt yet.
    pub(crate) fn new(shop: &Shop) -> Self {
        let Shop { config, clock, .. } = shop;
        let in_flight_max = config.purchase.batches_in_flight_max;
        Self {
            limiter: Limiter::new(config.concurrency.clone(), clock.clone()),
            breakers: Breakers::new(config.breakers.rules(in_flight_max), clock.clone()),
        }
    }
}

/// What calls pass on one serving core.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    shop: OnCore<Shop>,
    rates: OnCore<Rates>,
    limiter: Arc<Limiter>,
    purchase: Purchase,
}

impl Stack {
    /// In front of `shop` and the batches of the core, which tell the breakers how they fare.
    pub(crate) fn new(shop: Arc<Shop>, senses: Senses, batches: Batches) -> Self {
        let Senses { limiter, breakers } = senses;
        let rates = Arc::new(Arc::clone(&shop.rates));
        let shop = Arc::new(shop);
        let on_core = || Arc::clone(&shop);
        let shares = Shares::new(Arc::clone(&limiter), shop.clock.clone());
        let purchase = ServiceBuilder::new()
            // Sold out, closed, loading, paused: most of a sale's traffic, answered from memory for
            // less than a call is worth. First, since everything below costs more than the answer,
            // and since it must go on when everything below is overloaded.
            .layer(LocalViewLayer::new(on_core()))
            // Is the ticket one of ours? A microsecond; a forger gets no further, takes no sale's
            // share, and hasn't made us check a token, which costs fifty.
            .layer(GenuineLayer::new(on_core()))
            // No more at once than can be done in time, and of each sale no more than the others
            // leave it.
            .layer(SharesLayer::new(on_core(), shares))
            // The same in all, for what no sale is known of.
            .layer(PlacesLayer::new(Arc::clone(&limiter)))
            // Who is it? Nearly always a look into a cache.
            .layer(IdentifyLayer::new(on_core()))
            // Not too often, by user and network: what those are is known from here on.
            .layer(RatesLayer::new(Arc::clone(&rates)))
            // Is it their ticket, and what does it buy? The bounds of a sale need to know the sale.
            .layer(WantedLayer::new(on_core()))
            // Not too often from one sale.
            .layer(PerSaleLayer::new(Arc::clone(&rates)))
            // Reserve and record, in the shard's next batch, if the stores answer.
            .service(Till::new(on_core(), breakers, Arc::clone(&limiter), batches));
        Self { shop, rates, limiter, purchase }
    }

    /// The way of a purchase.
    pub(crate) fn purchase(&self) -> &Purchase {
        &self.purchase
    }

    /// The way of every other call that needs a token, to `handler`.
    pub(crate) fn for_buyers<S>(&self, class: Class, handler: S) -> Adaptive<Identify<Limited<S>>> {
        ServiceBuilder::new()
            // While purchases leave it room, by what such calls are worth.
            .layer(AdaptiveLayer::new(class, Arc::clone(&self.limiter)))
            .layer(IdentifyLayer::new(Arc::clone(&self.shop)))
            .layer(RatesLayer::new(Arc::clone(&self.rates)))
            .service(handler)
    }

    /// The way of calls that need none. They are known by their network alone.
    pub(crate) fn for_everybody<S>(&self, class: Class, handler: S) -> Adaptive<Limited<S>> {
        let limited = RatesLayer::new(Arc::clone(&self.rates)).layer(handler);
        AdaptiveLayer::new(class, Arc::clone(&self.limiter)).layer(limited)
    }
}

/// Adds the public services of one core to `routes`, behind the layers that need headers alone.
pub(crate) fn routes(routes: Routes, edge: Edge, reception: Reception, config: &Config) -> Routes {
    let layers = ServiceBuilder::new()
        // The address by which limits and locks go, found once, where the headers still are.
        .layer(ClientAddressLayer::new(&config.clients.trusted_proxies))
        // The outermost bound on calls: before anything is decoded, so that refusing stays cheap
        // and memory is bounded whatever the bounds inside have learnt.
        .layer(InFlightLayer::new(config.calls_per_core_max));
    // The decoder bounds the size of a message: tickets are small.
    let (edge, reception) = edge::services(edge, reception);
    // gRPC-web is outside, so that pages can read what the layers refuse.
    let grpc = routes
        .add_service(Web::new(layers.service(edge)))
        .add_service(Web::new(layers.service(reception)))
        .prepare();
    // JSON comes in through the same services.
    http::routes(grpc, config.purchase.answer_margin() / 2)
}

/// Adds the operators' services to `routes`. They are few and known, so they share nothing with the
/// public but the bound on calls, which is one of their own.
pub(crate) fn operator_routes(routes: Routes, desk: OperatorDesk, config: &Config) -> Routes {
    let layers = ServiceBuilder::new().layer(InFlightLayer::new(config.operator_calls_max));
    let (catalog, people) = operators::services(desk);
    routes.add_service(layers.service(catalog)).add_service(layers.service(people)).prepare()
}
