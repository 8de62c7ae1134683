//! Who is calling: from here on a call has an [`Authenticated`] buyer, or it ends. A token that was
//! checked lately is found in a cache, at once; a new one costs a check of its signature, and the
//! first one of a new key a question to user-svc. That is the caller's network to pay, before it is
//! done and whatever comes of it: the failures of strangers cost their neighbourhood.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::rates::network;
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
        match self.recall_or_check(&call) {
            Ok(Some(who)) => Either::Right(Either::Left(self.inner.call(known(call, who)))),
            Err(refusal) => Either::Left(ready(Err(refusal))),
            Ok(None) => {
                let (shop, mut inner) = (Arc::clone(&self.shop), self.inner.clone());
                Either::Right(Either::Right(Box::pin(async move {
                    let token = shop.identity.shown(call.caller.metadata())?;
                    let buyer = shop.identity.check_with_new_keys(&token).await?;
                    std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
                    inner.call(known(call, Who { buyer, has_network_paid: true })).await
                })))
            }
        }
    }
}

/// A buyer, and what was paid to find out.
struct Who {
    buyer: Authenticated,
    has_network_paid: bool,
}

impl<S> Identify<S> {
    /// None: it takes new keys to say.
    fn recall_or_check<M>(&self, call: &Call<M>) -> Result<Option<Who>, Refusal> {
        let token = self.shop.identity.shown(call.caller.metadata())?;
        if let Some(buyer) = self.shop.identity.recall(&token) {
            return Ok(Some(Who { buyer: buyer?, has_network_paid: false }));
        }
        network(&self.shop.rates, &call.caller)?;
        let checked = self.shop.identity.check(&token).transpose()?;
        Ok(checked.map(|buyer| Who { buyer, has_network_paid: true }))
    }
}

fn known<M>(call: Call<M>, who: Who) -> Known<M> {
    let (Call { caller, message }, Who { buyer, has_network_paid }) = (call, who);
    Known { caller, buyer, has_network_paid, message }
}
