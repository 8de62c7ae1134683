//! The command line's way to the first token.

use std::time::Duration;

use chassis::{Clock, token::Verifier};
use tempfile::TempDir;

use super::{IssueError, issue};
use crate::{
    domain::Rights,
    keys,
    tokens::{BUYERS, OPERATORS},
};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_first_token_holds_for_operators_and_for_nobody_else() {
    let dir = TempDir::new().unwrap();
    let key_file = dir.path().join("signing.pem");
    let public = keys::generate(&key_file).unwrap();
    let token = issue(&key_file, "seckill", "Ann of ops", DAY, &Rights::all()).unwrap();

    let verify = |issuer: &str, audience: &str| {
        let verifier = Verifier::new(issuer, audience, Clock::system());
        verifier.set_keys(vec![(public.key_id.clone(), public.ed25519)]);
        verifier.verify(token.expose())
    };
    let claims = verify("seckill", OPERATORS).unwrap();
    assert_eq!(claims.name.as_deref(), Some("Ann of ops"));
    assert!(!claims.rehearsal);
    assert_eq!(claims.scopes, ["READ", "RUN_SALES", "MAKE_OPERATORS"]);
    assert!(claims.makers.is_empty() && claims.id.is_some());
    assert!(verify("seckill", BUYERS).is_err());
    assert!(verify("bakery", OPERATORS).is_err());
    assert_eq!(format!("{token:?}"), "Token([redacted])");
}

#[test]
fn what_is_out_of_bounds_is_named() {
    let dir = TempDir::new().unwrap();
    let key_file = dir.path().join("signing.pem");
    keys::generate(&key_file).unwrap();
    let refused = issue(&key_file, "seckill", "", 31 * DAY, &Rights::default()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "name must be 1 to 64 characters, not only spaces; \
         lifetime_seconds must be 60 to 2592000; \
         rights must name at least one of READ, RUN_SALES, MAKE_OPERATORS, and nothing else"
    );
    let refused =
        issue(&dir.path().join("none.pem"), "seckill", "Ann", DAY, &Rights::all()).unwrap_err();
    assert!(matches!(refused, IssueError::Key(_)), "{refused}");
}
