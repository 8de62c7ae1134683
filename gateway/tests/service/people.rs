//! user-svc's public service at the same door, and what every server offers: health, reflection.

use std::sync::atomic::Ordering;

use proto::user::v1::{
    ListPublicKeysRequest, RefreshSessionRequest, RegisterRequest, SignInRequest, SignOutRequest,
    user_service_client::UserServiceClient,
};
use tonic::{Code, Request, Status, body::Body};
use tower::ServiceExt as _;

use crate::{
    stage::{Stage, bad_field_of, said},
    stubs::lock,
};

#[tokio::test]
async fn calls_and_refusals_are_passed_on() {
    let stage = Stage::open().await;
    let mut client = UserServiceClient::new(stage.channel().await);
    let message = SignInRequest { email: "ann@example.test".into(), password: "secret".into() };
    let signed_in = client.sign_in(message).await.unwrap().into_inner();
    assert_eq!(signed_in.access_token, "token of ann@example.test");
    let message = RefreshSessionRequest { refresh_token: "present".into() };
    let refreshed = client.refresh_session(message).await.unwrap().into_inner();
    assert_eq!(refreshed.refresh_token, "after present");
    client.sign_out(SignOutRequest { refresh_token: "present".into() }).await.unwrap();
    assert_eq!(*lock(&stage.world.signed_out), ["present"]);
    let keys = client.list_public_keys(ListPublicKeysRequest {}).await.unwrap().into_inner();
    assert_eq!((keys.keys.len(), keys.issuer.as_str()), (1, "seckill"));
    let refused = client.register(RegisterRequest::default()).await.unwrap_err();
    assert_eq!(bad_field_of(&refused), "email", "with all details");
    let exists = (Code::AlreadyExists, "ALREADY_EXISTS".to_owned(), false);
    assert_eq!(said::<()>(Err(refused)), exists);
}

#[tokio::test]
async fn user_svc_hears_where_a_sign_in_comes_from_and_not_what_the_client_says() {
    let stage = Stage::open().await;
    let mut client = UserServiceClient::new(stage.channel().await);
    let mut request = Request::new(SignInRequest::default());
    request.metadata_mut().insert("x-seckill-client-address", "203.0.113.7".parse().unwrap());
    client.sign_in(request).await.unwrap();
    assert_eq!(*lock(&stage.world.signed_in_from), ["127.0.0.1"]);
}

#[tokio::test]
async fn a_user_svc_that_is_down_is_told_with_a_wait() {
    let stage = Stage::open().await;
    stage.world.is_user_down.store(true, Ordering::SeqCst);
    let mut client = UserServiceClient::new(stage.channel().await);
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(client.sign_in(SignInRequest::default()).await), unavailable);
    assert_eq!(said(client.register(RegisterRequest::default()).await), unavailable);
    assert_eq!(said(client.list_public_keys(ListPublicKeysRequest {}).await), unavailable);
    assert_eq!(said(client.refresh_session(RefreshSessionRequest::default()).await), unavailable);
    assert_eq!(said(client.sign_out(SignOutRequest::default()).await), unavailable);
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_invalid_and_told_why() {
    let stage = Stage::open().await;
    let channel = stage.channel().await;
    let long = RegisterRequest { email: "x".repeat(5000), password: String::new() };
    let too_long = UserServiceClient::new(channel.clone()).register(long).await.unwrap_err();
    // A frame of two bytes: field 1 has 127 bytes, but there are none.
    let request = http::Request::post("/seckill.gateway.v1.GatewayService/Purchase")
        .header("content-type", "application/grpc")
        .body(Body::new("\0\0\0\0\x02\x0a\x7f".to_owned()));
    let answer = channel.oneshot(request.unwrap()).await.unwrap();
    let undecodable = Status::from_header_map(answer.headers()).unwrap();
    for refused in [too_long, undecodable] {
        assert_eq!(bad_field_of(&refused), "message");
        let invalid = (Code::InvalidArgument, "INVALID_INPUT".to_owned(), false);
        assert_eq!(said::<()>(Err(refused)), invalid);
    }
}

#[tokio::test]
async fn health_says_when_it_is_ready() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let stage = Stage::open().await;
    let mut client = HealthClient::new(stage.channel().await);
    let is_ready = async || {
        let answer = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        answer.status() == tonic_health::pb::health_check_response::ServingStatus::Serving
    };
    stage.until("the gateway is ready", is_ready).await;
}

#[tokio::test]
async fn reflection_lists_what_is_served_here_and_nothing_else() {
    use tonic_reflection::pb::{v1, v1alpha};
    let stage = Stage::open().await;
    let ask = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let channel = stage.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("a list")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "seckill.gateway.v1.GatewayService",
        "seckill.user.v1.UserService",
    ];
    assert_eq!(names, expected);

    let symbol = "seckill.gateway.v1.PurchaseRequest".to_owned();
    let ask = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(symbol),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let files = answer.message_response;
    use v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse;
    assert!(matches!(files, Some(FileDescriptorResponse(_))), "{files:?}");
}
