//! What a caller chooses is no sign of how the shop is: a deadline, leaving early, sending a ticket
//! again. Neither the limit nor the breakers move by it, and nobody gets more of a core by it.

use std::time::Duration;

use futures::future::join_all;
use gateway::Config;
use proto::{
    gateway::v1::{PurchaseRequest, PurchaseState::Accepted},
    inventory::v1::{SettledState, entry_answer::Answer},
};
use tonic::{Code, Status};

use crate::{
    stage::{Buyer, Plan, Stage, Ticket, reason, said},
    stubs::lock,
};

const UNDER_WAY: &str = "seckill_gateway_purchases_under_way";
const PLACES: &str = "seckill_gateway_places";

async fn with(config: impl FnOnce(&mut Config) + 'static) -> Stage {
    let config = |settings: &mut Config| {
        settings.rates.user = gateway::Allowance { per_s: 10_000, burst: 10_000 };
        config(settings);
    };
    Stage::with(Plan { config: Box::new(config), ..Plan::default() }).await
}

async fn tickets(buyer: &Buyer, count: usize) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for number in 0..count {
        tickets.push(buyer.ticket(1, &number.to_string()).await);
    }
    tickets
}

/// A retry by somebody who won't wait longer than this.
async fn hasty(buyer: &Buyer, ticket: &Ticket, patience: Duration) -> Result<(), Status> {
    let message = PurchaseRequest { ticket: ticket.text.clone(), attempt: 2 };
    let mut request = buyer.request(message);
    request.set_timeout(patience);
    buyer.client.clone().purchase(request).await.map(drop)
}

#[tokio::test]
async fn impatience_takes_no_places_from_a_core() {
    let stage = with(|config| {
        // Latency alone lowers nothing here, however busy the machine is.
        config.concurrency.unhurried_ms = 60_000;
        // Who won't wait longer is answered at once.
        config.purchase.answer_margin_ms = 1_000;
    })
    .await;
    let buyer = stage.buyer().await;
    let tickets = tickets(&buyer, 30).await;
    let before = stage.measured(PLACES);
    // Some windows of the limit, each with enough to learn from.
    let until = stage.clock.now() + Duration::from_secs(2);
    while stage.clock.now() < until {
        let all = tickets.iter().map(|it| hasty(&buyer, it, Duration::from_millis(900)));
        join_all(all).await;
        assert!(stage.measured(PLACES) >= before, "{} of {before}", stage.measured(PLACES));
    }
    let patient = buyer.ticket(1, "another").await;
    assert_eq!(buyer.buy(&patient, 1).await.unwrap(), Accepted);
}

/// Ten purchases whose callers are gone while their batch stands still: the core is full.
async fn full_of_those_who_left(leave: impl AsyncFn(&Stage, &Buyer, &[Ticket])) {
    let stage = with(|config| {
        let of = &mut config.concurrency;
        (of.places_first, of.places_min, of.places_max) = (10, 10, 10);
    })
    .await;
    let buyer = stage.buyer().await;
    let tickets = tickets(&buyer, 11).await;
    let (next, first) = tickets.split_last().unwrap();
    let point = stage.pause.arm("gateway.after_reserve");
    leave(&stage, &buyer, first).await;
    assert_eq!(stage.measured(UNDER_WAY), 10.0, "their work goes on");
    let overloaded = (Code::Unavailable, "OVERLOADED".to_owned(), true);
    assert_eq!(said(buyer.buy(next, 1).await), overloaded);
    point.release();
    let none = async || stage.measured(UNDER_WAY) == 0.0;
    stage.until("their places are free again", none).await;
    assert_eq!(buyer.buy(next, 2).await.unwrap(), Accepted);
    for ticket in first {
        assert_eq!(buyer.buy(ticket, 3).await.unwrap(), Accepted, "it was carried to its end");
    }
}

#[tokio::test]
async fn whose_deadline_is_over_frees_no_place() {
    full_of_those_who_left(async |_, buyer, tickets| {
        let patience = Duration::from_millis(500);
        join_all(tickets.iter().map(|ticket| hasty(buyer, ticket, patience))).await;
    })
    .await;
}

#[tokio::test]
async fn who_cancels_frees_no_place() {
    full_of_those_who_left(async |stage, buyer, tickets| {
        let all = join_all(tickets.iter().map(|ticket| buyer.buy(ticket, 2)));
        let in_place = async || stage.measured(UNDER_WAY) == 10.0;
        tokio::select! {
            _ = all => panic!("nobody is answered yet"),
            () = stage.until("all are under way", in_place) => {}
        }
        // Their streams are reset, and the core has heard of it: it answers what comes later.
        buyer.order("nonsense", "").await.expect_err("it is no order");
    })
    .await;
}

#[tokio::test]
async fn who_only_asks_again_for_an_order_uses_up_no_probe() {
    let journal = journal::Settings { message_timeout_ms: 300, ..Default::default() };
    let quick = |config: &mut Config| {
        (config.breakers.calls_min, config.breakers.open_ms) = (3, 60_000);
        config.breakers.open_ms_max = 60_000;
    };
    let plan = Plan { config: Box::new(quick), journal, ..Plan::default() };
    let stage = Stage::with(plan).await;
    let buyer = stage.buyer().await;
    stage.broker.faults().go_silent();
    let is_open = async || {
        let ticket = buyer.ticket(1, &stage.clock.now().as_nanos().to_string()).await;
        buyer.buy(&ticket, 1).await.is_err_and(|status| reason::<()>(Err(status)).starts_with("UP"))
    };
    stage.until("the breaker is open", is_open).await;
    stage.broker.faults().heal();
    stage.shift.jump(Duration::from_secs(60));
    // What the ledger knows to be settled needs no record, so it says nothing of the journal.
    stage.world.answer_all_with(Answer::Settled(SettledState::Placed.into()));
    let known = buyer.ticket(1, "known").await;
    for attempt in 2..8 {
        assert_eq!(buyer.buy(&known, attempt).await.unwrap(), Accepted);
    }
    *lock(&stage.world.reserve) = None;
    let honest = buyer.ticket(1, "honest").await;
    assert_eq!(buyer.buy(&honest, 1).await.unwrap(), Accepted, "the probe that counts");
    assert_eq!(stage.measured("seckill_gateway_breakers_open"), 0.0);
}
