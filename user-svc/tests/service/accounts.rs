//! Buyers: register, sign in, be checked by somebody who has only the public keys.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chassis::{status::retry_after_of, token::TokenError};
use futures::future::join_all;
use proto::user::v1::ListPublicKeysRequest;
use tonic::Code;
use user_svc::{BUYERS, OPERATORS};

use crate::{
    house::{House, by, refused, said, violations},
    operators::wanted,
};

const EMAIL: &str = "ann@example.org";
const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn a_token_holds_for_whoever_has_the_public_keys() {
    let house = House::open().await;
    let user_id = house.register(EMAIL, PASSWORD).await.unwrap();
    let signed_in = house.sign_in("Ann@Example.ORG", PASSWORD).await.unwrap();
    assert_eq!(signed_in.user_id, user_id);

    let verifier = house.verifier(BUYERS).await;
    let claims = verifier.verify(&signed_in.access_token).unwrap();
    assert_eq!(claims.subject, user_id);
    assert_eq!(claims.name, None);
    assert!(!claims.rehearsal);
    let expires_at = signed_in.expires_at.unwrap();
    assert_eq!(u64::try_from(expires_at.seconds).unwrap(), claims.expires_at_s);

    let for_operators = house.verifier(OPERATORS).await;
    assert_eq!(for_operators.verify(&signed_in.access_token), Err(TokenError::Audience));
    house.shift.jump(Duration::from_secs(u64::from(house.config.access_token_lifetime_s) + 3));
    assert_eq!(verifier.verify(&signed_in.access_token), Err(TokenError::Expired));
}

#[tokio::test]
async fn an_address_has_one_account_however_it_is_spelled() {
    let house = House::open().await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    let again = house.register("ANN@example.org", "another password").await;
    assert_eq!(refused(again), (Code::AlreadyExists, "ALREADY_EXISTS".to_owned()));
    house.sign_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn of_many_who_register_one_address_at_once_one_gets_it() {
    let house = House::open().await;
    let passwords: Vec<_> = (0..20).map(|rival| format!("password {rival}")).collect();
    let answers = join_all(passwords.iter().map(|own| house.register(EMAIL, own))).await;
    let winners: Vec<_> =
        passwords.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    let (password, user_id) = winners[0];
    assert_eq!(&house.sign_in(EMAIL, password).await.unwrap().user_id, user_id.as_ref().unwrap());
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let house = House::open().await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    let wrong = house.sign_in(EMAIL, "battery staple").await.unwrap_err();
    let unknown = house.sign_in("bob@example.org", "battery staple").await.unwrap_err();
    assert_eq!(wrong.message(), unknown.message());
    assert_eq!(wrong.details(), unknown.details());
    let headers = |status: &tonic::Status| {
        let mut headers = status.metadata().clone().into_headers();
        headers.remove("date");
        headers
    };
    assert_eq!(headers(&wrong), headers(&unknown));
    let expected = (Code::Unauthenticated, "BAD_CREDENTIALS".to_owned());
    assert_eq!(refused::<()>(Err(wrong)), expected);
    assert_eq!(refused::<()>(Err(unknown)), expected);
}

#[tokio::test]
async fn bad_input_is_answered_with_every_field_that_is_wrong() {
    let house = House::open().await;
    let one_at = ("email", "must have exactly one @, with something on both sides");
    let length = ("password", "must be 8 to 128 characters");
    let long_email = format!("{}@b", "a".repeat(253));
    let long_password = "x".repeat(129);
    for (email, password, expected) in [
        ("", PASSWORD, said(&[("email", "must not be empty")])),
        ("ann", PASSWORD, said(&[one_at])),
        ("a@b@c", PASSWORD, said(&[one_at])),
        (&long_email, PASSWORD, said(&[("email", "must be at most 254 bytes")])),
        ("a b@c", PASSWORD, said(&[("email", "must not contain spaces or control characters")])),
        (EMAIL, "1234567", said(&[length])),
        (EMAIL, &long_password, said(&[length])),
        ("ann", "", said(&[one_at, length])),
    ] {
        assert_eq!(violations(house.register(email, password).await), expected, "{email:?}");
        assert_eq!(violations(house.sign_in(email, password).await), expected, "{email:?}");
    }
}

#[tokio::test]
async fn a_key_about_to_be_used_is_listed_and_its_tokens_hold() {
    let house = House::open_with(|config| {
        let next = user_svc::keys::generate(&config.signing_key_file.with_file_name("next.pem"));
        let next = public_pem(&next.unwrap().ed25519);
        let file = config.signing_key_file.with_file_name("next.pub.pem");
        std::fs::write(&file, next).unwrap();
        config.further_public_key_files.push(file);
    })
    .await;
    let listed =
        house.users().list_public_keys(ListPublicKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.issuer, "seckill");
    let [signing, next] = listed.keys.as_slice() else { panic!("{listed:?}") };
    assert_ne!(signing.key_id, next.key_id);

    let token = house.operator_by("next.pem");
    let request = wanted("Bob", 60);
    house.operators().issue_operator_token(by(&token, request)).await.unwrap();
}

/// As `openssl pkey -pubout` writes it.
fn public_pem(raw: &[u8; 32]) -> String {
    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let body = STANDARD.encode([head.as_slice(), raw].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

#[tokio::test]
async fn who_comes_when_too_much_is_waiting_may_come_again() {
    let house = House::open_with(|config| {
        // As dear as shipped, one at a time, and nobody waits.
        config.hashing.memory_kib = 19_456;
        config.hashing.passes = 2;
        config.hashing.parallel_max = 1;
        config.hashing.queue_len_max = 0;
    })
    .await;
    let emails: Vec<_> = (0..20).map(|n| format!("buyer{n}@example.org")).collect();
    let answers = join_all(emails.iter().map(|email| house.register(email, PASSWORD))).await;
    let sent_away: Vec<_> =
        emails.iter().zip(answers).filter_map(|(email, a)| Some((email, a.err()?))).collect();
    assert!(!sent_away.is_empty(), "20 at once found a free place");
    assert!(sent_away.len() < 20, "nobody was served");
    for (_, status) in &sent_away {
        let wait = retry_after_of(status).unwrap();
        assert!((500..1_500).contains(&wait.as_millis()), "{wait:?}");
    }
    for (email, status) in sent_away {
        let expected = (Code::Unavailable, "OVERLOADED".to_owned());
        assert_eq!(refused::<()>(Err(status)), expected);
        house.register(email, PASSWORD).await.unwrap();
    }
}
