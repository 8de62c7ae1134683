//! The operators' port: calls are passed on with the operator's token and nothing else; whoever has
//! no such token gets no further than the door, and that token opens no other one.

use chassis::status::meta_of;
use ids::UserId;
use prost::Message as _;
use proto::{
    gateway::v1::{ListOrdersRequest, gateway_service_client::GatewayServiceClient},
    inventory::v1::{
        CreateSaleRequest, GetItemRequest, GetSaleRequest, ListSalesRequest, NewItem,
        PauseItemRequest, ResumeItemRequest, ScheduleSaleRequest,
        catalog_service_client::CatalogServiceClient, get_item_request::By,
    },
    user::v1::{
        GrantRehearsalRequest, IssueOperatorTokenRequest, Revocation,
        operator_service_client::OperatorServiceClient,
    },
};
use tonic::{Code, Request, body::Body, transport::Channel};
use tower::ServiceExt as _;

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
        token.claims["scope"] = "READ RUN_SALES MAKE_OPERATORS".into();
        token
    }
}

/// How long a test waits for what must happen.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request.metadata_mut().insert("x-seckill-client-address", "203.0.113.7".parse().unwrap());
    request
}

/// The largest that the contract allows, in letters of four bytes.
#[tokio::test]
async fn a_sale_of_a_hundred_items_with_the_longest_titles_fits() {
    let stage = Stage::open().await;
    let item = NewItem { title: "𝒜".repeat(200), sku: "𝒜".repeat(64), ..NewItem::default() };
    let sale = CreateSaleRequest {
        title: "𝒜".repeat(200),
        items: vec![item; 100],
        ..CreateSaleRequest::default()
    };
    let token = stage.operator_token().signed();
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    catalog.create_sale(by(&token, sale)).await.unwrap();
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
    people.revoke_operator_tokens(by(&token, Default::default())).await.unwrap();
    people.list_operator_events(by(&token, Default::default())).await.unwrap();
    people.grant_rehearsal(by(&token, GrantRehearsalRequest::default())).await.unwrap();
    let calls = lock(&stage.world.operator_calls).clone();
    let names: Vec<_> = calls.iter().map(|(name, _)| *name).collect();
    let asked = ["create_sale", "schedule_sale", "pause_item", "resume_item"];
    let of_people = [
        "issue_operator_token",
        "revoke_operator_tokens",
        "list_operator_events",
        "grant_rehearsal",
    ];
    assert_eq!(names, [&asked[..], &of_people].concat());
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

/// Every call at this port, and the right that it needs.
const TABLE: [(&str, &str, &str); 11] = [
    ("seckill.inventory.v1.CatalogService", "CreateSale", "RUN_SALES"),
    ("seckill.inventory.v1.CatalogService", "GetItem", "READ"),
    ("seckill.inventory.v1.CatalogService", "GetSale", "READ"),
    ("seckill.inventory.v1.CatalogService", "ListSales", "READ"),
    ("seckill.inventory.v1.CatalogService", "PauseItem", "RUN_SALES"),
    ("seckill.inventory.v1.CatalogService", "ResumeItem", "RUN_SALES"),
    ("seckill.inventory.v1.CatalogService", "ScheduleSale", "RUN_SALES"),
    ("seckill.user.v1.OperatorService", "GrantRehearsal", "RUN_SALES"),
    ("seckill.user.v1.OperatorService", "IssueOperatorToken", "MAKE_OPERATORS"),
    ("seckill.user.v1.OperatorService", "ListOperatorEvents", "READ"),
    ("seckill.user.v1.OperatorService", "RevokeOperatorTokens", "MAKE_OPERATORS"),
];

/// The calls that the contract has of both services.
fn methods() -> Vec<(String, String)> {
    let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file;
    let services = files.iter().flat_map(|file| {
        file.service
            .iter()
            .map(|service| (format!("{}.{}", file.package(), service.name()), service))
    });
    let offered = services.filter(|(name, _)| TABLE.iter().any(|(service, _, _)| service == name));
    let mut methods: Vec<_> = offered
        .flat_map(|(name, service)| {
            service.method.iter().map(move |method| (name.clone(), method.name().to_owned()))
        })
        .collect();
    methods.sort();
    methods
}

#[tokio::test]
async fn each_call_has_its_right_and_none_is_forgotten() {
    let table: Vec<_> =
        TABLE.iter().map(|(service, method, _)| ((*service).into(), (*method).into())).collect();
    assert_eq!(methods(), table, "give it a row");
    let stage = Stage::open().await;
    let all = ["READ", "RUN_SALES", "MAKE_OPERATORS"];
    for (service, method, right) in TABLE {
        let call = async |scope: String| {
            let mut token = stage.operator_token();
            token.claims["scope"] = scope.into();
            let request = http::Request::post(format!("/{service}/{method}"))
                .header("content-type", "application/grpc")
                .header("authorization", format!("Bearer {}", token.signed()))
                .body(Body::new("\0\0\0\0\0".to_owned()));
            let answer = stage.operator_channel().oneshot(request.unwrap()).await.unwrap();
            tonic::Status::from_header_map(answer.headers())
        };
        for scope in [String::new(), all.map(|it| it.replace(right, "ROOT")).join(" ")] {
            let refused = call(scope.clone()).await.unwrap();
            assert_eq!(refused.code(), Code::PermissionDenied, "{method} with {scope:?}");
            assert_eq!(meta_of(&refused, "right").as_deref(), Some(right), "{method}");
        }
        let answer = call(right.to_owned()).await;
        let is_refused = answer.is_some_and(|it| it.code() == Code::PermissionDenied);
        assert!(!is_refused, "{method} with {right}");
    }
}

#[tokio::test]
async fn what_is_revoked_opens_nothing_any_more() {
    let stage = Stage::open().await;
    let mut child = stage.operator_token();
    child.claims["makers"] = serde_json::json!(["Root", "ann"]);
    child.claims["sub"] = "bob".into();
    let (ann, bob) = (stage.operator_token().signed(), child.signed());
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    for token in [&ann, &bob] {
        catalog.list_sales(by(token, ListSalesRequest::default())).await.unwrap();
    }
    let seconds = i64::try_from(stage.clock.wall_ms() / 1_000).unwrap() + 1;
    let issued_before = Some(prost_types::Timestamp { seconds, nanos: 0 });
    *lock(&stage.world.revocations) = vec![Revocation { name: "ann".into(), issued_before }];
    let unauthenticated = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned(), false);
    for token in [&ann, &bob] {
        let is_void = async {
            while catalog.list_sales(by(token, ListSalesRequest::default())).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_void).await.expect("it is void within the interval");
        let answer = catalog.list_sales(by(token, ListSalesRequest::default())).await;
        assert_eq!(said(answer), unauthenticated);
    }
    // Who tells of fewer has forgotten some.
    lock(&stage.world.revocations).clear();
    stage.world.is_user_down.store(true, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..20 {
        let answer = catalog.list_sales(by(&ann, ListSalesRequest::default())).await;
        assert_eq!(said(answer), unauthenticated);
    }
    let mut cat = stage.operator_token();
    cat.claims["sub"] = "cat".into();
    let answer = catalog.list_sales(by(&cat.signed(), ListSalesRequest::default())).await;
    answer.expect("operators outlive a user-svc that is down");
}

#[tokio::test]
async fn before_it_is_known_what_is_revoked_nobody_is_judged() {
    let stage = Stage::with(crate::stage::Plan { hides_revocations: true, ..Default::default() });
    let stage = stage.await;
    let token = stage.operator_token().signed();
    let mut catalog = CatalogServiceClient::new(stage.operator_channel());
    let answer = catalog.list_sales(by(&token, ListSalesRequest::default())).await;
    assert_eq!(said(answer), (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true));
    stage.world.hides_revocations.store(false, std::sync::atomic::Ordering::SeqCst);
    catalog.list_sales(by(&token, ListSalesRequest::default())).await.expect("asked at once");
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
