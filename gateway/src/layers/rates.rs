//! Nobody calls more often than they may, by user and by network. After the check that tells who it
//! is: a limit by what a caller merely claims limits nobody, or somebody else.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use tower::{Layer, Service};

use crate::{
    call::{Call, Caller, Known},
    domain::refusal::Refusal,
    edge::OnCore,
    rates::{Rates, TooOften},
};

/// Puts the allowances in front of a service.
#[derive(Debug, Clone)]
pub(crate) struct RatesLayer {
    rates: OnCore<Rates>,
}

impl RatesLayer {
    /// Those of `rates`.
    pub(crate) fn new(rates: OnCore<Rates>) -> Self {
        Self { rates }
    }
}

impl<S> Layer<S> for RatesLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { rates: Arc::clone(&self.rates), inner }
    }
}

/// A service behind the allowances.
#[derive(Debug, Clone)]
pub(crate) struct Limited<S> {
    rates: OnCore<Rates>,
    inner: S,
}

/// What is taken from allowances.
pub(crate) trait Takes {
    /// Takes one call from each allowance that it falls under.
    fn take_from(&self, rates: &Rates) -> Result<(), TooOften>;
}

/// Nobody has said who it is.
impl<M> Takes for Call<M> {
    fn take_from(&self, rates: &Rates) -> Result<(), TooOften> {
        network(rates, &self.caller)
    }
}

impl<M> Takes for Known<M> {
    fn take_from(&self, rates: &Rates) -> Result<(), TooOften> {
        // First, so that one busy buyer uses up nothing of their neighbours'.
        rates.user(self.buyer.user())?;
        if self.has_network_paid { Ok(()) } else { network(rates, &self.caller) }
    }
}

/// Takes one call from the allowance of the network that it came from.
pub(super) fn network(rates: &Rates, caller: &Caller) -> Result<(), TooOften> {
    caller.address().map_or(Ok(()), |address| rates.network(address))
}

impl<R, S> Service<R> for Limited<S>
where
    R: Takes,
    S: Service<R, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        match request.take_from(&self.rates) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(too_often) => Either::Left(ready(Err(too_often.into()))),
        }
    }
}
