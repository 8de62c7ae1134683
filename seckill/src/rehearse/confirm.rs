//! What happens after the rush: every order that was promised, or whose fate is unknown, is asked
//! for until it is a row in the books, and every shopper's orders are listed. Nothing of the
//! client's own memory is believed here; only what the shop shows counts.

use std::{sync::atomic::Ordering, time::Duration};

use chassis::Clock;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use ids::OrderId;
use proto::gateway::v1::{ListOrdersRequest, ListOrdersResponse, OrderState};

use super::{
    fleet::{Done, Lane},
    judge::Row,
    pursuit::{Ending, Seen},
    rush::ask,
};
use crate::failure::Failure;

const ASK_AGAIN: Duration = Duration::from_millis(50);
/// An attempt may go on so long after its caller has left: it gathers, asks the ledger and then the
/// journal, each for less than a quarter of this. Whoever left in doubt isn't told before that that
/// nothing was placed.
const ATTEMPT_OUTLIVES: Duration = Duration::from_secs(10);
const CALL_WITHIN: Duration = Duration::from_secs(10);
const CALLS_AT_ONCE: usize = 32;
const LIST_ATTEMPTS: u32 = 20;
/// A shopper with one ticket has one order; this many pages would already be a catastrophe.
const PAGES_MAX: usize = 10;
const PAGE_SIZE: u32 = 200;

/// What one worker found.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) lane: Lane,
    pub(super) endings: Vec<Ending>,
    /// When the last row was written, milliseconds since the Unix epoch.
    pub(super) last_row_ms: u64,
}

/// Asks for every accepted or unknown order until it is a row, or `give_up` (by `clock.now()`).
pub(super) async fn confirm(
    lane: Lane,
    endings: Vec<Ending>,
    give_up: Duration,
    clock: Clock,
    done: Done,
) -> Confirmed {
    let settled_at = (clock.now() + ATTEMPT_OUTLIVES).min(give_up);
    let asked = endings.into_iter().enumerate().map(|(place, ending)| {
        let (lane, clock, done) = (&lane, &clock, &done);
        async move {
            match ending {
                Ending::Refused(_) => (ending, None),
                Ending::Accepted | Ending::Unknown => {
                    let nothing_from = if ending == Ending::Unknown { settled_at } else { give_up };
                    let fate = fate_of(lane, place, clock, (nothing_from, give_up)).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    (ending_after(ending, fate.0), fate.1)
                }
            }
        }
    });
    let asked: Vec<(Ending, Option<u64>)> =
        stream::iter(asked).buffered(CALLS_AT_ONCE).collect().await;
    let last_row_ms = asked.iter().filter_map(|(_, placed_ms)| *placed_ms).max().unwrap_or(0);
    let endings = asked.into_iter().map(|(ending, _)| ending).collect();
    Confirmed { lane, endings, last_row_ms }
}

/// The first answer that can't change any more, or the last one before `give_up`. That nothing was
/// placed is such an answer after `nothing_from`.
async fn fate_of(
    lane: &Lane,
    place: usize,
    clock: &Clock,
    (nothing_from, give_up): (Duration, Duration),
) -> (Seen, Option<u64>) {
    let mut turn = 0;
    loop {
        let (seen, placed_ms) = ask(&lane.shoppers[place], &mut lane.client(place, turn)).await;
        turn += usize::from(seen == Seen::Lost);
        let is_final = match seen {
            Seen::Row | Seen::Gone(_) => true,
            Seen::NotPlaced => clock.now() >= nothing_from,
            _ => false,
        };
        if is_final || clock.now() >= give_up {
            return (seen, placed_ms.filter(|_| is_final));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// A promise stays a promise whatever is found; the judge sees whether it was kept. What was
/// unknown is known now, or remains unknown.
fn ending_after(ending: Ending, fate: Seen) -> Ending {
    match (ending, fate) {
        (Ending::Unknown, Seen::Row) => Ending::Accepted,
        (Ending::Unknown, Seen::Gone(state)) => Ending::Refused(state),
        (Ending::Unknown, Seen::NotPlaced) => Ending::Refused("NOT_PLACED".into()),
        (ending, _) => ending,
    }
}

/// Lists the orders of every shopper of the lane.
pub(super) async fn list_orders(lane: Lane, done: Done) -> Result<Vec<Row>, Failure> {
    let lists = (0..lane.shoppers.len()).map(|place| {
        let (lane, done) = (&lane, &done);
        async move {
            let rows = orders_of(lane, place).await;
            done.fetch_add(1, Ordering::Relaxed);
            rows
        }
    });
    let lists: Vec<Vec<Row>> =
        stream::iter(lists).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
    Ok(lists.into_iter().flatten().collect())
}

async fn orders_of(lane: &Lane, place: usize) -> Result<Vec<Row>, Failure> {
    let shopper = &lane.shoppers[place];
    let mut rows = Vec::new();
    let mut page_token = String::new();
    for _ in 0..PAGES_MAX {
        let page = page_of(lane, place, page_token).await?;
        for order in &page.orders {
            let id: OrderId = order.order_id.parse().map_err(|error| {
                Failure::Unavailable(format!("ListOrders answered an order id that {error}"))
            })?;
            rows.push(Row {
                shopper: shopper.number as usize,
                order: id,
                quantity: order.quantity,
                is_live: matches!(order.state(), OrderState::Placed | OrderState::Paid),
            });
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(rows)
}

async fn page_of(
    lane: &Lane,
    place: usize,
    page_token: String,
) -> Result<ListOrdersResponse, Failure> {
    let shopper = &lane.shoppers[place];
    let mut attempt = 1;
    loop {
        let request = ListOrdersRequest { page_size: PAGE_SIZE, page_token: page_token.clone() };
        let mut client = lane.client(place, attempt as usize - 1);
        match client.list_orders(shopper.request(request, CALL_WITHIN)).await {
            Ok(page) => return Ok(page.into_inner()),
            Err(status) if attempt >= LIST_ATTEMPTS => {
                let (code, says) = (status.code(), status.message());
                return Err(Failure::Unavailable(format!("ListOrders failed: {code}: {says}")));
            }
            Err(_) => attempt += 1,
        }
        tokio::time::sleep(ASK_AGAIN * attempt).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_not_taken_back_by_what_is_found() {
        for fate in [Seen::NotPlaced, Seen::Processing, Seen::Lost, Seen::Gone("EXPIRED".into())] {
            assert_eq!(ending_after(Ending::Accepted, fate), Ending::Accepted);
        }
    }

    #[test]
    fn what_was_unknown_is_decided_by_what_is_found() {
        assert_eq!(ending_after(Ending::Unknown, Seen::Row), Ending::Accepted);
        assert_eq!(ending_after(Ending::Unknown, Seen::Processing), Ending::Unknown);
        let refused = Ending::Refused("NOT_PLACED".into());
        assert_eq!(ending_after(Ending::Unknown, Seen::NotPlaced), refused);
    }
}
