//! The operators' port: calls are passed on with the operator's token and nothing else; whoever has
//! no such token gets no further than the door, and that token opens no other one.

use ids::UserId;
use proto::{
    gateway::v1::{ListOrdersRequest, gateway_service_client::GatewayServiceClient},
    inventory::v1::{
        CreateSaleRequest, GetItemRequest, GetSaleRequest, ListSalesRequest, PauseItemRequest,
        ResumeItemRequest, ScheduleSaleRequest, catalog_service_client::CatalogServiceClient,
        get_item_request::By,
    },
    user::v1::{
        GrantRehearsalRequest, IssueOperatorTokenRequest,
        operator_service_client::OperatorServiceClient,
    },
};
use tonic::{Code, Request, transport::Channel};

use crate::{
    stage::{KEY_TWO, Stage, Token, bad_field_of, said},
    stubs::lock,
};

impl Stage {
    fn operator_channel(&self) -> Channel {
        Channel::from_shared(self.operator_url.clone()).unwrap().connect_lazy()
    }

    fn operator_token(&self) -> Token {
        let mut token = Token::of(UserId::random(), &self.clock);
        token.claims["aud"] = "seckill-operator".into();
        token.claims["sub"] = "ann".into();
        token.claims["name"] = "Ann of ops".into();
        token
    }
}

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request.metadata_mut().insert("x-seckill-client-address", "203.0.113.7".parse().unwrap());
    request
}

#[tokio::test]
async fn calls_are_passed_on_with_the_token_and_nothing_else() {
    let stage = Stage::open().await;
    let token = stage.operator_token().signed();
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    catalog.create_sale(by(&token, CreateSaleRequest::default())).await.unwrap();
    catalog.schedule_sale(by(&token, ScheduleSaleRequest::default())).await.unwrap();
    catalog.pause_item(by(&token, PauseItemRequest::default())).await.unwrap();
    catalog.resume_item(by(&token, ResumeItemRequest::default())).await.unwrap();
    let mut people = OperatorServiceClient::new(stage.operator_channel());
    people
        .issue_operator_token(by(&token, IssueOperatorTokenRequest::default()))
        .await
        .unwrap_err();
    people.grant_rehearsal(by(&token, GrantRehearsalRequest::default())).await.unwrap();
    let calls = lock(&stage.world.operator_calls).clone();
    let names: Vec<_> = calls.iter().map(|(name, _)| *name).collect();
    let asked = ["create_sale", "schedule_sale", "pause_item", "resume_item"];
    assert_eq!(names, [&asked[..], &["issue_operator_token", "grant_rehearsal"]].concat());
    for (name, head) in calls {
        assert_eq!(head.get("authorization").unwrap(), format!("Bearer {token}").as_str());
        assert!(head.contains_key("grpc-timeout"), "{name} has a deadline");
        assert!(!head.contains_key("x-seckill-client-address"), "{name} passes on what was sent");
    }

    let sales = catalog.list_sales(by(&token, ListSalesRequest::default())).await.unwrap();
    assert_eq!(sales.into_inner().sales.len(), 1);
    let sale_id = stage.sale.to_string();
    catalog.get_sale(by(&token, GetSaleRequest { sale_id })).await.unwrap();
    let item = By::ItemId(stage.item.to_string());
    catalog.get_item(by(&token, GetItemRequest { by: Some(item) })).await.unwrap();
}

#[tokio::test]
async fn who_shows_no_operators_token_gets_no_further() {
    let stage = Stage::open().await;
    let good = stage.operator_token();
    let spoilt = |spoil: fn(&mut Token)| {
        let mut token = good.clone();
        spoil(&mut token);
        token.signed()
    };
    let forged = spoilt(|token| token.seed = KEY_TWO.0);
    let bad = [
        Token::of(UserId::random(), &stage.clock).signed(),
        spoilt(|token| token.claims["iss"] = "elsewhere".into()),
        spoilt(|token| token.claims["exp"] = 1.into()),
        spoilt(|token| token.claims["nbf"] = 99_999_999_999_u64.into()),
        spoilt(|token| token.key_id = "nobody's"),
        forged,
        "x.y.z".to_owned(),
        String::new(),
    ];
    let unauthenticated = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned(), false);
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    let mut people = OperatorServiceClient::new(stage.operator_channel());
    for token in bad {
        let refused = catalog.pause_item(by(&token, PauseItemRequest::default())).await;
        assert_eq!(said(refused), unauthenticated, "{token}");
        let refused = people.grant_rehearsal(by(&token, GrantRehearsalRequest::default())).await;
        assert_eq!(
            refused.map(drop).map_err(|it| said::<()>(Err(it))),
            Err(unauthenticated.clone())
        );
    }
    assert_eq!(said(catalog.list_sales(ListSalesRequest::default()).await), unauthenticated);
    assert!(lock(&stage.world.operator_calls).is_empty());
}

#[tokio::test]
async fn an_operators_token_opens_nothing_for_buyers_and_the_public_has_no_such_port() {
    let stage = Stage::open().await;
    let token = stage.operator_token().signed();
    let mut buyers = GatewayServiceClient::new(stage.channel().await);
    let unauthenticated = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned(), false);
    let refused = buyers.list_orders(by(&token, ListOrdersRequest::default())).await;
    assert_eq!(said(refused), unauthenticated);
    let mut elsewhere = CatalogServiceClient::new(stage.channel().await);
    let refused = elsewhere.pause_item(by(&token, PauseItemRequest::default())).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let mut elsewhere = GatewayServiceClient::new(stage.operator_channel());
    let refused = elsewhere.list_orders(by(&token, ListOrdersRequest::default())).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    assert!(lock(&stage.world.operator_calls).is_empty());
}

#[tokio::test]
async fn refusals_are_passed_on_and_faults_are_not_shown() {
    let stage = Stage::open().await;
    let token = stage.operator_token().signed();
    let mut people = OperatorServiceClient::new(stage.operator_channel());
    let message = by(&token, IssueOperatorTokenRequest::default());
    let refused = people.issue_operator_token(message).await.unwrap_err();
    assert_eq!(bad_field_of(&refused), "name");

    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    let granted = people.grant_rehearsal(by(&token, GrantRehearsalRequest::default())).await;
    let mut granted = granted.unwrap().into_inner();
    for _ in 0..2 {
        assert_eq!(granted.message().await.unwrap().unwrap().shoppers.len(), 1);
    }
    let broken = granted.message().await;
    assert!(!broken.as_ref().unwrap_err().message().contains("secret"));
    assert_eq!(said(broken), unavailable);

    stage.world.is_inventory_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    let refused = catalog.pause_item(by(&token, PauseItemRequest::default())).await;
    assert_eq!(said(refused), unavailable);
}

#[tokio::test]
async fn without_keys_no_operator_is_judged() {
    let plan = crate::stage::Plan { is_user_down: true, ..Default::default() };
    let stage = Stage::with(plan).await;
    let token = stage.operator_token().signed();
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    let refused = catalog.pause_item(by(&token, PauseItemRequest::default())).await;
    assert_eq!(said(refused), (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true));
}

#[tokio::test]
async fn reflection_lists_what_operators_have() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let stage = Stage::open().await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(stage.operator_channel());
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
        "seckill.user.v1.OperatorService",
    ];
    assert_eq!(names, expected);
}
