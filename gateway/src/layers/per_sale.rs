//! How often a sale may be bought from, whoever buys. Below the layer that knows the item, and
//! above everything that is done for a purchase.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use tower::{Layer, Service};

use super::wanted::Wanted;
use crate::{call::Known, domain::refusal::Refusal, edge::OnCore, rates::Rates};

/// Puts the allowance of each sale in front of purchases.
#[derive(Debug, Clone)]
pub(crate) struct PerSaleLayer {
    rates: OnCore<Rates>,
}

impl PerSaleLayer {
    /// By these rates.
    pub(crate) fn new(rates: OnCore<Rates>) -> Self {
        Self { rates }
    }
}

impl<S> Layer<S> for PerSaleLayer {
    type Service = PerSale<S>;

    fn layer(&self, inner: S) -> PerSale<S> {
        PerSale { rates: Arc::clone(&self.rates), inner }
    }
}

/// Purchases within the allowance of their sale.
#[derive(Debug, Clone)]
pub(crate) struct PerSale<S> {
    rates: OnCore<Rates>,
    inner: S,
}

impl<S> Service<Known<Wanted>> for PerSale<S>
where
    S: Service<Known<Wanted>, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Known<Wanted>) -> Self::Future {
        match self.rates.sale(call.message.item.facts.sale) {
            Ok(()) => Either::Right(self.inner.call(call)),
            Err(too_often) => Either::Left(ready(Err(too_often.into()))),
        }
    }
}
