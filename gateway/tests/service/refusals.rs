//! Each refusal of a purchase with its exact reason and details, in its place of the order.

use proto::{
    gateway::v1::PurchaseState::{Accepted, Processing},
    inventory::v1::{EntryRefusal, FoundState, SettledState, ShardRefusal, entry_answer::Answer},
    order::v1::OrderState,
};
use std::{sync::atomic::Ordering, time::Duration};
use tonic::Code;

use crate::{
    stage::{Plan, Stage, bad_field, reason, said},
    stubs::{LAST_EPOCH, lock},
};

#[tokio::test]
async fn the_ledgers_refusals_reach_the_buyer_with_their_details() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let final_code = Code::FailedPrecondition;
    let table = [
        (EntryRefusal::NotOpen, final_code, "NOT_OPEN", false),
        (EntryRefusal::Closed, final_code, "CLOSED", false),
        (EntryRefusal::TicketExpired, final_code, "TICKET_EXPIRED", false),
        (EntryRefusal::Paused, Code::Unavailable, "PAUSED", true),
        (EntryRefusal::LimitReached, final_code, "LIMIT_REACHED", false),
        (EntryRefusal::SoldOut, final_code, "SOLD_OUT", false),
    ];
    for (refusal, code, expected, waits) in table {
        stage.world.answer_all_with(Answer::Refusal(refusal.into()));
        let ticket = buyer.ticket(1, expected).await;
        let status = buyer.buy(&ticket, 1).await.unwrap_err();
        let meta = |key| chassis::status::meta_of(&status, key);
        match refusal {
            EntryRefusal::LimitReached => assert_eq!(meta("limit").as_deref(), Some("5")),
            EntryRefusal::NotOpen => assert!(meta("opens_at").unwrap().ends_with('Z')),
            _ => {}
        }
        assert_eq!(said::<()>(Err(status)), (code, expected.to_owned(), waits));
    }
    assert_eq!(stage.record_count().await, 0);
}

#[tokio::test]
async fn what_the_books_decided_is_told_again() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    stage.world.answer_all_with(Answer::Settled(SettledState::Placed.into()));
    let ticket = buyer.ticket(1, "placed").await;
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
    for state in [SettledState::Rejected, SettledState::Released] {
        stage.world.answer_all_with(Answer::Settled(state.into()));
        let ticket = buyer.ticket(1, state.as_str_name()).await;
        let rejected = (Code::FailedPrecondition, "REJECTED".to_owned(), false);
        assert_eq!(said(buyer.buy(&ticket, 2).await), rejected);
    }
    assert_eq!(stage.record_count().await, 0, "there is nothing to record");
}

#[tokio::test]
async fn a_shard_that_is_loading_says_when_to_come_back() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let loading = (Code::Unavailable, "LOADING".to_owned(), true);
    for refusal in [ShardRefusal::Loading, ShardRefusal::Unreachable, ShardRefusal::UnknownShard] {
        stage.world.refuse_shard_with(refusal);
        let ticket = buyer.ticket(1, refusal.as_str_name()).await;
        assert_eq!(said(buyer.buy(&ticket, 1).await), loading, "{refusal:?}");
    }
    stage.world.refuse_shard_with(ShardRefusal::Unspecified);
    let ticket = buyer.ticket(1, "nonsense").await;
    assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing);
}

#[tokio::test]
async fn for_a_retired_shard_the_books_alone_answer() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.world.refuse_shard_with(ShardRefusal::Retired);
    *lock(&stage.world.found) = Some(FoundState::Retired);
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Processing, "these books are an older copy");
    stage.world.open_epoch.store(LAST_EPOCH, Ordering::SeqCst);
    assert_eq!(reason(buyer.buy(&ticket, 2).await), "CLOSED");
    stage.write_row(ticket.order, buyer.user, OrderState::Placed);
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
    stage.write_row(ticket.order, buyer.user, OrderState::Expired);
    assert_eq!(reason(buyer.buy(&ticket, 2).await), "REJECTED");
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Processing);
}

#[tokio::test]
async fn tickets_that_are_not_the_buyers_are_invalid() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = buyer.ticket(1, "mine").await.text;
    let mut edited = ticket.clone();
    let last = if edited.pop() == Some('A') { 'E' } else { 'A' };
    edited.push(last);
    for bad in ["", "nonsense", &edited, &ticket[1..], &"A".repeat(3000)] {
        let answer = buyer.send(bad, 1).await;
        assert_eq!(reason(answer), "TICKET_INVALID", "{bad}");
        assert_eq!(bad_field(buyer.send(bad, 1).await), "ticket");
    }
    assert_eq!(reason(other.send(&ticket, 1).await), "TICKET_INVALID");
    let too_long = buyer.send(&"A".repeat(5000), 1).await;
    assert_eq!(bad_field(too_long), "message", "messages have a bound");
    assert_eq!(stage.world.batches(), [0; 0]);
}

#[tokio::test]
async fn nobody_is_sent_on_before_the_opening() {
    let stage = Stage::with(Plan { opens_in_s: 30, ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let early = buyer.buy(&ticket, 1).await.unwrap_err();
    assert!(chassis::status::meta_of(&early, "opens_at").is_some());
    assert_eq!(said::<()>(Err(early)), (Code::FailedPrecondition, "NOT_OPEN".into(), false));
    assert_eq!(stage.world.batches(), [0; 0]);
    stage.shift.jump(Duration::from_secs(30));
    assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted, "the same ticket");
}

#[tokio::test]
async fn an_expired_ticket_still_tells_what_came_of_it() {
    let short = |config: &mut gateway::Config| config.tickets.lifetime_s = 5;
    let stage = Stage::with(Plan { config: Box::new(short), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.shift.jump(Duration::from_secs(6));

    let expired = (Code::FailedPrecondition, "TICKET_EXPIRED".to_owned(), false);
    assert_eq!(said(buyer.buy(&ticket, 1).await), expired);
    for (found, expected) in [(FoundState::Open, Processing), (FoundState::Unknown, Processing)] {
        *lock(&stage.world.found) = Some(found);
        assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), expected, "{found:?}");
    }
    stage.write_row(ticket.order, buyer.user, OrderState::Placed);
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
    stage.write_row(ticket.order, buyer.user, OrderState::Cancelled);
    assert_eq!(reason(buyer.buy(&ticket, 2).await), "REJECTED");
    assert_eq!(stage.world.batches(), [0; 0], "it never goes to the ledger as a wish");
}

#[tokio::test]
async fn after_the_close_an_expired_ticket_is_told_so() {
    let stage = Stage::with(Plan { closes_in_s: 60, ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.shift.jump(Duration::from_secs(61));
    assert_eq!(reason(buyer.buy(&ticket, 1).await), "CLOSED");
}

#[tokio::test]
async fn too_many_who_wait_are_overloaded_and_nothing_is_done() {
    let narrow = |config: &mut gateway::Config| {
        config.purchase.batches_in_flight_max = 1;
        config.purchase.gathering_len_max = 1;
    };
    let stage = Stage::with(Plan { config: Box::new(narrow), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let mut tickets = Vec::new();
    for name in ["a", "b", "c"] {
        tickets.push(buyer.ticket(1, name).await);
    }
    let point = stage.pause.arm("gateway.after_reserve");
    let crowd = async {
        point.hit(1).await;
        let third = async {
            let overloaded = (Code::Unavailable, "OVERLOADED".to_owned(), true);
            assert_eq!(said(buyer.buy(&tickets[2], 1).await), overloaded);
            point.release();
        };
        futures::join!(buyer.buy(&tickets[1], 1), third).0
    };
    let (first, second) = futures::join!(buyer.buy(&tickets[0], 1), crowd);
    assert_eq!((first.unwrap(), second.unwrap()), (Accepted, Accepted));
    assert_eq!(lock(&stage.world.ledger).stock, 98);
}

#[tokio::test]
async fn more_calls_than_a_core_takes_are_refused_at_once() {
    let narrow = |config: &mut gateway::Config| config.calls_per_core_max = 1;
    let stage = Stage::with(Plan { config: Box::new(narrow), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let point = stage.pause.arm("gateway.after_reserve");
    let second = async {
        point.hit(1).await;
        let overloaded = (Code::Unavailable, "OVERLOADED".to_owned(), true);
        assert_eq!(said(buyer.buy(&ticket, 2).await), overloaded);
        point.release();
    };
    let (first, ()) = futures::join!(buyer.buy(&ticket, 1), second);
    assert_eq!(first.unwrap(), Accepted);
}
