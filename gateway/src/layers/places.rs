//! A purchase takes a place of its core, as many as the limit has learnt ([`super::adaptive`]). The
//! place goes with the purchase, into the batch that carries it: a buyer who leaves before the
//! answer, or never meant to wait for it, frees nothing, since the work goes on.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use tower::{Layer, Service};

use super::{
    adaptive::{Class, Limiter},
    genuine::Opened,
    shares::Share,
};
use crate::{call::Call, domain::refusal::Refusal};

/// Puts the limit in front of purchases.
#[derive(Debug, Clone)]
pub(crate) struct PlacesLayer {
    limiter: Arc<Limiter>,
}

impl PlacesLayer {
    /// By the core's limit.
    pub(crate) fn new(limiter: Arc<Limiter>) -> Self {
        Self { limiter }
    }
}

impl<S> Layer<S> for PlacesLayer {
    type Service = InPlace<S>;

    fn layer(&self, inner: S) -> InPlace<S> {
        InPlace { limiter: Arc::clone(&self.limiter), inner }
    }
}

/// Purchases that have a place.
#[derive(Debug, Clone)]
pub(crate) struct InPlace<S> {
    limiter: Arc<Limiter>,
    inner: S,
}

impl<S> Service<Call<Opened>> for InPlace<S>
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
        let surplus = call.caller.room.share.as_ref().map_or(0, Share::surplus);
        match self.limiter.enter_beside(Class::Purchase, surplus) {
            Some(place) => {
                call.caller.room.place = Some(place);
                Either::Right(self.inner.call(call))
            }
            None => {
                let order = call.message.ticket.order();
                let wait = self.limiter.turned_away(Class::Purchase, order);
                Either::Left(ready(Err(Refusal::Overloaded { wait })))
            }
        }
    }
}
