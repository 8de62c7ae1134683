//! What is bought, and that the ticket is the caller's own. From here on a purchase has a
//! [`Ticket`], which is the right to try (I-5), and the facts of its item, which limits by sale
//! need. Items that are known are found at once; others are read, once for all who ask.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::genuine::Opened;
use crate::{
    call::Known,
    domain::refusal::Refusal,
    edge::{OnCore, Shop},
    items::KnownItem,
    tickets::Ticket,
};

/// A purchase by the ticket's own buyer, of a known item.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) ticket: Ticket,
    pub(crate) is_first: bool,
    pub(crate) item: Arc<KnownItem>,
}

/// Puts the look at ticket and item in front of a service.
#[derive(Debug, Clone)]
pub(crate) struct WantedLayer {
    shop: OnCore<Shop>,
}

impl WantedLayer {
    /// By the items of `shop`.
    pub(crate) fn new(shop: OnCore<Shop>) -> Self {
        Self { shop }
    }
}

impl<S> Layer<S> for WantedLayer {
    type Service = FindWanted<S>;

    fn layer(&self, inner: S) -> FindWanted<S> {
        FindWanted { shop: Arc::clone(&self.shop), inner }
    }
}

/// A service behind the look at ticket and item.
#[derive(Debug, Clone)]
pub(crate) struct FindWanted<S> {
    shop: OnCore<Shop>,
    inner: S,
}

/// Refused, or handed on, at once; or after a read of the catalog.
type Found<A, F> = Either<Ready<Result<A, Refusal>>, Either<F, BoxFuture<'static, Answer<A>>>>;
type Answer<A> = Result<A, Refusal>;

impl<S> Service<Known<Opened>> for FindWanted<S>
where
    S: Service<Known<Wanted>, Error = Refusal> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Found<S::Response, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Known<Opened>) -> Self::Future {
        let Known { caller, buyer, has_network_paid, message: Opened { ticket, is_first } } = call;
        let Ok(ticket) = ticket.of(buyer.user()) else {
            return Either::Left(ready(Err(Refusal::TicketInvalid)));
        };
        let wanted = move |item| {
            let message = Wanted { ticket, is_first, item };
            Known { caller, buyer, has_network_paid, message }
        };
        let id = ticket.terms().item;
        if let Some(item) = self.shop.items.known(id) {
            return Either::Right(Either::Left(self.inner.call(wanted(item))));
        }
        let (shop, mut inner) = (Arc::clone(&self.shop), self.inner.clone());
        Either::Right(Either::Right(Box::pin(async move {
            // Whatever keeps us from knowing the item also keeps the ledger from being asked.
            let item = shop.items.get(id).await.map_err(|_| Refusal::Loading)?;
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
            inner.call(wanted(item)).await
        })))
    }
}
