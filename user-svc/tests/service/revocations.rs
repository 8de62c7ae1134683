//! Tokens that are taken back, and what is written of it.

use std::time::Duration;

use proto::user::v1::{
    ListOperatorEventsRequest, ListOperatorEventsResponse, ListRevocationsRequest, OperatorRight,
    RevokeOperatorTokensRequest, operator_event::Deed, revoke_operator_tokens_request::Whose,
    token_service_client::TokenServiceClient,
};
use testbed::Database;
use tonic::{Code, Status};

use crate::{
    house::{House, by, violations},
    operators::wanted,
};

fn revoking(whose: Whose) -> RevokeOperatorTokensRequest {
    RevokeOperatorTokensRequest { whose: Some(whose), issued_before: None }
}

fn name(text: &str) -> Whose {
    Whose::Name(text.to_owned())
}

async fn issue(house: &House, token: &str, name: &str) -> Result<String, Status> {
    let request = by(token, wanted(name, 3_600));
    let issued = house.operators().issue_operator_token(request).await?;
    Ok(issued.into_inner().operator_token)
}

async fn revoke(
    house: &House,
    token: &str,
    request: RevokeOperatorTokensRequest,
) -> Result<i64, Status> {
    let revoked = house.operators().revoke_operator_tokens(by(token, request)).await?;
    Ok(revoked.into_inner().issued_before.unwrap().seconds)
}

async fn events(
    house: &House,
    token: &str,
    page_size: u32,
    page_token: &str,
) -> Result<ListOperatorEventsResponse, Status> {
    let request = ListOperatorEventsRequest { page_size, page_token: page_token.to_owned() };
    Ok(house.operators().list_operator_events(by(token, request)).await?.into_inner())
}

async fn is_in(house: &House, token: &str) -> bool {
    match events(house, token, 1, "").await {
        Ok(_) => true,
        Err(status) if status.code() == Code::Unauthenticated => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// A stolen token that has made others under other names falls with all of them.
#[tokio::test]
async fn who_is_revoked_falls_with_all_that_they_made() {
    let house = House::open().await;
    let ann = house.first_operator();
    let eve = issue(&house, &ann, "Eve").await.unwrap();
    let zed = issue(&house, &eve, "Zed").await.unwrap();
    let yen = issue(&house, &zed, "Yen").await.unwrap();
    let bob = issue(&house, &ann, "Bob").await.unwrap();

    revoke(&house, &bob, revoking(name("Eve"))).await.unwrap();
    for (who, token, stays) in [
        ("Ann", &ann, true),
        ("Bob", &bob, true),
        ("Eve", &eve, false),
        ("Zed", &zed, false),
        ("Yen", &yen, false),
    ] {
        assert_eq!(is_in(&house, token).await, stays, "{who}");
        assert_eq!(issue(&house, token, "next").await.is_ok(), stays, "{who}");
    }
    // In the very second; a new token is a new one.
    let eve_again = issue(&house, &ann, "Eve").await.unwrap();
    assert!(is_in(&house, &eve_again).await);

    let house = house.open_again().await;
    assert!(!is_in(&house, &zed).await, "it is remembered");
    assert!(is_in(&house, &eve_again).await && is_in(&house, &ann).await);
}

#[tokio::test]
async fn everything_of_before_a_moment_can_be_revoked() {
    let database = Database::create(&testbed::running::mariadb()).await;
    for server in [None, Some(database.url().to_owned())] {
        let house = House::open_with(|config| {
            if let Some(url) = server {
                config.accounts_url = url;
            }
        })
        .await;
        let old = house.first_operator();
        let moment = house.now_s() + 5;
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 1 });
        let everyone = |issued_before| RevokeOperatorTokensRequest {
            whose: Some(Whose::Everyone(true)),
            issued_before,
        };
        let refused = revoke(&house, &old, everyone(at(moment + 60))).await;
        assert_eq!(violations(refused)[0].0, "issued_before");
        house.shift.jump(Duration::from_secs(10));
        let new = issue(&house, &old, "Bob").await.unwrap();
        assert_eq!(revoke(&house, &old, everyone(at(moment))).await.unwrap(), moment + 1);
        assert!(!is_in(&house, &old).await);
        assert!(is_in(&house, &new).await);
        // An earlier moment takes nothing back.
        assert_eq!(revoke(&house, &new, everyone(at(moment - 3))).await.unwrap(), moment + 1);
        revoke(&house, &new, everyone(None)).await.unwrap();
        assert!(!is_in(&house, &new).await);

        let mut tokens = TokenServiceClient::new(house.channel.clone());
        let told = tokens.list_revocations(ListRevocationsRequest {}).await.unwrap().into_inner();
        let told: Vec<_> = told.revocations.into_iter().map(|it| it.name).collect();
        assert_eq!(told, [""]);
    }
}

#[tokio::test]
async fn what_was_made_and_revoked_is_written_down() {
    let house = House::open().await;
    let ann = house.first_operator();
    let bob = issue(&house, &ann, "Bob").await.unwrap();
    revoke(&house, &ann, revoking(name("Bob"))).await.unwrap();
    revoke(&house, &bob, revoking(name("Ann of ops"))).await.unwrap_err();
    issue(&house, &ann, "").await.unwrap_err();
    issue(&house, &ann, "Cat").await.unwrap();

    let first = events(&house, &ann, 2, "").await.unwrap();
    let second = events(&house, &ann, 2, &first.next_page_token).await.unwrap();
    assert_eq!((first.events.len(), second.next_page_token.as_str()), (2, ""));
    let all: Vec<_> = first.events.into_iter().chain(second.events).collect();
    let verifier = house.operator_verifier().await;
    let (of_ann, of_bob) = (verifier.verify(&ann).unwrap(), verifier.verify(&bob).unwrap());
    for event in &all {
        assert_eq!(event.by, "Ann of ops");
        assert_eq!(Some(&event.by_token_id), of_ann.id.as_ref());
        assert!(event.at.unwrap().seconds >= house.now_s() - 60);
    }
    let [cat, revoked, bob_issued] = &all[..] else { panic!("{all:?}") };
    assert!(matches!(&cat.deed, Some(Deed::Issued(it)) if it.name == "Cat"));
    let Some(Deed::Revoked(revoked)) = &revoked.deed else { panic!("{revoked:?}") };
    assert_eq!((revoked.name.as_str(), revoked.issued_before.is_some()), ("Bob", true));
    let Some(Deed::Issued(issued)) = &bob_issued.deed else { panic!("{bob_issued:?}") };
    assert_eq!((issued.name.as_str(), Some(&issued.token_id)), ("Bob", of_bob.id.as_ref()));
    assert_eq!(issued.rights().collect::<Vec<_>>().len(), 3);
    assert!(issued.rights().any(|right| right == OperatorRight::MakeOperators));
    let end = u64::try_from(issued.expires_at.unwrap().seconds).unwrap();
    assert_eq!(end, of_bob.expires_at_s);
}

#[tokio::test]
async fn bad_input_is_answered_with_every_field_that_is_wrong() {
    let house = House::open().await;
    let ann = house.first_operator();
    let before_1970 = Some(prost_types::Timestamp { seconds: -5, nanos: 0 });
    for (whose, fields) in [
        (None, ["whose", "issued_before"]),
        (Some(name(" ")), ["name", "issued_before"]),
        (Some(Whose::Everyone(false)), ["everyone", "issued_before"]),
    ] {
        let request = RevokeOperatorTokensRequest { whose, issued_before: before_1970 };
        let wrong = violations(revoke(&house, &ann, request).await);
        assert_eq!(wrong.into_iter().map(|(field, _)| field).collect::<Vec<_>>(), fields);
    }
    for page_token in ["x", "0", "-1", "99999999999999999999"] {
        let wrong = violations(events(&house, &ann, 201, page_token).await);
        let fields: Vec<_> = wrong.into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["page_size", "page_token"], "{page_token}");
    }
}
