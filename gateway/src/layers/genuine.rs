//! A ticket that this shop didn't sign goes no further (I-5). A microsecond of hashing, before an
//! access token is looked at, which may cost fifty.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use tower::{Layer, Service};

use crate::{
    call::Call,
    domain::refusal::Refusal,
    edge::{OnCore, Shop},
    tickets::{Shown, Signed},
};

/// A purchase with a ticket of this shop. Whose ticket it is hasn't been asked yet.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) ticket: Signed,
    pub(crate) is_first: bool,
}

/// Puts the check of tickets in front of a service.
#[derive(Debug, Clone)]
pub(crate) struct GenuineLayer {
    shop: OnCore<Shop>,
}

impl GenuineLayer {
    /// By the keys of `shop`.
    pub(crate) fn new(shop: OnCore<Shop>) -> Self {
        Self { shop }
    }
}

impl<S> Layer<S> for GenuineLayer {
    type Service = Genuine<S>;

    fn layer(&self, inner: S) -> Genuine<S> {
        Genuine { shop: Arc::clone(&self.shop), inner }
    }
}

/// A service behind the check of tickets.
#[derive(Debug, Clone)]
pub(crate) struct Genuine<S> {
    shop: OnCore<Shop>,
    inner: S,
}

impl<S> Service<Call<Shown>> for Genuine<S>
where
    S: Service<Call<Opened>, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<Shown>) -> Self::Future {
        match self.shop.tickets.read(&call.message.ticket) {
            Ok(ticket) => {
                let is_first = call.message.is_first;
                Either::Right(self.inner.call(call.with(Opened { ticket, is_first })))
            }
            Err(_invalid) => Either::Left(ready(Err(Refusal::TicketInvalid))),
        }
    }
}
