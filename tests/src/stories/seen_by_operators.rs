//! What operators see of a purchase, and what they never see of a person: one trace with all
//! services and stores, log lines by its id, metrics; and no token, ticket, password, address or
//! key.

use std::collections::BTreeSet;

use proto::{
    gateway::v1::{PurchaseRequest, PurchaseState},
    user::v1::{
        RefreshSessionRequest, RegisterRequest, SignInRequest,
        user_service_client::UserServiceClient,
    },
};

use crate::house::{Collector, House, Offer, PATIENCE, Recorded, Shopper, Ticket, log};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Buys as a client does that is in a trace of its own.
async fn buy_in_trace(shopper: &Shopper, ticket: &Ticket) -> PurchaseState {
    let message = PurchaseRequest { ticket: ticket.text.clone(), attempt: 1 };
    let mut request = shopper.request(message);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-00");
    request.metadata_mut().insert("traceparent", traceparent.parse().expect("ASCII"));
    shopper.client().purchase(request).await.expect("no refusal").into_inner().state()
}

/// `service: name`, with the store if it is one.
fn shown(span: &Recorded) -> String {
    let store = span.told.iter().find(|(name, _)| {
        ["db.system.name", "messaging.system"].contains(&name.as_str()) && span.name != "process"
    });
    let store = store.map_or_else(String::new, |(_, store)| format!(" ({store})"));
    format!("{}: {}{store}", span.service, span.name)
}

#[tokio::test]
async fn one_trace_shows_a_purchase_from_the_door_to_the_books() {
    log();
    let collector = Collector::open();
    let house = House::open_seen_by(&collector).await;
    let sale = house.sell(Offer::default()).await;
    let shopper = house.shopper().await;
    let ticket = shopper.ticket(&sale.item_id, 1, "one").await.expect("a ticket");
    assert_eq!(buy_in_trace(&shopper, &ticket).await, PurchaseState::Accepted);
    house.judge(&sale, &BTreeSet::from([ticket.order_id.clone()]), PATIENCE).await;
    let metrics = house.telemetry.metrics().text();
    house.close_seen().await;

    let spans = collector.spans();
    let mine: BTreeSet<_> = spans.iter().filter(|span| span.trace_id == TRACE).map(shown).collect();
    let expected = [
        "gateway: append (kafka)",
        "gateway: reserve",
        "gateway: seckill.gateway.v1.GatewayService/Purchase",
        "inventory-svc: reserve (memory)",
        "inventory-svc: take units",
        "order-svc: commit (sqlite)",
        "order-svc: record order",
    ];
    assert_eq!(mine, expected.map(str::to_owned).into());

    // The batch and the consumer work in traces of their own, linked to those they work for.
    let batch = spans.iter().find(|span| span.links.contains(&TRACE.to_owned()));
    let batch = batch.expect("a batch has carried it");
    assert_eq!((batch.service.as_str(), batch.name.as_str()), ("gateway", "carry batch"));
    let of_batch = |span: &&Recorded| span.trace_id == batch.trace_id;
    let asked = "seckill.inventory.v1.InventoryService/Reserve";
    assert!(spans.iter().filter(of_batch).any(|span| span.name == asked), "the call goes on there");
    let consumed = |span: &Recorded| {
        span.service == "order-svc"
            && span.name == "process"
            && span.links.contains(&batch.trace_id)
    };
    assert!(spans.iter().any(consumed), "the journal carries the batch's place");

    let log = log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(TRACE)).collect();
    for (crate_name, says) in [
        ("gateway", "a purchase is answered"),
        ("inventory_svc", "units were asked of the ledger"),
        ("order_svc", "an order is in the books"),
    ] {
        let is_it = |line: &&&str| {
            line.contains(&format!("\"target\":\"{crate_name}")) && line.contains(says)
        };
        assert!(lines.iter().find(is_it).is_some(), "{crate_name} in {lines:#?}");
    }

    for line in [
        "seckill_gateway_purchases_total{state=\"PURCHASE_STATE_ACCEPTED\"} 1",
        "seckill_inventory_reserve_entries_total{answer=\"held\"} 1",
        "seckill_order_holds_decided_total{decision=\"placed\"} 1",
        &format!("seckill_inventory_stock_left{{shard=\"{}\"}} 9.0", sale.shard),
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    assert!(metrics.contains(&format!("trace_id=\"{TRACE}\"")), "an exemplar leads to it");
}

/// What must not be seen, and what it is.
struct Canary(&'static str, String);

/// The canaries that a text shows.
fn leaks(canaries: &[Canary], text: &str) -> Vec<&'static str> {
    let is_shown = |canary: &&Canary| text.contains(&canary.1);
    canaries.iter().filter(is_shown).map(|Canary(what, _)| *what).collect()
}

/// A part of a secret is enough to know it by: its end.
fn end_of(secret: &str) -> String {
    secret[secret.len().saturating_sub(24)..].to_owned()
}

#[tokio::test]
async fn no_secret_and_no_person_is_seen() {
    log();
    let collector = Collector::open();
    let house = House::open_seen_by(&collector).await;
    let sale = house.sell(Offer { units: 1, ..Offer::default() }).await;
    let (email, password) = ("canary-of-the-story@example.org", "canary-pass-of-the-story");
    let mut people = UserServiceClient::new(house.channel());
    let message = RegisterRequest { email: email.into(), password: password.into() };
    people.register(message.clone()).await.expect("a new address");
    people.register(message).await.expect_err("a known one");
    let message = SignInRequest { email: email.into(), password: password.into() };
    let session = people.sign_in(message).await.expect("the right password").into_inner();
    let message =
        SignInRequest { email: email.into(), password: "canary-pass-of-the-st0ry".into() };
    people.sign_in(message).await.expect_err("the wrong password");
    let message = RefreshSessionRequest { refresh_token: session.refresh_token.clone() };
    let renewed = people.refresh_session(message).await.expect("a fresh session").into_inner();

    let buyer = Shopper { token: session.access_token.clone(), channel: house.channel() };
    let ticket = buyer.ticket(&sale.item_id, 1, "one").await.expect("a ticket");
    assert_eq!(buyer.purchase(&ticket, 1).await.expect("no refusal"), PurchaseState::Accepted);
    let late = house.shopper().await;
    let too_late = late.ticket(&sale.item_id, 1, "one").await.expect("a ticket");
    late.purchase(&too_late, 1).await.expect_err("sold out");
    late.purchase(&ticket, 1).await.expect_err("another buyer's ticket");
    let edited = Ticket { text: too_late.text[1..].to_owned(), ..too_late.clone() };
    late.purchase(&edited, 1).await.expect_err("no ticket");
    let forger = Shopper { token: format!("{}x", late.token), ..late.clone() };
    forger.purchase(&too_late, 1).await.expect_err("no token");
    house.judge(&sale, &BTreeSet::from([ticket.order_id.clone()]), PATIENCE).await;
    let canaries = [
        Canary("address", "canary-of-the-story".to_owned()),
        Canary("password", "canary-pass-of-the-".to_owned()),
        Canary("hash", "$argon2".to_owned()),
        Canary("access token", end_of(&session.access_token)),
        Canary("spent refresh token", end_of(&session.refresh_token)),
        Canary("refresh token", end_of(&renewed.refresh_token)),
        Canary("rehearsal's token", end_of(&late.token)),
        Canary("operator token", end_of(house.operator())),
        Canary("ticket", end_of(&ticket.text)),
        Canary("ticket of who was too late", end_of(&too_late.text)),
        Canary("ticket key", house.key("ticket.key")),
        Canary("order id key", house.key("order-id.key")),
        Canary("header", "Bearer ".to_owned()),
    ];
    let metrics = house.telemetry.metrics().text();
    house.close_seen().await;

    let log = log();
    assert!(log.contains("a purchase is answered"), "the log is captured");
    assert!(metrics.contains("seckill_gateway_refusals_total{reason=\"SOLD_OUT\"} 1"), "{metrics}");
    let spans = collector.spans();
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    let all = ["gateway", "inventory-svc", "order-svc", "user-svc"];
    assert_eq!(services, BTreeSet::from(all), "spans are captured");
    for (place, text) in [("log", log.as_str()), ("metrics", &metrics)] {
        let shown: Vec<_> =
            text.lines().filter(|line| !leaks(&canaries, line).is_empty()).take(3).collect();
        assert!(shown.is_empty(), "the {place} shows {:?}: {shown:#?}", leaks(&canaries, text));
    }
    for span in spans {
        assert!(leaks(&canaries, &span.text).is_empty(), "{span:#?}");
    }
}
