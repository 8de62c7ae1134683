//! What may never be logged isn't, at any level: addresses, passwords, access tokens, tickets.

use std::{
    io,
    sync::{Arc, Mutex, atomic::Ordering},
};

use proto::{
    gateway::v1::{OrderState, PurchaseState::*},
    user::v1::{RegisterRequest, SignInRequest, user_service_client::UserServiceClient},
};
use tonic::Status;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    http::secrets,
    stage::{Buyer, Stage, Ticket, reason},
    stubs::lock,
};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Registers and signs in, or tries to.
async fn come_in(stage: &Stage, email: &str, password: &str) -> Result<(), Status> {
    let mut people = UserServiceClient::new(stage.channel().await);
    let message = RegisterRequest { email: email.into(), password: password.into() };
    people.register(message).await.unwrap_err();
    let message = SignInRequest { email: email.into(), password: password.into() };
    people.sign_in(message).await.map(|_| ())
}

/// Buys, asks and is refused, with everything behind the door in each mood.
async fn buy(stage: &Stage, buyer: &Buyer, ticket: &Ticket) {
    assert_eq!(buyer.buy(ticket, 1).await.unwrap(), Accepted);
    assert_eq!(buyer.order("", &ticket.text).await.unwrap().state(), OrderState::Processing);
    stage.world.reserve_with(|_| Err(Status::unavailable("gone")));
    assert_eq!(buyer.buy(ticket, 2).await.unwrap(), Processing);
    stage.world.reserve_with(|_| Err(Status::invalid_argument("entries")));
    assert_eq!(reason(buyer.buy(ticket, 2).await), "LOADING");
    stage.world.is_inventory_down.store(true, Ordering::SeqCst);
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    assert_eq!(buyer.order("", &ticket.text).await.unwrap().state(), OrderState::Processing);

    let other = stage.buyer().await;
    assert_eq!(reason(other.buy(ticket, 1).await), "TICKET_INVALID");
    assert_eq!(reason(buyer.send(&ticket.text[1..], 1).await), "TICKET_INVALID");
    let forged = Buyer { token: format!("{}x", buyer.token), ..buyer.clone() };
    assert_eq!(reason(forged.order("", &ticket.text).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn no_secret_and_no_address_is_ever_logged() {
    let captured = Captured::default();
    let everything = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    tracing::subscriber::set_global_default(everything).unwrap();

    let stage = Stage::open().await;
    let (email, password) = ("canary-address@example.org", "canary-password");
    come_in(&stage, email, password).await.unwrap();
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    secrets::show(&stage, &buyer, &ticket, (email, password)).await;
    buy(&stage, &buyer, &ticket).await;
    stage.world.is_user_down.store(true, Ordering::SeqCst);
    come_in(&stage, email, password).await.unwrap_err();

    let log = String::from_utf8_lossy(&lock(&captured.0)).into_owned();
    for said in
        ["a Reserve call has no answer", "a call that was passed on was not answered", " TRACE "]
    {
        assert!(log.contains(said), "the log is captured: {said}");
    }
    let token: Vec<_> = buyer.token.split('.').collect();
    // A part of either is enough to know it by.
    for (what, canary) in [
        ("address", "canary-address"),
        ("password", password),
        ("claims of the access token", &token[1][..40]),
        ("signature of the access token", &token[2][..40]),
        ("beginning of the ticket", &ticket.text[..40]),
        ("end of the ticket", &ticket.text[ticket.text.len() - 20..]),
    ] {
        let leak = log.lines().find(|line| line.contains(canary));
        assert!(leak.is_none(), "the log shows the {what}: {leak:?}");
    }
}
