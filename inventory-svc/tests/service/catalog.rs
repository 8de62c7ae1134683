//! CatalogService as operators and other services see it: what it answers, and what it says to bad
//! input.

use chassis::status::{meta_of, reason_of, retry_after_of};
use proto::inventory::v1::{
    CreateSaleRequest, GetItemRequest, GetSaleRequest, ListSalesRequest, NewItem, SaleState,
    ScheduleSaleRequest, get_item_request::By,
};
use tonic::{Code, Request, Status};

use crate::house::{House, sale, timestamp, wrong_fields};

#[track_caller]
fn is_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str) -> Status {
    let status = answer.unwrap_err();
    assert_eq!((status.code(), reason_of(&status).as_deref()), (code, Some(reason)), "{status:?}");
    status
}

#[track_caller]
fn is_invalid<T: std::fmt::Debug>(answer: Result<T, Status>, fields: &[&str]) {
    let status = is_refused(answer, Code::InvalidArgument, "INVALID_INPUT");
    assert_eq!(wrong_fields(&status), fields);
}

#[tokio::test]
async fn a_sale_is_made_once_and_read_back() {
    let house = House::open().await;
    let made = house.create("r-1").await;
    assert_eq!(house.create("r-1").await, made);
    assert_eq!((made.title.as_str(), made.state()), ("Spring", SaleState::Draft));
    assert_eq!((made.opens_at, made.closes_at, made.warm_up_seconds), (None, None, 0));
    let item = &made.items[0];
    assert_eq!((item.sku.as_str(), item.total_units, item.limit_per_user), ("mug", 10, 2));
    assert_eq!((item.pay_within_seconds, item.shards[0].lease_ms), (900, 400));

    let read = GetSaleRequest { sale_id: made.sale_id.clone() };
    let read = house.catalog().get_sale(read).await.unwrap().into_inner().sale;
    assert_eq!(read.as_ref(), Some(&made));
    for by in [By::ItemId(item.item_id.clone()), By::ShardNo(item.shards[0].shard_no)] {
        let found = house.catalog().get_item(GetItemRequest { by: Some(by) }).await.unwrap();
        let found = found.into_inner();
        assert_eq!((found.sale_state(), found.item.as_ref()), (SaleState::Draft, Some(item)));
    }
}

#[tokio::test]
async fn a_window_is_given_once() {
    let house = House::open().await;
    let made = house.create("r-1").await;
    let opens_ms = house.now_ms() + 3_600_000;
    let mut request = ScheduleSaleRequest {
        sale_id: made.sale_id.clone(),
        opens_at: Some(timestamp(opens_ms)),
        closes_at: Some(timestamp(opens_ms + 1_000)),
        warm_up_seconds: 0,
    };
    for _ in 0..2 {
        let scheduled = house.catalog().schedule_sale(house.operators(request.clone())).await;
        let scheduled = scheduled.unwrap().into_inner().sale.unwrap();
        assert_eq!((scheduled.state(), scheduled.warm_up_seconds), (SaleState::Scheduled, 60));
        assert_eq!(scheduled.opens_at, request.opens_at);
    }
    request.closes_at = Some(timestamp(opens_ms + 2_000));
    let other = house.catalog().schedule_sale(house.operators(request)).await;
    let status = is_refused(other, Code::FailedPrecondition, "WRONG_STATE");
    assert_eq!(meta_of(&status, "state").as_deref(), Some("SCHEDULED"));
}

#[tokio::test]
async fn sales_are_listed_page_by_page() {
    let house = House::open().await;
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(house.create(&format!("r-{number}")).await.sale_id);
    }
    made.reverse();
    let list = async |page_token: &str| {
        let request = ListSalesRequest { page_size: 2, page_token: page_token.to_owned() };
        house.catalog().list_sales(request).await.unwrap().into_inner()
    };
    let first = list("").await;
    let second = list(&first.next_page_token).await;
    let listed: Vec<_> = first.sales.iter().chain(&second.sales).collect();
    assert_eq!(listed.iter().map(|sale| sale.sale_id.as_str()).collect::<Vec<_>>(), made);
    assert_eq!((first.sales.len(), second.next_page_token.as_str()), (2, ""));
    assert!(listed.iter().all(|sale| sale.items.is_empty()));
}

#[tokio::test]
async fn only_operators_write() {
    let house = House::open().await;
    let with = |authorization: Option<String>| {
        let mut request = Request::new(sale("r-1"));
        if let Some(text) = authorization {
            request.metadata_mut().insert("authorization", text.parse().unwrap());
        }
        request
    };
    let buyers = house.token("seckill");
    let mut forged = house.token("seckill-operator");
    let last = if forged.pop() == Some('A') { 'E' } else { 'A' };
    forged.push(last);
    let tokens = [
        None,
        Some(String::new()),
        Some("Basic YTpi".to_owned()),
        Some("Bearer x.y.z".to_owned()),
        Some(format!("Bearer {buyers}")),
        Some(format!("Bearer {forged}")),
    ];
    for token in tokens {
        let answer = house.catalog().create_sale(with(token)).await;
        is_refused(answer, Code::Unauthenticated, "UNAUTHENTICATED");
    }
    let schedule = ScheduleSaleRequest::default();
    let answer = house.catalog().schedule_sale(schedule).await;
    is_refused(answer, Code::Unauthenticated, "UNAUTHENTICATED");
    assert!(house.books.keys_asked() <= 2, "strangers don't make us ask for keys");

    let good = format!("bearer {}", house.token("seckill-operator"));
    house.catalog().create_sale(with(Some(good))).await.expect("the scheme has no case");
}

#[tokio::test]
async fn without_keys_nobody_is_judged() {
    let house =
        House::open_with(|config| config.upstream.user_svc = "http://127.0.0.1:1".to_owned()).await;
    let answer = house.catalog().create_sale(house.operators(sale("r-1"))).await;
    let status = is_refused(answer, Code::Unavailable, "UPSTREAM_UNAVAILABLE");
    assert!(retry_after_of(&status).is_some());
}

#[tokio::test]
async fn bad_input_is_told_field_by_field() {
    let house = House::open().await;
    let mut catalog = house.catalog();

    let empty = house.operators(CreateSaleRequest::default());
    is_invalid(catalog.create_sale(empty).await, &["request_id", "title", "items"]);
    let bad_item = CreateSaleRequest { items: vec![NewItem::default()], ..sale("r-1") };
    let fields = ["sku", "title", "price", "total_units", "limit_per_user"];
    let fields: Vec<_> = fields.iter().map(|field| format!("items[0].{field}")).collect();
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    is_invalid(catalog.create_sale(house.operators(bad_item)).await, &fields);

    let empty = house.operators(ScheduleSaleRequest::default());
    let fields = ["sale_id", "opens_at", "closes_at"];
    is_invalid(catalog.schedule_sale(empty).await, &fields);
    let unknown = ScheduleSaleRequest {
        sale_id: ids::SaleId::random().to_string(),
        opens_at: Some(timestamp(2_000)),
        closes_at: Some(timestamp(1_000)),
        warm_up_seconds: 3_601,
    };
    let request = house.operators(unknown.clone());
    is_invalid(catalog.schedule_sale(request).await, &["closes_at", "warm_up_seconds"]);
    let nonsense = prost_types::Timestamp { seconds: i64::MIN, nanos: -1 };
    let request = ScheduleSaleRequest { opens_at: Some(nonsense), ..unknown.clone() };
    let request = house.operators(request);
    is_invalid(catalog.schedule_sale(request).await, &["opens_at", "warm_up_seconds"]);
    let closes_at = Some(timestamp(3_000));
    let request = ScheduleSaleRequest { closes_at, warm_up_seconds: 0, ..unknown };
    let answer = catalog.schedule_sale(house.operators(request)).await;
    is_refused(answer, Code::NotFound, "NOT_FOUND");

    for page_token in ["x", "-1", "0", "99999999999999999999"] {
        let page_token = page_token.to_owned();
        let request = ListSalesRequest { page_size: 201, page_token };
        is_invalid(catalog.list_sales(request).await, &["page_size", "page_token"]);
    }
    let get = |sale_id: &str| GetSaleRequest { sale_id: sale_id.to_owned() };
    is_invalid(catalog.get_sale(get("mug")).await, &["sale_id"]);
    let unknown = ids::SaleId::random().to_string();
    is_refused(catalog.get_sale(get(&unknown)).await, Code::NotFound, "NOT_FOUND");

    let get = |by| GetItemRequest { by };
    is_invalid(catalog.get_item(get(None)).await, &["by"]);
    is_invalid(catalog.get_item(get(Some(By::ItemId("x".to_owned())))).await, &["item_id"]);
    is_invalid(catalog.get_item(get(Some(By::ShardNo(0)))).await, &["shard_no"]);
    let unknown = By::ItemId(ids::ItemId::random().to_string());
    for by in [unknown, By::ShardNo(99)] {
        let answer = catalog.get_item(get(Some(by))).await;
        is_refused(answer, Code::NotFound, "NOT_FOUND");
    }
}
