//! What a token allows: each call has its right, and no token makes one that is worth more.

use std::{collections::BTreeMap, time::Duration};

use chassis::status::{meta_of, reason_of};
use prost::Message as _;
use proto::user::v1::{IssueOperatorTokenRequest, OperatorRight};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;
use user_svc::{Right, Rights};

use crate::{
    house::{House, by, violations},
    operators::wanted,
};

const SERVICE: &str = "seckill.user.v1.OperatorService";

/// Every call of operators to this service, and the right that it needs.
const TABLE: [(&str, Right); 4] = [
    ("GrantRehearsal", Right::RunSales),
    ("IssueOperatorToken", Right::MakeOperators),
    ("ListOperatorEvents", Right::Read),
    ("RevokeOperatorTokens", Right::MakeOperators),
];

/// The calls that the contract has.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file;
    let file = files.into_iter().find(|file| file.package() == "seckill.user.v1").unwrap();
    let service = file.service.into_iter().find(|it| it.name() == "OperatorService").unwrap();
    let mut methods: Vec<_> = service.method.iter().map(|it| it.name().to_owned()).collect();
    methods.sort();
    methods
}

/// What an empty message is answered.
async fn call(house: &House, method: &str, token: &str) -> Option<Status> {
    let request = http::Request::post(format!("/{SERVICE}/{method}"))
        .header("content-type", "application/grpc")
        .header("authorization", format!("Bearer {token}"))
        .body(Body::new("\0\0\0\0\0".to_owned()));
    let answer = house.channel.clone().oneshot(request.unwrap()).await.unwrap();
    Status::from_header_map(answer.headers())
}

#[tokio::test]
async fn each_call_has_its_right_and_none_is_forgotten() {
    let needs: BTreeMap<_, _> = TABLE.into_iter().collect();
    assert_eq!(methods(), needs.keys().copied().collect::<Vec<_>>(), "give it a row");
    let house = House::open().await;
    for (method, right) in TABLE {
        let others = Right::ALL.into_iter().filter(|other| *other != right).collect();
        let token = house.operator_named("Ann", "signing.pem", &others);
        let refused = call(&house, method, &token).await.unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{method}: {refused:?}");
        assert_eq!(reason_of(&refused).as_deref(), Some("PERMISSION_DENIED"));
        assert_eq!(meta_of(&refused, "right").as_deref(), Some(right.text()), "{method}");

        let token = house.operator_named("Ann", "signing.pem", &Rights::from_iter([right]));
        let answer = call(&house, method, &token).await.map(|status| status.code());
        let expected =
            if method == "ListOperatorEvents" { None } else { Some(Code::InvalidArgument) };
        assert_eq!(answer, expected, "{method}: an empty message gets as far as that");
    }
}

#[tokio::test]
async fn nobody_gives_a_right_away_that_they_have_not() {
    let house = House::open().await;
    let mine = Rights::from_iter([Right::Read, Right::MakeOperators]);
    let token = house.operator_named("Ann", "signing.pem", &mine);
    let refused = house.operators().issue_operator_token(by(&token, wanted("Bob", 60))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(meta_of(&refused, "right").as_deref(), Some("RUN_SALES"));

    let rights = vec![OperatorRight::Read.into()];
    let less = IssueOperatorTokenRequest { rights, ..wanted("Bob", 60) };
    let issued = house.operators().issue_operator_token(by(&token, less)).await.unwrap();
    let claims = house.operator_verifier().await.verify(&issued.into_inner().operator_token);
    assert_eq!(claims.unwrap().scopes, ["READ"]);
}

#[tokio::test]
async fn a_token_of_a_minute_does_not_buy_one_of_thirty_days() {
    let house = House::open().await;
    let issue = async |token: &str, lifetime_seconds| {
        let request = by(token, wanted("Eve", lifetime_seconds));
        house.operators().issue_operator_token(request).await.map(|it| it.into_inner())
    };
    let minute = issue(&house.first_operator(), 60).await.unwrap();
    house.shift.jump(Duration::from_secs(20));
    let month = issue(&minute.operator_token, 2_592_000).await.unwrap();
    assert_eq!(month.expires_at, minute.expires_at);
    assert!(month.is_shortened);
    // Where a clock's leeway still lets the maker in, there is nothing left to give.
    house.shift.jump(Duration::from_secs(41));
    let refused = issue(&minute.operator_token, 60).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_line_of_makers_ends() {
    let house = House::open().await;
    let issue = async |token: &str, request| {
        let answer = house.operators().issue_operator_token(by(token, request)).await;
        answer.map(|issued| issued.into_inner().operator_token)
    };
    let mut token = house.first_operator();
    for name in ["b", "c", "d"] {
        token = issue(&token, wanted(name, 3_600)).await.unwrap();
    }
    let refused = violations(issue(&token, wanted("e", 3_600)).await);
    assert_eq!(refused[0].0, "rights");
    // Of the longest names, since they stand in the token, which may not grow too long to be read.
    let token = house.operator_named(&"🦀".repeat(64), "signing.pem", &Rights::all());
    let mut token = token;
    for letter in ["🦞", "🐙", "🐚"] {
        token = issue(&token, wanted(&letter.repeat(64), 3_600)).await.unwrap();
    }
    let rights = vec![OperatorRight::Read.into(), OperatorRight::RunSales.into()];
    let last = IssueOperatorTokenRequest { rights, ..wanted(&"🐡".repeat(64), 3_600) };
    let last = issue(&token, last).await.unwrap();
    let claims = house.operator_verifier().await.verify(&last).unwrap();
    assert_eq!(claims.makers.len(), 4);
}
