//! One sale leaves the others alone: its purchases take no more of the core's places than the
//! others leave it ([`Bulkhead`]). It stands in front of the limit itself: places that have just
//! become fewer are all taken by the sale that made them so, and a limit that knows no sales would
//! turn away the others with it. Below the check of tickets, or a forger would name sales at will.
//! A purchase of an item that isn't known yet has no share; the limit below bounds such.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use chassis::Clock;
use futures::future::Either;
use ids::SaleId;
use tower::{Layer, Service};

use super::{
    adaptive::{Class, Limiter},
    genuine::Opened,
};
use crate::{
    bulkhead::Bulkhead,
    call::Call,
    domain::refusal::Refusal,
    edge::{OnCore, Shop},
};

/// The shares of the sales in one core's places.
#[derive(Debug)]
pub(crate) struct Shares {
    limiter: Arc<Limiter>,
    bulkhead: Mutex<Bulkhead>,
    clock: Clock,
}

impl Shares {
    /// Nobody has a share yet.
    pub(crate) fn new(limiter: Arc<Limiter>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { limiter, bulkhead: Mutex::default(), clock })
    }

    fn enter(self: &Arc<Self>, sale: SaleId) -> Option<Share> {
        let (places, now) = (self.limiter.places(), self.clock.now());
        let surplus = self.lock().enter(sale, places, now)?;
        Some(Share { sale, surplus, all: Arc::clone(self) })
    }

    // Only this core comes here, so nobody waits.
    fn lock(&self) -> MutexGuard<'_, Bulkhead> {
        self.bulkhead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One purchase's part of its sale's share. Dropping it gives it back; like a place, it goes with
/// the purchase into its batch.
#[derive(Debug)]
pub(crate) struct Share {
    sale: SaleId,
    /// Of the other sales, as it entered.
    surplus: usize,
    all: Arc<Shares>,
}

impl Share {
    /// Places that other sales had taken beyond what they would get, see [`Bulkhead::enter`].
    pub(crate) fn surplus(&self) -> usize {
        self.surplus
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.lock().leave(self.sale);
    }
}

/// Puts the share of each sale in front of purchases.
#[derive(Debug, Clone)]
pub(crate) struct SharesLayer {
    shop: OnCore<Shop>,
    shares: Arc<Shares>,
}

impl SharesLayer {
    /// Of `shares`, by the items of `shop`.
    pub(crate) fn new(shop: OnCore<Shop>, shares: Arc<Shares>) -> Self {
        Self { shop, shares }
    }
}

impl<S> Layer<S> for SharesLayer {
    type Service = InShare<S>;

    fn layer(&self, inner: S) -> InShare<S> {
        InShare { layer: self.clone(), inner }
    }
}

/// Purchases within the share of their sale.
#[derive(Debug, Clone)]
pub(crate) struct InShare<S> {
    layer: SharesLayer,
    inner: S,
}

impl<S> Service<Call<Opened>> for InShare<S>
where
    S: Service<Call<Opened>, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<Opened>) -> Self::Future {
        let SharesLayer { shop, shares } = &self.layer;
        let item = shop.items.known(call.message.ticket.item());
        call.caller.room.share = match item.map(|item| shares.enter(item.facts.sale)) {
            None => None,
            Some(Some(share)) => Some(share),
            Some(None) => {
                let order = call.message.ticket.order();
                let wait = shares.limiter.turned_away(Class::Purchase, order);
                return Either::Left(ready(Err(Refusal::Overloaded { wait })));
            }
        };
        Either::Right(self.inner.call(call))
    }
}
