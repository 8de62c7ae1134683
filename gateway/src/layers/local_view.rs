//! Most of a sale's traffic ends here: a first attempt on what was just heard to be sold out,
//! paused, loading or over is told so from one cell in memory. Nothing of it is checked, neither
//! the ticket's signature nor who asks: whoever forges a ticket learns what the shop window shows
//! anyway. It says no too seldom rather than too often; a retry is never cut, since it may be the
//! buyer of the last unit.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use tower::{Layer, Service, ServiceExt as _, util::Oneshot};

use crate::{
    call::Call,
    domain::{
        admission::{Glimpse, cut},
        refusal::Refusal,
    },
    edge::{OnCore, Shop},
    tickets::{Shown, claimed},
};

/// Puts the local view in front of a service.
#[derive(Debug, Clone)]
pub(crate) struct LocalViewLayer {
    shop: OnCore<Shop>,
}

impl LocalViewLayer {
    /// The view of `shop`.
    pub(crate) fn new(shop: OnCore<Shop>) -> Self {
        Self { shop }
    }
}

impl<S> Layer<S> for LocalViewLayer {
    type Service = LocalView<S>;

    fn layer(&self, inner: S) -> LocalView<S> {
        LocalView { shop: Arc::clone(&self.shop), inner }
    }
}

/// A service behind the local view.
#[derive(Debug, Clone)]
pub(crate) struct LocalView<S> {
    shop: OnCore<Shop>,
    inner: S,
}

impl<S> LocalView<S> {
    /// What can be said at once.
    fn says(&self, shown: &Shown) -> Option<Refusal> {
        if !shown.is_first {
            return None;
        }
        let terms = claimed(&shown.ticket)?;
        let item = self.shop.items.known(terms.item)?;
        let fresh = self.shop.config.stock.fresh();
        let (_shard, heard) = item.shard_for(terms.user, self.shop.clock.now(), fresh);
        let refusal = cut(&Glimpse {
            ledger_ms: item.cell_for(terms.user).time.now_ms(self.shop.clock.now()),
            window: item.facts.window,
            clock_slack_ms: self.shop.config.purchase.clock_slack_ms,
            ticket_expires_ms: terms.expires_ms,
            wanted: terms.quantity,
            heard,
        })?;
        // Asked last, since it takes a lock.
        (!self.shop.sent.has(terms.order)).then_some(refusal)
    }
}

/// Borrowed, since a clone of all that is below would cost more than most answers.
impl<S> Service<Call<Shown>> for &LocalView<S>
where
    S: Service<Call<Shown>, Error = Refusal> + Clone,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, Oneshot<S, Call<Shown>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<Shown>) -> Self::Future {
        match self.says(&call.message) {
            Some(refusal) => Either::Left(ready(Err(refusal))),
            None => Either::Right(self.inner.clone().oneshot(call)),
        }
    }
}
