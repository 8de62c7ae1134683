//! Who is calling: from here on a call has an [`Authenticated`] buyer, or it ends. A token that was
//! checked lately is found in a cache, at once; a new one costs a check of its signature, and the
//! first one of a new key a question to user-svc.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, Either};
use tower::{Layer, Service};

use crate::{
    call::{Call, Known},
    domain::refusal::Refusal,
    edge::{OnCore, Shop},
    identity::Authenticated,
};

/// Puts the check of access tokens in front of a service.
#[derive(Debug, Clone)]
pub(crate) struct IdentifyLayer {
    shop: OnCore<Shop>,
}

impl IdentifyLayer {
    /// As `shop` checks them.
    pub(crate) fn new(shop: OnCore<Shop>) -> Self {
        Self { shop }
    }
}

impl<S> Layer<S> for IdentifyLayer {
    type Service = Identify<S>;

    fn layer(&self, inner: S) -> Identify<S> {
        Identify { shop: Arc::clone(&self.shop), inner }
    }
}

/// A service behind the check of access tokens.
#[derive(Debug, Clone)]
pub(crate) struct Identify<S> {
    shop: OnCore<Shop>,
    inner: S,
}

/// Refused, or handed on, at once; or after a question to user-svc.
type Identified<A, F> = Either<Ready<Result<A, Refusal>>, Either<F, BoxFuture<'static, Answer<A>>>>;
type Answer<A> = Result<A, Refusal>;

impl<M, S> Service<Call<M>> for Identify<S>
where
    M: Send + 'static,
    S: Service<Known<M>, Error = Refusal> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Identified<S::Response, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<M>) -> Self::Future {
        match self.shop.identity.check(call.caller.metadata()) {
            Some(Ok(buyer)) => Either::Right(Either::Left(self.inner.call(known(call, buyer)))),
            Some(Err(refusal)) => Either::Left(ready(Err(refusal))),
            None => {
                let (shop, mut inner) = (Arc::clone(&self.shop), self.inner.clone());
                Either::Right(Either::Right(Box::pin(async move {
                    let buyer = shop.identity.check_with_new_keys(call.caller.metadata()).await?;
                    std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
                    inner.call(known(call, buyer)).await
                })))
            }
        }
    }
}

fn known<M>(call: Call<M>, buyer: Authenticated) -> Known<M> {
    let Call { caller, message } = call;
    Known { caller, buyer, message }
}
