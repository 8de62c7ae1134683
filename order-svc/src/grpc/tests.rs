//! Every RPC of the built service, over a real connection: what it answers, and how precisely it
//! refuses what it can't use.

use bytes::Bytes;
use chassis::{Clock, Cores, Listeners, Stopper, status};
use futures::TryStreamExt;
use journal::{Journal, Record, embedded::Broker};
use proto::order::v1::{
    OrderState, order_service_client::OrderServiceClient, shard_snapshot_response::Part,
};
use tonic::{Code, body::Body, transport::Channel};
use tonic_types::StatusExt;
use tower::ServiceExt as _;

use super::*;
use crate::{
    App, Config, Seams,
    books::contract::{self, epoch, holds, opened, order, shard, user},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The whole service on an embedded journal, serving on a port of its own.
struct House {
    client: OrderServiceClient<Channel>,
    channel: Channel,
    journal: Journal,
    stopper: Stopper,
    running: tokio::task::JoinHandle<Result<(), crate::RunError>>,
    _broker: Broker,
    _data: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let broker = Broker::start(2).unwrap();
        let journal = broker.journal(&journal::Settings::default()).unwrap();
        let mut config = Config::load(None).unwrap();
        config.books.url = format!("sqlite:{}", data.path().join("order.db").display());
        config.books.migrate_on_start = true;
        // Nobody listens there: the ledger's absence is nobody's business here.
        config.inventory_url = "http://127.0.0.1:9".to_owned();
        let cores = Arc::new(Cores::start(1).unwrap());
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let (clock, pause) = (Clock::system(), chassis::PausePoints::default());
        let telemetry = chassis::Telemetry::off("order-svc");
        let seams = Seams { clock, pause, cores, journal: journal.clone(), telemetry };
        let app: App = crate::build(config, listeners, seams).await.unwrap();
        let address = format!("http://{}", app.addr());
        let stopper = Stopper::new();
        let stop = stopper.clone();
        let tokio = Handle::current();
        let running = tokio.spawn(async move { app.run(stop).await });
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let client = OrderServiceClient::new(channel.clone());
        Self { client, channel, journal, stopper, running, _broker: broker, _data: data }
    }

    /// A shop that sells 3 units of shard 1 in epoch 7, and has sold them.
    async fn with_orders() -> Self {
        let mut house = Self::open().await;
        let change = journal::Command::EpochChanged { from: None, to: epoch(7) };
        let log = [
            Some((shard(1), opened(3, 2))),
            Some((shard(1), change)),
            holds(shard(1), 7, [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 3, 1)]),
        ];
        for (shard, command) in log.into_iter().flatten() {
            let record = Record { command_id: ids::CommandId::random(), shard, command };
            house.journal.append(contract::PARTITION, &record).await.unwrap();
        }
        let waiting = async {
            loop {
                let asked = house.client.get_shard(GetShardRequest { shard_no: 1 }).await;
                if asked.is_ok_and(|answer| answer.into_inner().sold == 3) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
        house
    }

    async fn close(self) {
        self.stopper.stop();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap().unwrap();
    }
}

fn id(number: u32) -> Bytes {
    Bytes::copy_from_slice(order(shard(1), number).as_bytes())
}

fn who(number: u32) -> Bytes {
    Bytes::copy_from_slice(user(number).as_bytes())
}

/// The fields that a status complains about.
fn complaints<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Vec<String> {
    let refused = answer.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert_eq!(status::reason_of(&refused).as_deref(), Some("INVALID_INPUT"));
    let request = refused.get_details_bad_request().unwrap();
    request.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn bad_input_is_told_field_by_field() {
    let house = House::open().await;
    let mut client = house.client.clone();
    let short = Bytes::from_static(b"short");
    let no_order = Bytes::from_static(&[0xff; 16]);

    let request = GetOrderRequest { order_id: no_order.clone(), user_id: short.clone() };
    assert_eq!(complaints(client.get_order(request).await), ["order_id", "user_id"]);
    let request = GetOrderRequest::default();
    assert_eq!(complaints(client.get_order(request).await), ["order_id", "user_id"]);

    let page_token = "not one".to_owned();
    let request = ListOrdersRequest { user_id: short, page_size: 201, page_token };
    let fields = complaints(client.list_orders(request).await);
    assert_eq!(fields, ["user_id", "page_size", "page_token"]);

    for (order_ids, field) in [
        (vec![], "order_ids"),
        (vec![id(1); 4097], "order_ids"),
        (vec![id(1), no_order], "order_ids[1]"),
    ] {
        let request = FindOrdersRequest { order_ids };
        assert_eq!(complaints(client.find_orders(request).await), [field]);
    }
    let many = FindOrdersRequest { order_ids: vec![Bytes::new(); 4096] };
    assert_eq!(complaints(client.find_orders(many).await).len(), 16, "the answer is bounded");

    let request = GetShardRequest { shard_no: 0 };
    assert_eq!(complaints(client.get_shard(request).await), ["shard_no"]);
    let request = CountShardRequest { shard_no: 0 };
    assert_eq!(complaints(client.count_shard(request).await), ["shard_no"]);
    for wrong in [0, -1, i64::MIN] {
        let request = ShardSnapshotRequest { shard_no: 0, epoch: wrong };
        assert_eq!(complaints(client.shard_snapshot(request).await), ["shard_no", "epoch"]);
    }
    house.close().await;
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_told_so() {
    let house = House::open().await;
    let long = FindOrdersRequest { order_ids: vec![Bytes::from(vec![0; 5 << 20])] };
    assert_eq!(complaints(house.client.clone().find_orders(long).await), ["message"]);

    // A frame of two bytes: field 1 has 127 bytes, but there are none.
    let request = http::Request::post("/seckill.order.v1.OrderService/GetOrder")
        .header("content-type", "application/grpc")
        .body(Body::new("\0\0\0\0\x02\x0a\x7f".to_owned()));
    let answer = house.channel.clone().oneshot(request.unwrap()).await.unwrap();
    let undecodable = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(complaints::<()>(Err(undecodable)), ["message"]);
    house.close().await;
}

#[tokio::test]
async fn reflection_lists_what_is_served_here_and_nothing_else() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
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
        "seckill.order.v1.OrderService",
    ];
    assert_eq!(names, expected);
    house.close().await;
}

#[tokio::test]
async fn what_is_unknown_is_not_found() {
    let house = House::open().await;
    let mut client = house.client.clone();
    let order = client.get_order(GetOrderRequest { order_id: id(1), user_id: who(1) }).await;
    let guard = client.get_shard(GetShardRequest { shard_no: 1 }).await;
    let count = client.count_shard(CountShardRequest { shard_no: 1 }).await;
    let snapshot = client.shard_snapshot(ShardSnapshotRequest { shard_no: 1, epoch: 7 }).await;
    for refused in [order.err(), guard.err(), count.err(), snapshot.err()] {
        let refused = refused.unwrap();
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(status::reason_of(&refused).as_deref(), Some("NOT_FOUND"));
    }
    let list = ListOrdersRequest { user_id: who(1), ..Default::default() };
    assert!(client.list_orders(list).await.unwrap().into_inner().orders.is_empty());
    let find = FindOrdersRequest { order_ids: vec![id(1)] };
    assert!(client.find_orders(find).await.unwrap().into_inner().orders.is_empty());
    house.close().await;
}

#[tokio::test]
async fn an_order_is_shown_to_its_buyer_alone() {
    let house = House::with_orders().await;
    let mut client = house.client.clone();
    let theirs = GetOrderRequest { order_id: id(1), user_id: who(1) };
    let order = client.get_order(theirs).await.unwrap().into_inner().order.unwrap();
    assert_eq!((order.state(), order.quantity, order.unit_price), (OrderState::Placed, 1, 990));
    assert_eq!((order.shard_no, order.currency.as_str()), (1, "EUR"));
    let [placed, pay_by] = [order.placed_at, order.pay_by].map(|time| time.unwrap().seconds);
    assert_eq!(pay_by - placed, 900);

    let others = GetOrderRequest { order_id: id(1), user_id: who(2) };
    let others = client.get_order(others).await.unwrap_err();
    let nobodys = GetOrderRequest { order_id: id(99), user_id: who(2) };
    let nobodys = client.get_order(nobodys).await.unwrap_err();
    assert_eq!(others.code(), Code::NotFound);
    assert_eq!((others.message(), others.details()), (nobodys.message(), nobodys.details()));
    house.close().await;
}

#[tokio::test]
async fn lists_go_on_by_their_token_and_end() {
    let house = House::with_orders().await;
    let mut client = house.client.clone();
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListOrdersRequest { user_id: who(1), page_size: 1, page_token };
        let page = client.list_orders(request).await.unwrap().into_inner();
        seen.extend(page.orders.into_iter().map(|order| order.order_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [id(2), id(1)], "equal times by id, the highest first");
    house.close().await;
}

#[tokio::test]
async fn a_shard_is_found_counted_and_copied() {
    let house = House::with_orders().await;
    let mut client = house.client.clone();
    let order_ids = vec![id(4), id(1), id(1), id(9)];
    let found = client.find_orders(FindOrdersRequest { order_ids }).await.unwrap().into_inner();
    let states: Vec<_> = found.orders.iter().map(|order| order.state()).collect();
    assert_eq!(states, [OrderState::Placed, OrderState::Rejected]);
    assert_eq!(found.shards.len(), 1);

    let count = client.count_shard(CountShardRequest { shard_no: 1 }).await.unwrap().into_inner();
    assert_eq!((count.live_orders, count.live_units, count.rejected_orders), (3, 3, 1));
    assert_eq!((count.open_epoch, count.total, count.sold), (7, 3, 3));
    assert_eq!((count.user_units_max, count.duplicate_orders), (2, 0));

    let other = ShardSnapshotRequest { shard_no: 1, epoch: 8 };
    let refused = client.shard_snapshot(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(status::reason_of(&refused).as_deref(), Some("WRONG_STATE"));
    assert_eq!(status::meta_of(&refused, "open_epoch").as_deref(), Some("7"));

    let snapshot = client.shard_snapshot(ShardSnapshotRequest { shard_no: 1, epoch: 7 }).await;
    let parts: Vec<_> = snapshot.unwrap().into_inner().try_collect().await.unwrap();
    let [Some(Part::Head(head)), Some(Part::Orders(rows))] =
        [parts[0].part.clone(), parts[1].part.clone()]
    else {
        panic!("a head, then orders")
    };
    assert_eq!((parts.len(), head.total, head.sold, head.orders), (2, 3, 3, 4));
    assert_eq!(head.generation, found.shards[0].generation);
    assert_eq!(rows.orders.len(), 4);
    house.close().await;
}

#[tokio::test]
async fn snapshots_beyond_the_bound_are_refused_with_a_time() {
    let house = House::with_orders().await;
    let books = contract::Fixture::of_journal("another").await.books;
    let tasks = chassis::TaskOwner::new("test", house.stopper.clone()).tasks();
    let settings = SnapshotSettings { deadline_ms: 1, concurrent_max: 0 };
    let api = OrderApi::new(books, house.journal.clone(), tasks, Handle::current(), &settings);
    let request = Request::new(ShardSnapshotRequest { shard_no: 1, epoch: 7 });
    let Err(refused) = api.shard_snapshot(request).await else { panic!("none is allowed") };
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(status::reason_of(&refused).as_deref(), Some("OVERLOADED"));
    assert!(status::retry_after_of(&refused).is_some());
    house.close().await;
}

#[tokio::test]
async fn the_highest_number_is_told_by_books_that_have_read_the_log() {
    let house = House::with_orders().await;
    let asked = house.client.clone().highest_shard(HighestShardRequest {}).await;
    assert_eq!(asked.unwrap().into_inner().shard_no, 1);
    // Written a moment ago, so read first; and a later record of it counts for nothing.
    let record =
        |command| Record { command_id: ids::CommandId::random(), shard: shard(9), command };
    house.journal.append(contract::PARTITION, &record(opened(3, 2))).await.unwrap();
    let asked = house.client.clone().highest_shard(HighestShardRequest {}).await;
    assert_eq!(asked.unwrap().into_inner().shard_no, 9);
    house.close().await;
}

#[tokio::test]
async fn books_that_are_behind_the_log_name_no_highest_number() {
    let house = House::with_orders().await;
    // Nobody reads for these.
    let books = contract::Fixture::of_journal("another").await.books;
    let tasks = chassis::TaskOwner::new("test", house.stopper.clone()).tasks();
    let settings = SnapshotSettings { deadline_ms: 1, concurrent_max: 1 };
    let api = OrderApi::new(books, house.journal.clone(), tasks, Handle::current(), &settings);
    let refused = api.highest_shard(Request::new(HighestShardRequest {})).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(status::reason_of(&refused).as_deref(), Some("UPSTREAM_UNAVAILABLE"));
    assert!(status::retry_after_of(&refused).is_some());
    house.close().await;
}
