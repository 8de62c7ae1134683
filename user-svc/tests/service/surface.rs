//! What every generic tool sees: reflection, health, bounds.

use proto::user::v1::RegisterRequest;
use tokio_stream::once;
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb;

use crate::house::{House, PATIENCE};

#[tokio::test]
async fn reflection_lists_both_services_in_both_versions() {
    let house = House::open().await;
    let ours = ["seckill.user.v1.OperatorService", "seckill.user.v1.UserService"];

    let request = pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(pb::v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client =
        pb::v1::server_reflection_client::ServerReflectionClient::new(house.channel.clone());
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(pb::v1::server_reflection_response::MessageResponse::ListServicesResponse(listed)) =
        answer
    else {
        panic!("{answer:?}");
    };
    for name in ours {
        assert!(listed.service.iter().any(|service| service.name == name), "{name}");
    }

    let request = pb::v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            pb::v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut client =
        pb::v1alpha::server_reflection_client::ServerReflectionClient::new(house.channel.clone());
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(pb::v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(
        listed,
    )) = answer
    else {
        panic!("{answer:?}");
    };
    for name in ours {
        assert!(listed.service.iter().any(|service| service.name == name), "{name}");
    }
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
async fn a_request_that_is_far_too_long_is_not_read() {
    let house = House::open().await;
    let request =
        RegisterRequest { email: "x".repeat(17 * 1024), password: "correct horse".to_owned() };
    let refused = house.users().register(Request::new(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}
