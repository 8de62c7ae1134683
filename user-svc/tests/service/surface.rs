//! What every generic tool sees: reflection, health, bounds.

use proto::user::v1::RegisterRequest;
use tonic::{Status, body::Body};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tower::ServiceExt as _;

use crate::house::{House, PATIENCE, violations};

#[tokio::test]
async fn reflection_lists_what_is_served_here_and_nothing_else() {
    let house = House::open().await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(house.channel.clone());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("a list")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "seckill.user.v1.OperatorService",
        "seckill.user.v1.TokenService",
        "seckill.user.v1.UserService",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn ready_once_the_accounts_answer() {
    let house = House::open().await;
    let mut client = HealthClient::new(house.channel.clone());
    let request = HealthCheckRequest { service: String::new() };
    let mut states = client.watch(request).await.unwrap().into_inner();
    let ready = async {
        loop {
            let state = states.message().await.unwrap().unwrap();
            if state.status() == ServingStatus::Serving {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_invalid_and_told_why() {
    let house = House::open().await;
    let request =
        RegisterRequest { email: "x".repeat(17 * 1024), password: "correct horse".to_owned() };
    let too_long = house.users().register(request).await;
    let wrong = violations(too_long);
    assert_eq!(wrong[0].0, "message");
    assert!(wrong[0].1.starts_with("must have at most 16384 bytes"), "{wrong:?}");

    // A frame of two bytes: field 1 has 127 bytes, but there are none.
    let request = http::Request::post("/seckill.user.v1.OperatorService/IssueOperatorToken")
        .header("content-type", "application/grpc")
        .body(Body::new("\0\0\0\0\x02\x0a\x7f".to_owned()));
    let answer = house.channel.clone().oneshot(request.unwrap()).await.unwrap();
    let undecodable = Status::from_header_map(answer.headers()).unwrap();
    let wrong = violations::<()>(Err(undecodable));
    assert_eq!(wrong[0].0, "message");
    assert!(wrong[0].1.starts_with("can't be decoded: "), "{wrong:?}");
}
