//! One sale leaves the others alone: its purchases come at no higher rate than it is allowed, and
//! take no more of the core's places than the others leave it ([`Bulkhead`]). Below the layer that
//! knows the item, and above everything that is done for a purchase.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use chassis::Clock;
use futures::future::Either;
use ids::SaleId;
use tower::{Layer, Service};

use super::{adaptive::Limiter, held::Held, wanted::Wanted};
use crate::{
    bulkhead::Bulkhead, call::Known, domain::refusal::Refusal, edge::OnCore, rates::Rates,
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
        let may = self.lock().enter(sale, places, now);
        may.then(|| Share { sale, all: Arc::clone(self) })
    }

    // Only this core comes here, so nobody waits.
    fn lock(&self) -> MutexGuard<'_, Bulkhead> {
        self.bulkhead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One purchase's part of its sale's share. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    sale: SaleId,
    all: Arc<Shares>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.lock().leave(self.sale);
    }
}

/// Puts the bounds of each sale in front of purchases.
#[derive(Debug, Clone)]
pub(crate) struct PerSaleLayer {
    rates: OnCore<Rates>,
    shares: Arc<Shares>,
}

impl PerSaleLayer {
    /// By these rates and shares.
    pub(crate) fn new(rates: OnCore<Rates>, shares: Arc<Shares>) -> Self {
        Self { rates, shares }
    }
}

impl<S> Layer<S> for PerSaleLayer {
    type Service = PerSale<S>;

    fn layer(&self, inner: S) -> PerSale<S> {
        PerSale { layer: self.clone(), inner }
    }
}

/// Purchases behind the bounds of each sale.
#[derive(Debug, Clone)]
pub(crate) struct PerSale<S> {
    layer: PerSaleLayer,
    inner: S,
}

impl<S> PerSale<S> {
    fn enter(&self, sale: SaleId) -> Result<Share, Refusal> {
        self.layer.rates.sale(sale)?;
        self.layer.shares.enter(sale).ok_or(Refusal::Overloaded)
    }
}

impl<S> Service<Known<Wanted>> for PerSale<S>
where
    S: Service<Known<Wanted>, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, Held<S::Future, Share>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Known<Wanted>) -> Self::Future {
        match self.enter(call.message.item.facts.sale) {
            Ok(share) => Either::Right(Held::new(self.inner.call(call), share)),
            Err(refusal) => Either::Left(ready(Err(refusal))),
        }
    }
}
