//! Tokens and tickets that are none: of a hundred thousand tries not one gets an order, and the
//! genuine pair that all of them were made from still does.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chassis::Clock;
use futures::{StreamExt, stream};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proto::gateway::v1::PurchaseState;
use serde_json::{Value, json};
use tonic::{Code, Status, transport::Channel};

use super::Ground;
use crate::house::{Shopper, Ticket, reason};

const TRIES: usize = 100_000;
/// In flight on each connection: below what the edge allows.
const AT_ONCE: usize = 64;
const CONNECTIONS: usize = 8;
/// Why a try may be refused without a look at what it shows.
const UNSEEN: [&str; 2] = ["OVERLOADED", "RATE_LIMITED"];
/// Of each kind that names a time.
const HOUR_S: u64 = 3_600;

/// Somebody's try to buy: a token, a ticket, and what it is.
struct Try {
    what: &'static str,
    token: String,
    ticket: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a measurement is worth reading also where it passes")]
async fn no_forged_token_or_ticket_gets_an_order() {
    let ground = Ground::open().await;
    let (buyer, others) = ground.shoppers.split_first().expect("there are many");
    let genuine = buyer.ticket(&ground.sale.item_id, 1, "mine").await.expect("for a buyer");
    let tries = tries(&ground, buyer, &others[0], &genuine);
    let channels: Vec<_> = (0..CONNECTIONS).map(|_| ground.channel()).collect();
    let (clock, accepted) = (Clock::system(), AtomicUsize::new(0));
    let begun_ms = clock.wall_ms();
    let all = stream::iter(0..TRIES).map(|number| {
        let (one, channel) = (&tries[number % tries.len()], &channels[number % CONNECTIONS]);
        let round = number / tries.len();
        // Another edit each time; and another buyer, whose allowance isn't used up.
        let (token, ticket) = match one.what {
            "edited ticket" => (&one.token, edited(&genuine.text, round)),
            "foreign ticket" => (&others[round % others.len()].token, one.ticket.clone()),
            _ => (&one.token, one.ticket.clone()),
        };
        let accepted = &accepted;
        async move {
            loop {
                match attempt(channel, token, ticket.clone()).await {
                    Ok(_state) => drop(accepted.fetch_add(1, Ordering::SeqCst)),
                    // A flood of forgeries is shed unseen, or its network has called too often,
                    // which proves nothing of this one.
                    Err(status) if UNSEEN.contains(&&*reason(&status)) => continue,
                    Err(status) => {
                        assert!(is_fitting(one.what, &status), "{}: {status:?}", one.what);
                    }
                }
                break;
            }
        }
    });
    all.buffer_unordered(AT_ONCE * CONNECTIONS).collect::<()>().await;
    let took = Duration::from_millis(clock.wall_ms() - begun_ms);
    eprintln!("{TRIES} tries with {} kinds of forgery in {took:?}", tries.len());

    assert_eq!(accepted.into_inner(), 0);
    let rows = ground.rows(ground.sale.shard).await;
    assert_eq!(rows.live_orders + rows.rejected_orders, 0, "nothing got as far as the books");
    let state = buyer.purchase(&genuine, 0).await.expect("it is genuine");
    assert_eq!(state, PurchaseState::Accepted);
}

async fn attempt(channel: &Channel, token: &str, ticket: String) -> Result<PurchaseState, Status> {
    let buyer = Shopper { token: token.to_owned(), channel: channel.clone() };
    let message = proto::gateway::v1::PurchaseRequest { ticket, attempt: 0 };
    let mut request = buyer.request(message);
    if token.is_empty() {
        request.metadata_mut().remove("authorization");
    }
    Ok(buyer.client().purchase(request).await?.into_inner().state())
}

/// Refused for what it is, and for nothing else: an overloaded gateway proves nothing.
fn is_fitting(what: &str, status: &Status) -> bool {
    match what {
        "edited ticket" | "foreign ticket" | "no ticket" => {
            matches!(status.code(), Code::InvalidArgument | Code::PermissionDenied)
        }
        _ => status.code() == Code::Unauthenticated,
    }
}

/// The ticket with one character changed, another one each time.
fn edited(ticket: &str, number: usize) -> String {
    let mut bytes = ticket.as_bytes().to_vec();
    // The last character of base64 may carry bits that mean nothing.
    let at = number % (bytes.len() - 1);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let now = letters.iter().position(|letter| *letter == bytes[at]);
    let turn = number / bytes.len() % 62 + 1;
    bytes[at] = letters[(now.unwrap_or(0) + turn) % letters.len()];
    String::from_utf8(bytes).expect("letters")
}

fn tries(ground: &Ground, buyer: &Shopper, other: &Shopper, genuine: &Ticket) -> Vec<Try> {
    let header = jsonwebtoken::decode_header(&buyer.token).expect("it is a token");
    let real = key(&fs::read_to_string(ground.signing_key()).expect("it is there"));
    let now_s = Clock::system().wall_ms() / 1_000;
    let claims = claims_of(&buyer.token);
    let with = |changed: Value| {
        let mut claims = claims.clone();
        let changed = changed.as_object().expect("an object").clone();
        claims.as_object_mut().expect("an object").extend(changed);
        claims
    };
    let signed = |claims: &Value, header: &Header, key: &EncodingKey| {
        jsonwebtoken::encode(header, claims, key).expect("it can be signed")
    };
    let signature = buyer.token.rsplit('.').next().expect("three parts");
    let body = buyer.token.split('.').nth(1).expect("three parts");
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    // The public key as the secret of another algorithm, which some libraries fall for.
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.kid.clone_from(&header.kid);
    let secret = EncodingKey::from_secret(header.kid.as_deref().unwrap_or("x").as_bytes());
    let strangers = EncodingKey::from_ed_der(STRANGERS_KEY);
    let mut unknown = header.clone();
    unknown.kid = Some("../../dev/null".to_owned());

    let token = |what, token: String| Try { what, token, ticket: genuine.text.clone() };
    let ticket = |what, token: &str, ticket: &str| Try {
        what,
        token: token.to_owned(),
        ticket: ticket.to_owned(),
    };
    vec![
        token("no token", String::new()),
        token("alg none", format!("{none}.{body}.")),
        token("alg none, signed", format!("{none}.{body}.{signature}")),
        token("another algorithm", signed(&claims, &symmetric, &secret)),
        token("wrong key", signed(&claims, &header, &strangers)),
        token("unknown key", signed(&claims, &unknown, &strangers)),
        token("wrong audience", signed(&with(json!({ "aud": "operators" })), &header, &real)),
        token("another shop", signed(&with(json!({ "iss": "other" })), &header, &real)),
        token("expired", signed(&with(json!({ "exp": now_s - 60 })), &header, &real)),
        token("not yet valid", signed(&with(json!({ "nbf": now_s + HOUR_S })), &header, &real)),
        token("nobody", signed(&with(json!({ "sub": "" })), &header, &real)),
        token(
            "edited claims",
            format!("{}.{}.{signature}", part(&buyer.token, 0), part(&other.token, 1)),
        ),
        ticket("edited ticket", &buyer.token, &genuine.text),
        ticket("foreign ticket", &other.token, &genuine.text),
        ticket("no ticket", &buyer.token, ""),
    ]
}

/// Of a PEM file.
fn key(pem: &str) -> EncodingKey {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    EncodingKey::from_ed_der(&STANDARD.decode(lines).expect("PEM is base64"))
}

fn part(token: &str, number: usize) -> &str {
    token.split('.').nth(number).expect("three parts")
}

/// What a token says, unchecked.
fn claims_of(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token).expect("it is a token").claims
}

/// An Ed25519 key in PKCS#8 that no shop has.
const STRANGERS_KEY: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
];
