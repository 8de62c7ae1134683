//! Operators: only their own tokens open their service.

use std::time::Duration;

use proto::user::v1::{GrantRehearsalRequest, IssueOperatorTokenRequest, OperatorRight};
use tonic::{Code, Request};
use user_svc::Rights;

use crate::house::{House, by, refused, said, violations};

const ALL: [OperatorRight; 3] =
    [OperatorRight::Read, OperatorRight::RunSales, OperatorRight::MakeOperators];

pub(crate) fn wanted(name: &str, lifetime_seconds: u32) -> IssueOperatorTokenRequest {
    let rights = ALL.map(i32::from).to_vec();
    IssueOperatorTokenRequest { name: name.to_owned(), lifetime_seconds, rights }
}

#[tokio::test]
async fn an_operator_makes_the_next_one() {
    let house = House::open().await;
    let first = house.first_operator();
    let request = by(&first, wanted("Bob of ops", 60));
    let issued = house.operators().issue_operator_token(request).await.unwrap().into_inner();
    let claims = house.operator_verifier().await.verify(&issued.operator_token).unwrap();
    assert_eq!(claims.name.as_deref(), Some("Bob of ops"));
    let expires_at = issued.expires_at.unwrap();
    assert_eq!(u64::try_from(expires_at.seconds).unwrap(), claims.expires_at_s);
    assert!(!issued.is_shortened);
    assert_eq!(claims.id.as_deref(), Some(issued.token_id.as_str()));
    assert_eq!(claims.scopes, ["READ", "RUN_SALES", "MAKE_OPERATORS"]);
    assert_eq!(claims.makers, ["Ann of ops"]);

    let request = by(&issued.operator_token, wanted("Cat of ops", 60));
    house.operators().issue_operator_token(request).await.unwrap();

    house.shift.jump(Duration::from_secs(63));
    let request = by(&issued.operator_token, wanted("Dan of ops", 60));
    let expired = house.operators().issue_operator_token(request).await;
    assert_eq!(refused(expired), (Code::Unauthenticated, "UNAUTHENTICATED".to_owned()));
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let house = House::open().await;
    house.register("ann@example.org", "correct horse").await.unwrap();
    let buyer = house.sign_in("ann@example.org", "correct horse").await.unwrap().access_token;
    let other_key = house.file("other.pem");
    user_svc::keys::generate(&other_key).unwrap();
    let day = Duration::from_secs(86_400);
    let issue = |key, issuer| {
        let token = user_svc::operator::issue(key, issuer, "Eve", day, &Rights::all());
        token.unwrap().expose().to_owned()
    };
    let foreign_key = issue(&other_key, "seckill");
    let foreign_issuer = issue(&house.config.signing_key_file, "bakery");
    let good = house.first_operator();
    let (content, _) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{content}.");

    let headers = [
        None,
        Some(String::new()),
        Some(good.clone()),
        Some(format!("Basic {good}")),
        Some("Bearer ".to_owned()),
        Some("Bearer x.y.z".to_owned()),
        Some(format!("Bearer {buyer}")),
        Some(format!("Bearer {foreign_key}")),
        Some(format!("Bearer {foreign_issuer}")),
        Some(format!("Bearer {unsigned}")),
    ];
    let expected = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned());
    for header in headers {
        let mut issue = Request::new(wanted("Eve", 60));
        let mut grant = Request::new(GrantRehearsalRequest { shoppers: 1, lifetime_seconds: 60 });
        if let Some(header) = &header {
            issue.metadata_mut().insert("authorization", header.parse().unwrap());
            grant.metadata_mut().insert("authorization", header.parse().unwrap());
        }
        let answer = house.operators().issue_operator_token(issue).await;
        assert_eq!(refused(answer), expected, "{header:?}");
        let answer = house.operators().grant_rehearsal(grant).await;
        assert_eq!(refused(answer.map(drop)), expected, "{header:?}");
    }
}

#[tokio::test]
async fn the_scheme_of_a_token_has_no_case() {
    let house = House::open().await;
    let mut request = Request::new(wanted("Bob of ops", 60));
    let header = format!("bearer {}", house.first_operator());
    request.metadata_mut().insert("authorization", header.parse().unwrap());
    house.operators().issue_operator_token(request).await.unwrap();
}

#[tokio::test]
async fn bad_input_is_answered_with_every_field_that_is_wrong() {
    let house = House::open().await;
    let token = house.first_operator();
    let name = ("name", "must be 1 to 64 characters, not only spaces");
    let lifetime = ("lifetime_seconds", "must be 60 to 2592000");
    let must = "must name at least one of READ, RUN_SALES, MAKE_OPERATORS, and nothing else";
    let rights = ("rights", must);
    for (request, expected) in [
        (wanted("", 60), said(&[name])),
        (wanted(&"x".repeat(65), 60), said(&[name])),
        (wanted("a\nb", 60), said(&[("name", "must not contain control characters")])),
        (wanted("Bob", 59), said(&[lifetime])),
        (wanted("Bob", 2_592_001), said(&[lifetime])),
        (IssueOperatorTokenRequest { rights: vec![], ..wanted("Bob", 60) }, said(&[rights])),
        (IssueOperatorTokenRequest { rights: vec![1, 0], ..wanted("Bob", 60) }, said(&[rights])),
        (IssueOperatorTokenRequest { rights: vec![1, 9], ..wanted("Bob", 60) }, said(&[rights])),
        (wanted(" ", 0), said(&[name, lifetime])),
    ] {
        let answer = house.operators().issue_operator_token(by(&token, request)).await;
        assert_eq!(violations(answer), expected);
    }
    let shoppers = ("shoppers", "must be 1 to 1000000");
    let lifetime = ("lifetime_seconds", "must be 60 to 3600");
    for (shoppers_wanted, lifetime_seconds, expected) in [
        (0, 60, said(&[shoppers])),
        (1_000_001, 3_600, said(&[shoppers])),
        (1, 3_601, said(&[lifetime])),
        (0, 59, said(&[shoppers, lifetime])),
    ] {
        let request = GrantRehearsalRequest { shoppers: shoppers_wanted, lifetime_seconds };
        let answer = house.operators().grant_rehearsal(by(&token, request)).await;
        assert_eq!(violations(answer.map(drop)), expected);
    }
}
