//! One good token, and every way in which another one is not good.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::clock::ClockShift;

/// An Ed25519 private key in the format of PKCS #8 is this and 32 bytes of seed.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

const LIFE_S: u64 = 900;

struct Signer {
    key: EncodingKey,
    public: [u8; 32],
}

impl Signer {
    fn new(seed: u8) -> Self {
        let key = EncodingKey::from_ed_der(&[PKCS8_HEAD.as_slice(), &[seed; 32]].concat());
        let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("a key");
        let AlgorithmParameters::OctetKeyPair(pair) = jwk.algorithm else {
            panic!("another kind of key")
        };
        let public = URL_SAFE_NO_PAD.decode(pair.x).expect("base64");
        Self { key, public: public.try_into().expect("32 bytes") }
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).expect("signed")
    }
}

/// A verifier that knows the keys "a" and "b", and who holds "a".
fn bakery() -> (Verifier, Signer, ClockShift) {
    let (clock, shift) = Clock::adjustable();
    let (a, b) = (Signer::new(1), Signer::new(2));
    let verifier = Verifier::new("baker", "shop", clock);
    verifier.set_keys(vec![("a".into(), a.public), ("b".into(), b.public)]);
    (verifier, a, shift)
}

fn good(verifier: &Verifier) -> Value {
    let now_s = verifier.clock.wall_ms() / 1000;
    json!({
        "iss": "baker", "aud": "shop", "sub": "7",
        "iat": now_s, "nbf": now_s, "exp": now_s + LIFE_S,
    })
}

/// `good` with one claim set, or removed if the value is null.
fn with(good: &Value, claim: &str, value: Value) -> Value {
    let mut claims = good.clone();
    let object = claims.as_object_mut().expect("an object");
    if value.is_null() {
        object.remove(claim);
    } else {
        object.insert(claim.to_owned(), value);
    }
    claims
}

fn text_of(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

#[test]
fn good_token_counts() {
    let (verifier, signer, _) = bakery();
    let good = good(&verifier);
    let claims = verifier.verify(&signer.sign("a", &good)).expect("it is good");
    let issued_at_s = good["iat"].as_u64().expect("a number");
    let plain = Claims {
        subject: "7".into(),
        name: None,
        rehearsal: false,
        id: None,
        scopes: vec![],
        makers: vec![],
        issued_at_s,
        expires_at_s: issued_at_s + LIFE_S,
    };
    assert_eq!(claims, plain);

    let special = with(&with(&good, "name", json!("Ann")), "rehearsal", json!(true));
    let special = with(&with(&special, "jti", json!("id")), "scope", json!("KNEAD  BAKE"));
    let special = with(&special, "makers", json!(["Eve"]));
    let claims = verifier.verify(&signer.sign("a", &special)).expect("it is good");
    let special = Claims {
        name: Some("Ann".into()),
        rehearsal: true,
        id: Some("id".into()),
        scopes: vec!["KNEAD".into(), "BAKE".into()],
        makers: vec!["Eve".into()],
        ..plain
    };
    assert_eq!(claims, special);
}

#[test]
fn wrong_claims_are_refused() {
    let (verifier, signer, _) = bakery();
    let good = good(&verifier);
    let now_s = good["iat"].as_u64().expect("a number");
    let table = [
        ("iss", Value::Null, TokenError::Claim("iss")),
        ("aud", Value::Null, TokenError::Claim("aud")),
        ("sub", Value::Null, TokenError::Claim("sub")),
        ("exp", Value::Null, TokenError::Claim("exp")),
        ("nbf", Value::Null, TokenError::Claim("nbf")),
        ("iat", Value::Null, TokenError::Claim("iat")),
        ("sub", json!(""), TokenError::Claim("sub")),
        ("iss", json!("butcher"), TokenError::Issuer),
        ("aud", json!("shop-operator"), TokenError::Audience),
        ("aud", json!(["shop", "shop-operator"]), TokenError::Malformed),
        ("exp", json!(now_s - 10), TokenError::Expired),
        ("exp", json!(0), TokenError::Expired),
        ("exp", json!("never"), TokenError::Malformed),
        ("exp", json!(-1), TokenError::Malformed),
        ("nbf", json!(now_s + 60), TokenError::NotYet),
        ("nbf", json!(u64::MAX), TokenError::NotYet),
        ("iat", json!(now_s + 60), TokenError::NotYet),
        ("rehearsal", json!("yes"), TokenError::Malformed),
        ("scope", json!(["BAKE"]), TokenError::Malformed),
        ("makers", json!("Ann"), TokenError::Malformed),
    ];
    for (claim, value, refusal) in table {
        let token = signer.sign("a", &with(&good, claim, value.clone()));
        assert_eq!(verifier.verify(&token), Err(refusal), "{claim} = {value}");
    }
}

/// Who is revoked, before how many seconds after the token was made, and whether it falls.
#[test]
fn what_was_revoked_is_void_with_all_that_was_made_by_it() {
    let (verifier, signer, _) = bakery();
    let good = with(&good(&verifier), "makers", json!(["Ann", "Bob"]));
    let token = signer.sign("a", &good);
    let made_s = good["iat"].as_u64().expect("a number");
    let verify_after = |subject: Option<&str>, before_s: u64| {
        let mut told = Revocations::default();
        match subject {
            Some(subject) => told.of(subject.to_owned(), before_s),
            None => told.of_everybody(before_s),
        }
        let verifier = Verifier::new("baker", "shop", verifier.clock.clone());
        verifier.set_keys(vec![("a".into(), signer.public)]);
        verifier.revoke(told);
        verifier.revoke(Revocations::default());
        verifier.verify(&token).map(drop)
    };
    for (subject, is_in_line) in [
        (Some("7"), true),
        (Some("Ann"), true),
        (Some("Bob"), true),
        (None, true),
        (Some("8"), false),
    ] {
        assert_eq!(verify_after(subject, made_s), Ok(()), "{subject:?}: made at that moment");
        let void = if is_in_line { Err(TokenError::Revoked) } else { Ok(()) };
        assert_eq!(verify_after(subject, made_s + 1), void, "{subject:?}: made before");
    }
}

#[test]
fn a_revocation_is_never_taken_back_and_the_later_moment_counts() {
    let mut known = Revocations::default();
    known.of("Ann".into(), 20);
    known.of("Ann".into(), 10);
    known.of_everybody(5);
    known.merge(Revocations::default());
    let mut later = Revocations::default();
    later.of("Bob".into(), 30);
    known.merge(later);
    let before = |line: &[&str]| known.made_before_s(line.iter().copied());
    assert_eq!([before(&["Ann"]), before(&["Bob", "Ann"]), before(&["Cat"])], [20, 30, 5]);

    let mut too_many = Revocations::default();
    (0..20_000).for_each(|subject| too_many.of(subject.to_string(), 1));
    known.merge(too_many);
    let mut few = Revocations::default();
    few.of("Ann".into(), 20);
    known.merge(few.clone());
    assert_eq!(known.made_before_s(["1"]), 5, "who tells is believed alone");
    assert_eq!(known.made_before_s(["Ann"]), 20);
}

#[test]
fn what_is_told_again_and_again_drives_nothing_out() {
    let mut known = Revocations::default();
    known.add("Ann".into(), 20);
    let mut many = Revocations::default();
    (0..6_000).for_each(|subject| many.add(subject.to_string(), 1));
    for _ in 0..2 {
        known.merge(many.clone());
        assert_eq!([known.made_before_s(["Ann"]), known.made_before_s(["1"])], [20, 1]);
    }
    known.add(String::new(), 5);
    assert_eq!(known.made_before_s(["Cat"]), 5, "who names nobody means everybody");
}

#[test]
fn wrong_signatures_are_refused() {
    let (verifier, signer, _) = bakery();
    let good = good(&verifier);
    let token = signer.sign("a", &good);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };

    let richer = text_of(&with(&good, "sub", json!("8")));
    let none = text_of(&json!({"alg": "none", "typ": "JWT", "kid": "a"}));
    let hs256 = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
    let public_as_secret = EncodingKey::from_secret(&signer.public);
    let confused = jsonwebtoken::encode(&hs256, &good, &public_as_secret).expect("signed");
    let crit = text_of(&json!({"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false}));
    let no_kid = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &good, &signer.key);

    let table = [
        ("tampered claims", format!("{header}.{richer}.{signature}"), TokenError::Signature),
        ("no signature", format!("{header}.{claims}."), TokenError::Signature),
        ("short signature", format!("{header}.{claims}.AAAA"), TokenError::Signature),
        ("none, unsigned", format!("{none}.{claims}."), TokenError::Malformed),
        ("none, signed", format!("{none}.{claims}.{signature}"), TokenError::Malformed),
        ("HS256 with the public key", confused, TokenError::Algorithm),
        ("a critical extension", format!("{crit}.{claims}.{signature}"), TokenError::Algorithm),
        ("another's key id", signer.sign("b", &good), TokenError::Signature),
        ("unknown key id", signer.sign("c", &good), TokenError::UnknownKey),
        ("no key id", no_kid.expect("signed"), TokenError::Malformed),
        ("another's key", Signer::new(9).sign("a", &good), TokenError::Signature),
    ];
    for (name, token, refusal) in table {
        assert_eq!(verifier.verify(&token), Err(refusal), "{name}");
    }
}

#[test]
fn garbage_is_refused() {
    let (verifier, signer, _) = bakery();
    let token = signer.sign("a", &good(&verifier));
    let (header, rest) = token.split_once('.').expect("parts");
    let long = with(&good(&verifier), "name", json!("x".repeat(4096)));
    let table = [
        String::new(),
        ".".into(),
        "..".into(),
        "not a token".into(),
        "é.é.é".into(),
        "\0".repeat(100),
        format!("{header}."),
        format!("{token}.more"),
        format!("{header}.{{}}.{rest}"),
        format!(" {token}"),
        "A".repeat(1_000_000),
        signer.sign("a", &long),
    ];
    for token in table {
        let shown: String = token.chars().take(40).collect();
        assert_eq!(verifier.verify(&token), Err(TokenError::Malformed), "{shown}");
    }
}

#[test]
fn life_is_measured_by_our_clock_with_little_leeway() {
    let (verifier, signer, shift) = bakery();
    let token = signer.sign("a", &good(&verifier));
    shift.jump_wall_back(Duration::from_secs(60));
    assert_eq!(verifier.verify(&token), Err(TokenError::NotYet));
    shift.jump(Duration::from_secs(59));
    verifier.verify(&token).expect("one second apart is within the leeway");
    shift.jump(Duration::from_secs(LIFE_S));
    verifier.verify(&token).expect("its life isn't over");
    shift.jump(Duration::from_secs(LEEWAY_S + 2));
    assert_eq!(verifier.verify(&token), Err(TokenError::Expired));
}

#[test]
fn keys_are_replaced_as_a_whole() {
    let (verifier, signer, _) = bakery();
    let token = signer.sign("a", &good(&verifier));
    verifier.set_keys(vec![("z".into(), signer.public)]);
    assert_eq!(verifier.verify(&token), Err(TokenError::UnknownKey));
    verifier.verify(&signer.sign("z", &good(&verifier))).expect("the new key is known");
}

#[test]
fn bearer_is_read_in_any_case_and_nothing_else_is() {
    let read = |text: &str| {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", text.parse().expect("a header's value"));
        bearer(&metadata).map(str::to_owned)
    };
    for text in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer   a.b.c"] {
        assert_eq!(read(text).as_deref(), Some("a.b.c"), "{text}");
    }
    for text in ["", "a.b.c", "Bearer", "Basic a.b.c", "Bearera.b.c", " Bearer a.b.c"] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(bearer(&MetadataMap::new()), None);
}

#[test]
fn a_bad_token_is_known_for_a_while_and_not_looked_at_again() {
    let (verifier, signer, shift) = bakery();
    let good = good(&verifier);
    let stranger = Signer::new(9);
    let forged = stranger.sign("a", &good);
    assert_eq!(verifier.verify(&forged), Err(TokenError::Signature));
    // Past `set_keys`, which forgets: a look at it would now find it good.
    let keys = [("a".to_owned(), DecodingKey::from_ed_der(&stranger.public))];
    *verifier.keys.write().expect("no panic") = HashMap::from(keys);
    assert_eq!(verifier.verify(&forged), Err(TokenError::Signature));
    assert_eq!(verifier.verify(&signer.sign("a", &good)), Err(TokenError::Signature));
    shift.jump(Duration::from_secs(10));
    assert!(verifier.verify(&forged).is_ok(), "it was looked at again");
}

#[test]
fn what_new_keys_or_time_may_cure_is_not_remembered() {
    let (verifier, signer, shift) = bakery();
    let good = good(&verifier);
    let now_s = good["iat"].as_u64().expect("a number");
    let early = signer.sign("a", &with(&good, "nbf", json!(now_s + 5)));
    assert_eq!(verifier.verify(&early), Err(TokenError::NotYet));
    shift.jump(Duration::from_secs(4));
    assert!(verifier.verify(&early).is_ok());

    let (of_new, forged) = (Signer::new(9), Signer::new(9).sign("a", &good));
    let announced = of_new.sign("new", &good);
    assert_eq!(verifier.verify(&announced), Err(TokenError::UnknownKey));
    assert_eq!(verifier.verify(&forged), Err(TokenError::Signature));
    verifier.set_keys(vec![("new".into(), of_new.public), ("a".into(), of_new.public)]);
    assert!(verifier.verify(&announced).is_ok());
    assert!(verifier.verify(&forged).is_ok(), "other keys, another look");
}
