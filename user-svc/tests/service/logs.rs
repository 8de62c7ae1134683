//! What may never be logged isn't, at any level: addresses, passwords, hashes, tokens.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::user::v1::{
    GrantRehearsalRequest, IssueOperatorTokenRequest, OperatorRight, RefreshSessionRequest,
    SignOutRequest,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::house::{House, by};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
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

fn wanted(name: &str) -> IssueOperatorTokenRequest {
    let rights = vec![OperatorRight::Read.into()];
    IssueOperatorTokenRequest { name: name.to_owned(), lifetime_seconds: 60, rights }
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

    let house = House::open().await;
    let (email, password) = ("canary-address@example.org", "canary-password");
    house.register(email, password).await.unwrap();
    house.register(email, password).await.unwrap_err();
    let signed_in = house.sign_in(email, password).await.unwrap();
    let (buyer, spent) = (signed_in.access_token, signed_in.refresh_token);
    let request = RefreshSessionRequest { refresh_token: spent.clone() };
    let refreshed = house.users().refresh_session(request.clone()).await.unwrap().into_inner();
    house.shift.jump(Duration::from_secs(60));
    house.users().refresh_session(request).await.unwrap_err();
    let request = SignOutRequest { refresh_token: refreshed.refresh_token.clone() };
    house.users().sign_out(request).await.unwrap();
    house.sign_in(email, "canary-password-wrong").await.unwrap_err();
    house.sign_in("canary-address", "canary").await.unwrap_err();
    let first = house.first_operator();
    let request = wanted("Bob");
    let issued = house.operators().issue_operator_token(by(&first, request)).await.unwrap();
    let request = wanted("Eve");
    house.operators().issue_operator_token(by(&buyer, request)).await.unwrap_err();
    let request = GrantRehearsalRequest { shoppers: 1, lifetime_seconds: 60 };
    let mut granted =
        house.operators().grant_rehearsal(by(&first, request)).await.unwrap().into_inner();
    let shopper = granted.message().await.unwrap().unwrap().shoppers.remove(0);

    let log = String::from_utf8_lossy(&captured.0.lock().unwrap()).into_owned();
    let action = log.lines().find(|line| line.contains("operator issued an operator token"));
    let action = action.expect("actions of operators are logged");
    assert!(action.contains("Ann of ops") && action.contains("Bob"), "{action}");
    assert!(log.contains("operator grants a rehearsal"));
    assert!(log.contains("a spent refresh token came back"));
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let issued = issued.into_inner().operator_token;
    for (what, canary) in [
        ("address", "canary-address".to_owned()),
        ("password", "canary-password".to_owned()),
        ("hash", "$argon2id$".to_owned()),
        ("spent refresh token", spent),
        ("present refresh token", refreshed.refresh_token),
        ("buyer's token", signature(&buyer)),
        ("first operator's token", signature(&first)),
        ("second operator's token", signature(&issued)),
        ("shopper's token", signature(&shopper.access_token)),
    ] {
        let leak = log.lines().find(|line| line.contains(&canary));
        assert!(leak.is_none(), "the log shows the {what}: {leak:?}");
    }
}
