//! Accounts and sessions by JSON.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::client::Ask;
use crate::{stage::Stage, stubs::lock};

#[tokio::test]
async fn who_signs_in_gets_a_token() {
    let stage = Stage::open().await;
    let credentials = json!({ "email": "ann@example.test", "password": "secret" });
    let session = Ask::post("/v1/sessions", &credentials).send(&stage).await;
    assert_eq!((session.status, session.header("cache-control")), (201, Some("no-store")));
    let session = session.json();
    assert_eq!(session["access_token"], "token of ann@example.test");
    assert_eq!(session["refresh_token"], "the first");
}

#[tokio::test]
async fn a_session_is_refreshed_and_ended_by_its_token() {
    let stage = Stage::open().await;
    let token = json!({ "refresh_token": "the first" });
    let next = Ask::post("/v1/sessions/refresh", &token).send(&stage).await;
    assert_eq!((next.status, &next.json()["refresh_token"]), (200, &json!("after the first")));
    let ended = Ask::post("/v1/sessions/end", &token).send(&stage).await;
    assert_eq!((ended.status, ended.body.len()), (204, 0));
    assert_eq!(*lock(&stage.world.signed_out), ["the first"]);
    let bare = Ask::post("/v1/sessions/end", &json!({})).send(&stage).await;
    assert_eq!(bare.bad_field(), "refresh_token must be given");
}

#[tokio::test]
async fn refusals_of_user_svc_come_with_their_details() {
    let stage = Stage::open().await;
    let credentials = json!({ "email": "ann@example.test", "password": "secret" });
    let exists = Ask::post("/v1/accounts", &credentials).send(&stage).await;
    assert_eq!(exists.refused(), (409, "ALREADY_EXISTS".into(), false));
    assert!(exists.bad_field().starts_with("email "), "{exists:?}");
    stage.world.is_user_down.store(true, Ordering::SeqCst);
    let down = Ask::post("/v1/sessions", &credentials).send(&stage).await;
    assert_eq!(down.refused(), (503, "UPSTREAM_UNAVAILABLE".into(), true));
}

#[tokio::test]
async fn user_svc_is_told_where_a_sign_in_comes_from_and_no_caller_can_say_so() {
    let stage = Stage::open().await;
    let credentials = json!({ "email": "ann@example.test", "password": "secret" });
    let ask = Ask::post("/v1/sessions", &credentials);
    let ask = ask.header("x-forwarded-for", "192.0.2.1").header("forwarded", "for=192.0.2.1");
    let ask = ask.header("x-seckill-client-address", "192.0.2.1");
    assert_eq!(ask.send(&stage).await.status, 201);
    assert_eq!(*lock(&stage.world.signed_in_from), ["127.0.0.1"]);
}
