//! Each claim, as it stands in the token.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::Clock;
use ids::UserId;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Holder, Signer};
use crate::{
    domain::{OperatorName, Right, Rights},
    keys,
};

fn signer(dir: &TempDir) -> (Signer, keys::PublicKey) {
    let key_file = dir.path().join("signing.pem");
    let public = keys::generate(&key_file).unwrap();
    let key = keys::load_signing(&key_file).unwrap();
    (Signer::new(key, "seckill".to_owned(), Clock::system()), public)
}

/// Header and claims.
fn parts(token: &str) -> [Value; 2] {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    [next(), next()]
}

#[test]
fn every_claim_is_there_and_no_other() {
    let dir = TempDir::new().unwrap();
    let (signer, public) = signer(&dir);
    let user = UserId::random();
    let name = OperatorName::parse("Ann").unwrap();
    let makers = ["Eve", "Bob"].map(|name| OperatorName::parse(name).unwrap());
    let rights = Rights::from_iter([Right::MakeOperators, Right::Read]);
    let operator = |makers| Holder::Operator { name: &name, rights: &rights, makers };
    let named = json!({ "name": "Ann", "scope": "READ MAKE_OPERATORS" });
    let mut made = named.clone();
    made["makers"] = json!(["Eve", "Bob"]);
    let lifetime = Duration::from_secs(90);
    for (holder, audience, subject, more) in [
        (Holder::Buyer(user), "seckill", user.to_string(), json!({})),
        (Holder::Rehearsal(user), "seckill", user.to_string(), json!({ "rehearsal": true })),
        (operator(&[]), "seckill-operator", "Ann".to_owned(), named.clone()),
        (operator(&makers), "seckill-operator", "Ann".to_owned(), made),
    ] {
        let issued = signer.issue(holder, lifetime).unwrap();
        let [header, claims] = parts(issued.token.expose());
        let kid = &public.key_id;
        assert_eq!(header, json!({ "typ": "JWT", "alg": "EdDSA", "kid": kid }), "{holder:?}");
        let mut expected = json!({
            "iss": "seckill",
            "aud": audience,
            "sub": subject,
            "iat": issued.expires_at_s - 90,
            "nbf": issued.expires_at_s - 90,
            "exp": issued.expires_at_s,
            "jti": claims["jti"],
        });
        expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(claims, expected, "{holder:?}");
        assert_eq!(claims["jti"], issued.id.as_str(), "{holder:?}");
    }
}

#[test]
fn no_two_tokens_are_the_same() {
    let dir = TempDir::new().unwrap();
    let (signer, _) = signer(&dir);
    let user = UserId::random();
    let jti = || {
        let issued = signer.issue(Holder::Buyer(user), Duration::from_secs(60)).unwrap();
        let [_, claims] = parts(issued.token.expose());
        claims["jti"].as_str().unwrap().to_owned()
    };
    assert_ne!(jti(), jti());
}
