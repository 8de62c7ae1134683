//! Purchase: identity, ticket, the local view, then the shard's next batch. What may have taken a
//! hold is answered ACCEPTED, with the stored refusal, or PROCESSING; never with a failure.

use std::time::Duration;

use proto::gateway::v1::{PurchaseRequest, PurchaseResponse, PurchaseState};
use tonic::{Request, metadata::MetadataMap};

use super::Shop;
use crate::{
    batches::{Batches, Overloaded},
    domain::{
        admission::{Admitted, Verdict, View, look},
        item::{Item, Shard},
        order::Became,
        purchase::{Answer, Entry, EntryRefusal},
        refusal::Refusal,
    },
    items::KnownItem,
    tickets::{Terms, Ticket},
    upstream::Until,
};

/// Of a W3C `traceparent`, version 00.
const TRACEPARENT_LEN: usize = 55;

pub(super) async fn purchase(
    shop: &Shop,
    batches: &Batches,
    request: Request<PurchaseRequest>,
) -> Result<PurchaseResponse, Refusal> {
    let buyer = shop.identity.authenticate(request.metadata()).await?;
    let ticket = shop.tickets.open(&request.get_ref().ticket, buyer.user());
    let ticket = ticket.map_err(|_| Refusal::TicketInvalid)?;
    let Terms { order, item, .. } = *ticket.terms();
    // Whatever keeps us from knowing the item also keeps the ledger from being asked.
    let item = shop.items.get(item).await.map_err(|_| Refusal::Loading)?;

    let (shard, verdict) = judge(shop, &item, &ticket, &request);
    let state = match verdict {
        Verdict::Refuse(refusal) => return Err(refusal),
        Verdict::Expired(entry) => {
            expired(shop, &item.facts, &entry, shop.until(request.extensions())).await?
        }
        Verdict::Admit(admitted) => {
            let patience = shop.remaining(request.extensions());
            match ask(shop, batches, shard, admitted, patience).await? {
                Answer::Accepted => PurchaseState::Accepted,
                Answer::Processing => PurchaseState::Processing,
                Answer::Retired => {
                    let until = shop.until(request.extensions());
                    retired(shop, ticket.terms(), until).await?
                }
                Answer::Refused(why) => return Err(refusal(why, &item.facts)),
                Answer::Rejected => return Err(Refusal::Rejected),
                Answer::Loading => return Err(Refusal::Loading),
                Answer::Overloaded => return Err(Refusal::Overloaded),
            }
        }
    };
    Ok(PurchaseResponse { state: state.into(), order_id: order.to_string() })
}

/// What this gateway can say by itself.
fn judge(
    shop: &Shop,
    item: &KnownItem,
    ticket: &Ticket,
    request: &Request<PurchaseRequest>,
) -> (Shard, Verdict) {
    let Terms { order, user, quantity, unit_price, expires_ms, .. } = *ticket.terms();
    let fresh = shop.config.stock.fresh();
    let (shard, level) = item.shard_for(user, shop.clock.now(), fresh);
    let entry = Entry {
        order,
        user,
        quantity,
        unit_price,
        ticket_expires_ms: expires_ms,
        traceparent: traceparent(request.metadata()),
    };
    let view = View {
        now_ms: shop.clock.wall_ms(),
        window: item.facts.window,
        clock_slack_ms: shop.config.purchase.clock_slack_ms,
        is_first_attempt: request.get_ref().attempt == 1 && !shop.sent.has(order),
        // While paused, the ledger says PAUSED, which goes before SOLD_OUT.
        units_left: level.filter(|level| !level.is_paused).map(|level| level.units_left),
    };
    (shard, look(entry, &view))
}

/// Waits for the batch's answer, at most the lease or the caller's patience. The batch goes on
/// without us.
async fn ask(
    shop: &Shop,
    batches: &Batches,
    shard: Shard,
    admitted: Admitted,
    patience: Duration,
) -> Result<Answer, Refusal> {
    shop.sent.insert(admitted.order());
    let reply = batches.place(shard, admitted).map_err(|Overloaded| Refusal::Overloaded)?;
    let margin = shop.config.purchase.answer_margin();
    let wait = shard.lease.min(patience.saturating_sub(margin));
    match tokio::time::timeout(wait, reply).await {
        Ok(Ok(answer)) => Ok(answer),
        // Nobody will tell, or not in time: a hold may exist.
        Ok(Err(_)) | Err(_) => Ok(Answer::Processing),
    }
}

/// An authentic ticket past its end: the order's state, if an order came of it in time.
async fn expired(
    shop: &Shop,
    item: &Item,
    entry: &Entry,
    until: Until,
) -> Result<PurchaseState, Refusal> {
    match shop.inquiry.became(entry.order, entry.user, until).await {
        Became::Recorded(row) if row.state.is_live() => Ok(PurchaseState::Accepted),
        Became::Recorded(_) => Err(Refusal::Rejected),
        Became::Processing => Ok(PurchaseState::Processing),
        Became::NotPlaced if shop.clock.wall_ms() >= item.window.closes_ms => Err(Refusal::Closed),
        Became::NotPlaced => Err(Refusal::TicketExpired),
    }
}

/// The shard is over and settled: the books alone know.
async fn retired(shop: &Shop, terms: &Terms, until: Until) -> Result<PurchaseState, Refusal> {
    match shop.inquiry.row(terms.order, terms.user, until).await {
        Ok(Some(row)) if row.state.is_live() => Ok(PurchaseState::Accepted),
        Ok(Some(_)) => Err(Refusal::Rejected),
        Ok(None) => Err(Refusal::Closed),
        Err(_) => Ok(PurchaseState::Processing),
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
    }
}

/// The caller's trace, if it is one; a malformed one is nobody's problem.
fn traceparent(metadata: &MetadataMap) -> String {
    let text = metadata.get("traceparent").and_then(|value| value.to_str().ok());
    let is_one = |text: &&str| {
        let is_of_trace = |byte: u8| byte == b'-' || matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.len() == TRACEPARENT_LEN && text.bytes().all(is_of_trace)
    };
    text.filter(is_one).unwrap_or_default().to_owned()
}
