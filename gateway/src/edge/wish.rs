//! IssueTicket: from a buyer's wish to the signed right to try.

use std::sync::Arc;

use proto::gateway::v1 as wire;

use super::{Shop, input, no_result, shop_window::wire_money, status::timestamp};
use crate::{
    call::Known,
    domain::{item::Window, refusal::Refusal},
    identity::Authenticated,
    tickets::{Terms, Wish},
};

pub(super) async fn issue_ticket(
    shop: Arc<Shop>,
    call: Known<wire::IssueTicketRequest>,
) -> Result<wire::IssueTicketResponse, Refusal> {
    let Known { buyer, message: request, .. } = call;
    let item = input::id("item_id", &request.item_id)?;
    let request_id = input::request_id(&request.request_id)?;
    let quantity = request.quantity;
    if quantity == 0 {
        return Err(Refusal::field("quantity", "must be 1 or more"));
    }
    let item = shop.items.get(item).await.map_err(|error| no_result(error, "item"))?;
    let facts = &item.facts;
    if quantity > facts.limit_per_user {
        let says = format!("must be 1 to {}, the item's limit per user", facts.limit_per_user);
        return Err(Refusal::field("quantity", says));
    }
    let lifetime_ms = u64::from(shop.config.tickets.lifetime_s) * 1000;
    let life = life(facts.window, shop.time_of(&item).await?, lifetime_ms)?;
    let Unchallenged { buyer } = challenge(buyer);

    let user = buyer.user();
    let unit_price = facts.price.minor_units;
    let wish = Wish { user, item: facts.id, quantity, unit_price, request_id };
    let shard = facts.shards[facts.place_for(user)].no;
    let order = shop.tickets.order_id(shard, &wish);
    let Life { not_before_ms, expires_ms } = life;
    let item = facts.id;
    let terms = Terms { order, user, item, quantity, unit_price, not_before_ms, expires_ms };
    Ok(wire::IssueTicketResponse {
        ticket: shop.tickets.sign(&terms),
        order_id: order.to_string(),
        not_before: Some(timestamp(not_before_ms)),
        expires_at: Some(timestamp(expires_ms)),
        unit_price: Some(wire_money(&facts.price)),
    })
}

/// Who may have a ticket: whoever has passed the challenge.
struct Unchallenged {
    buyer: Authenticated,
}

/// Where a buyer will have to prove to be no bot, or to have waited. Nothing is asked yet.
fn challenge(buyer: Authenticated) -> Unchallenged {
    Unchallenged { buyer }
}

/// When a ticket may be used.
#[derive(Debug, PartialEq, Eq)]
struct Life {
    not_before_ms: u64,
    expires_ms: u64,
}

/// From the opening, or from now if that has been, for `lifetime_ms`, and never beyond the sale.
fn life(window: Window, now_ms: u64, lifetime_ms: u64) -> Result<Life, Refusal> {
    let Window { tickets_from_ms, opens_ms, closes_ms } = window;
    if now_ms < tickets_from_ms {
        return Err(Refusal::NotOpen { opens_ms });
    }
    if now_ms >= closes_ms {
        return Err(Refusal::Closed);
    }
    let expires_ms = now_ms.max(opens_ms).saturating_add(lifetime_ms).min(closes_ms);
    Ok(Life { not_before_ms: opens_ms, expires_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_are_issued_from_warm_up_to_the_close() {
        let window = Window { tickets_from_ms: 400, opens_ms: 1000, closes_ms: 9000 };
        let until = |expires_ms| Ok(Life { not_before_ms: 1000, expires_ms });
        let table = [
            (399, Err(Refusal::NotOpen { opens_ms: 1000 })),
            (400, until(3000)),
            (1000, until(3000)),
            (5000, until(7000)),
            (8000, until(9000)),
            (8999, until(9000)),
            (9000, Err(Refusal::Closed)),
        ];
        for (now_ms, expected) in table {
            assert_eq!(life(window, now_ms, 2000), expected, "at {now_ms}");
        }
    }
}
