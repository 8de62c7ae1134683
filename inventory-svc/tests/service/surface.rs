//! What every generic tool sees: reflection, and bounds.

use chassis::status::reason_of;
use proto::inventory::v1::CreateSaleRequest;
use tonic::{Code, Status, body::Body};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tower::ServiceExt as _;

use crate::house::{House, wrong_fields};

#[tokio::test]
async fn reflection_lists_what_is_served_here_and_nothing_else() {
    let house = House::open().await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(house.channel());
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
        "seckill.inventory.v1.CatalogService",
        "seckill.inventory.v1.InventoryService",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_invalid_and_told_why() {
    let house = House::open().await;
    let title = "x".repeat(257 * 1024);
    let long = CreateSaleRequest { title, ..CreateSaleRequest::default() };
    let too_long = house.catalog().create_sale(long).await.unwrap_err();

    // A frame of two bytes: field 1 has 127 bytes, but there are none.
    let request = http::Request::post("/seckill.inventory.v1.InventoryService/Reserve")
        .header("content-type", "application/grpc")
        .body(Body::new("\0\0\0\0\x02\x0a\x7f".to_owned()));
    let answer = house.channel().oneshot(request.unwrap()).await.unwrap();
    let undecodable = Status::from_header_map(answer.headers()).unwrap();
    for refused in [too_long, undecodable] {
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(reason_of(&refused).as_deref(), Some("INVALID_INPUT"));
        assert_eq!(wrong_fields(&refused), ["message"]);
    }
}
