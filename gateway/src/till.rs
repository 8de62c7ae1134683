//! The till: the innermost service of a purchase, behind all layers. It looks once more at what
//! this gateway can say by itself, then puts the wish into the shard's next batch and waits. What
//! may have taken a hold is answered ACCEPTED, with the stored refusal, or PROCESSING; never with a
//! failure. How long somebody waits here is their own choice, so nothing is learnt from it.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chassis::TraceContext;
use futures::future::BoxFuture;
use ids::OrderId;
use tower::Service;

use crate::{
    batches::{Batches, Overloaded},
    breakers::{Breakers, Store},
    call::{Known, Room},
    domain::{
        admission::{Admitted, Verdict, View, look},
        item::{Item, Shard},
        order::Became,
        purchase::{Answer, Entry, EntryRefusal},
        refusal::Refusal,
    },
    edge::{OnCore, Shop},
    layers::{
        adaptive::{Class, Limiter},
        wanted::Wanted,
    },
    tickets::Terms,
    upstream::Until,
};

/// What a buyer is told who isn't refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) order: OrderId,
    pub(crate) stands: Stands,
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// A promise, or a row in the books.
    Accepted,
    /// Unknown yet.
    Processing,
}

/// The till of one serving core.
#[derive(Debug, Clone)]
pub(crate) struct Till {
    shop: OnCore<Shop>,
    breakers: Arc<Breakers>,
    limiter: Arc<Limiter>,
    batches: Batches,
}

impl Till {
    /// Puts wishes into `batches`, which are those of the core that calls, while `breakers` let
    /// them through. The core's limiter says when to come back.
    pub(crate) fn new(
        shop: OnCore<Shop>,
        breakers: Arc<Breakers>,
        limiter: Arc<Limiter>,
        batches: Batches,
    ) -> Self {
        Self { shop, breakers, limiter, batches }
    }
}

impl Service<Known<Wanted>> for Till {
    type Response = Told;
    type Error = Refusal;
    type Future = BoxFuture<'static, Result<Told, Refusal>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Known<Wanted>) -> Self::Future {
        let till = self.clone();
        Box::pin(async move { till.buy(call).await })
    }
}

impl Till {
    async fn buy(&self, mut call: Known<Wanted>) -> Result<Told, Refusal> {
        let Self { shop, .. } = self;
        let terms = *call.message.ticket.terms();
        // What the work takes up goes with it, see `ask`.
        let room = std::mem::take(&mut call.caller.room);
        let facts = &call.message.item.facts;
        let extensions = call.caller.extensions();
        let (shard, verdict) = judge(shop, &call);
        let stands = match verdict {
            Verdict::Refuse(refusal) => return Err(refusal),
            Verdict::Expired(entry) => {
                let is_closed =
                    ledger_ms(shop, &call).is_some_and(|ms| facts.window.closes_ms <= ms);
                expired(shop, is_closed, &entry, shop.until(extensions)).await?
            }
            Verdict::Admit(admitted) => {
                match self.ask(shard, admitted, room, shop.remaining(extensions)).await? {
                    Answer::Accepted => Stands::Accepted,
                    Answer::Processing => Stands::Processing,
                    Answer::Retired => retired(shop, &terms, shop.until(extensions)).await?,
                    Answer::Refused(why) => return Err(refusal(why, facts)),
                    Answer::Rejected => return Err(Refusal::Rejected),
                    Answer::Loading => return Err(Refusal::Loading),
                    Answer::Overloaded => {
                        return Err(Refusal::Overloaded { wait: self.wait(terms.order) });
                    }
                }
            }
        };
        Ok(Told { order: terms.order, stands })
    }

    /// How long a buyer stays away who is turned away here.
    fn wait(&self, order: OrderId) -> Duration {
        self.limiter.turned_away(Class::Purchase, order)
    }

    /// Waits for the batch's answer, at most the lease or the caller's patience. The batch goes on
    /// without us, and has the room that it takes up until its end.
    async fn ask(
        &self,
        shard: Shard,
        admitted: Admitted,
        room: Room,
        patience: Duration,
    ) -> Result<Answer, Refusal> {
        let Self { shop, breakers, batches, .. } = self;
        let order = admitted.order();
        // The last thing before a hold, since probes are let through here.
        if !breakers.admits(shard) {
            return Err(Refusal::UpstreamUnavailable { wait: self.wait(order) });
        }
        shop.sent.insert(order, shop.clock.now());
        let placed = batches.place(shard, admitted, room);
        let reply = placed.map_err(|Overloaded| {
            // If it was a probe, it will meet no store.
            breakers.was_not_asked(Store::Inventory);
            breakers.was_not_asked(Store::Journal(shard.partition));
            Refusal::Overloaded { wait: self.wait(order) }
        })?;
        let margin = shop.config.purchase.answer_margin();
        let wait = shard.lease.min(patience.saturating_sub(margin));
        Ok(match tokio::time::timeout(wait, reply).await {
            Ok(Ok(answer)) => answer,
            // Nobody will tell, or not in time: a hold may exist.
            Ok(Err(_)) | Err(_) => Answer::Processing,
        })
    }
}

/// What this gateway can say by itself.
fn judge(shop: &Shop, call: &Known<Wanted>) -> (Shard, Verdict) {
    let Wanted { ticket, is_first, item } = &call.message;
    let Terms { order, user, quantity, unit_price, expires_ms, .. } = *ticket.terms();
    let (shard, heard) = item.shard_for(user, shop.clock.now(), shop.config.stock.fresh());
    let entry = Entry {
        order,
        user,
        quantity,
        unit_price,
        ticket_expires_ms: expires_ms,
        placed_at: shop.clock.now(),
        traceparent: traceparent(),
    };
    let view = View {
        ledger_ms: ledger_ms(shop, call),
        window: item.facts.window,
        clock_slack_ms: shop.config.purchase.clock_slack_ms,
        is_first_attempt: *is_first && !shop.sent.has(order),
        heard,
    };
    (shard, look(entry, &view))
}

/// What the clock of the buyer's ledger shows, at most.
fn ledger_ms(shop: &Shop, call: &Known<Wanted>) -> Option<u64> {
    let Wanted { ticket, item, .. } = &call.message;
    item.cell_for(ticket.terms().user).time.now_ms(shop.clock.now())
}

/// The place of this call in its trace, if that is recorded. It stays with the hold, through the
/// ledger and the journal, where a trace that nobody records isn't worth its room.
fn traceparent() -> String {
    let place = TraceContext::current().filter(TraceContext::is_sampled);
    place.map(|place| place.to_string()).unwrap_or_default()
}

/// An authentic ticket past its end: the order's state, if an order came of it in time.
async fn expired(
    shop: &Shop,
    is_closed: bool,
    entry: &Entry,
    until: Until,
) -> Result<Stands, Refusal> {
    match shop.inquiry.became(entry.order, entry.user, until).await {
        Became::Recorded(row) if row.state.is_live() => Ok(Stands::Accepted),
        Became::Recorded(_) => Err(Refusal::Rejected),
        Became::Processing => Ok(Stands::Processing),
        Became::NotPlaced if is_closed => Err(Refusal::Closed),
        Became::NotPlaced => Err(Refusal::TicketExpired),
    }
}

/// The shard is over and settled: the books alone know.
async fn retired(shop: &Shop, terms: &Terms, until: Until) -> Result<Stands, Refusal> {
    match shop.inquiry.became(terms.order, terms.user, until).await {
        Became::Recorded(row) if row.state.is_live() => Ok(Stands::Accepted),
        Became::Recorded(_) => Err(Refusal::Rejected),
        Became::Processing => Ok(Stands::Processing),
        Became::NotPlaced => Err(Refusal::Closed),
    }
}

fn refusal(why: EntryRefusal, item: &Item) -> Refusal {
    match why {
        EntryRefusal::NotOpen => Refusal::NotOpen { opens_ms: item.window.opens_ms },
        EntryRefusal::Closed => Refusal::Closed,
        EntryRefusal::TicketExpired => Refusal::TicketExpired,
        EntryRefusal::Paused => Refusal::Paused,
        EntryRefusal::LimitReached => Refusal::LimitReached { limit: item.limit_per_user },
        EntryRefusal::SoldOut => Refusal::SoldOut,
        // It is told apart before this.
        EntryRefusal::TooLate => Refusal::Loading,
    }
}
