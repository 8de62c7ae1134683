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
    config::Config,
    edge::{self, Edge, OnCore, Reception, Shop, cors, http, web::Web},
    layers::{
        client_address::ClientAddressLayer,
        genuine::{Genuine, GenuineLayer},
        identify::{Identify, IdentifyLayer},
        in_flight::InFlightLayer,
        local_view::{LocalView, LocalViewLayer},
        wanted::{FindWanted, WantedLayer},
    },
    till::Till,
};

/// The way of a purchase, as a type.
pub(crate) type Purchase = LocalView<Genuine<Identify<FindWanted<Till>>>>;

/// What calls pass on one serving core.
#[derive(Debug)]
pub(crate) struct Stack {
    shop: OnCore<Shop>,
    purchase: Purchase,
}

impl Stack {
    /// In front of `shop` and the batches of the core.
    pub(crate) fn new(shop: Arc<Shop>, batches: Batches) -> Self {
        let shop = Arc::new(shop);
        let on_core = || Arc::clone(&shop);
        let purchase = ServiceBuilder::new()
            // Sold out, closed, loading, paused: most of a sale's traffic, answered from memory,
            // for less than a call is worth. First, since everything below costs more than the
            // answer.
            .layer(LocalViewLayer::new(on_core()))
            // Is the ticket one of ours? A microsecond; a forger gets no further, and hasn't made
            // us check a token, which costs fifty.
            .layer(GenuineLayer::new(on_core()))
            // Who is it? Nearly always a look into a cache.
            .layer(IdentifyLayer::new(on_core()))
            // Is it their ticket, and what does it buy? Needs both of the layers above, and the
            // limits below need to know the sale.
            .layer(WantedLayer::new(on_core()))
            // Reserve and record, in the shard's next batch.
            .service(Till::new(on_core(), batches));
        Self { shop, purchase }
    }

    /// The way of a purchase.
    pub(crate) fn purchase(&self) -> Purchase {
        self.purchase.clone()
    }

    /// The way of every other call that needs a token, to `handler`.
    pub(crate) fn for_buyers<S>(&self, handler: S) -> Identify<S> {
        IdentifyLayer::new(Arc::clone(&self.shop)).layer(handler)
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
    let cors = cors::layer(&config.cors);
    // gRPC-web is outside, so that pages can read what the layers refuse.
    let grpc = routes
        .add_service(Web::new(layers.service(edge), cors.as_ref()))
        .add_service(Web::new(layers.service(reception), cors.as_ref()))
        .prepare();
    // JSON comes in through the same services.
    http::routes(grpc, cors.as_ref(), config.purchase.answer_margin() / 2)
}
