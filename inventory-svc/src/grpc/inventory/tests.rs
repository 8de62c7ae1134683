//! The handlers: what they answer, and malformed requests, each with what is wrong with it.

use std::time::Duration;

use bytes::Bytes;
use chassis::{Clock, channel::connect_lazy, status::reason_of};
use ids::{OrderId, ShardNo};
use proptest::prelude::*;
use proto::inventory::v1::{
    Decision, EntryRefusal, FoundState, Hold as ToldHold, ReserveEntry, SettledState, ShardRefusal,
    entry_answer::Answer, reserve_response,
};
use store::PoolSettings;
use tokio::runtime::Handle;
use tonic::{Code, metadata::MetadataMap};
use tonic_types::StatusExt as _;

use super::*;
use crate::{
    catalog::sqlite::SqliteCatalog,
    commands::bench::{Bench, LEASE, epoch, load, order, shard},
    ledger::{Error, Ledger as _},
};

/// With books and a catalog that answer nothing.
async fn handlers(bench: &Bench) -> Handlers {
    let dir = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite:{}", dir.path().join("inventory.db").display());
    let catalog =
        SqliteCatalog::open(&url, &PoolSettings::default(), 1, Clock::system()).await.unwrap();
    let stock = StockWatch::new(bench.inventory.clone());
    let nowhere = connect_lazy(&Handle::current(), "http://127.0.0.1:1", &Default::default());
    let books = Books::new(nowhere.unwrap(), Duration::from_secs(1));
    let (inventory, catalog) = (bench.inventory.clone(), Arc::new(catalog));
    let lists = Arc::new(Semaphore::new(1));
    let health = Health::new();
    health.set_ready(true).await;
    Handlers { inventory, catalog, books, stock, health, stopper: Stopper::new(), lists }
}

fn bytes(name: u8) -> Bytes {
    Bytes::copy_from_slice(order(name).as_bytes())
}

fn entry(name: u8) -> ReserveEntry {
    ReserveEntry {
        order_id: bytes(name),
        user_id: Bytes::copy_from_slice(&[name; 16]),
        quantity: 1,
        unit_price: 4_999,
        ticket_expires_ms: u64::MAX,
        placed_at: None,
        traceparent: format!("trace {name}"),
    }
}

fn decision(name: u8, state: SettledState) -> Decision {
    Decision { order_id: bytes(name), state: state.into() }
}

async fn reserve(handlers: &Handlers, entries: Vec<ReserveEntry>) -> Result<Vec<Answer>, Status> {
    let request = Request::new(ReserveRequest { shard_no: 1, entries, ..Default::default() });
    match handlers.reserve(request).await?.into_inner().answer {
        Some(reserve_response::Answer::Batch(batch)) => {
            assert!(!batch.lease_lapsed);
            Ok(batch.answers.into_iter().map(|answer| answer.answer.unwrap()).collect())
        }
        refusal => panic!("{refusal:?}"),
    }
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry_with_what_was_stored() {
    let bench = Bench::open(2).await;
    let handlers = handlers(&bench).await;
    let other_user = ReserveEntry { user_id: Bytes::copy_from_slice(&[9; 16]), ..entry(1) };
    let asked = vec![entry(1), other_user, entry(2), entry(3)];
    let answers = reserve(&handlers, asked).await.unwrap();
    let [Answer::Held(held), Answer::Open(open), Answer::Held(_), Answer::Refusal(refusal)] =
        &answers[..]
    else {
        panic!("{answers:?}")
    };
    let ToldHold { order_id, user_id, quantity, unit_price, taken_at_ms, traceparent } = held;
    assert_eq!((order_id, &user_id[..]), (&bytes(1), &[1; 16][..]));
    assert_eq!((*quantity, *unit_price, traceparent.as_str()), (1, 4_999, "trace 1"));
    assert!(*taken_at_ms <= bench.clock.wall_ms());
    assert_eq!(open, held, "not what the second one asked for");
    assert_eq!(*refusal, i32::from(EntryRefusal::SoldOut));
}

#[tokio::test]
async fn settled_orders_are_found_and_answered() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    reserve(&handlers, vec![entry(1), entry(2), entry(3)]).await.unwrap();
    let decisions = vec![decision(1, SettledState::Placed), decision(2, SettledState::Rejected)];
    let request = SettleRequest { shard_no: 1, epoch: 1, generation: 5, decisions };
    handlers.settle(Request::new(request)).await.unwrap();

    let order_ids = vec![bytes(1), bytes(2), bytes(3), bytes(4)];
    let ids = FindRequest { shard_no: 1, order_ids, bars: false };
    let found = handlers.find(Request::new(ids.clone())).await.unwrap().into_inner();
    let wanted = [FoundState::Settled, FoundState::Settled, FoundState::Open, FoundState::Nothing];
    assert_eq!(found.states, wanted.map(i32::from));

    let answers = reserve(&handlers, vec![entry(1), entry(2)]).await.unwrap();
    let wanted = [SettledState::Placed, SettledState::Rejected];
    assert_eq!(answers, wanted.map(|state| Answer::Settled(state.into())));

    let request = Request::new(CountShardRequest { shard_no: 1 });
    let count = handlers.count_shard(request).await.unwrap().into_inner();
    assert_eq!((count.epoch, count.stock, count.open_units, count.placed_units), (1, 6, 1, 1));
    assert_eq!((count.tombstones, count.user_units, count.user_units_max), (1, 2, 1));

    bench.ledger.swap_for_empty();
    let found = handlers.find(Request::new(ids)).await.unwrap().into_inner();
    assert_eq!(found.states, [i32::from(FoundState::Unknown); 4]);
}

#[tokio::test]
async fn another_item_and_another_price_are_malformed() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    let field = async |item_id: Bytes, entries| {
        let request = ReserveRequest { shard_no: 1, entries, item_id };
        let refused = handlers.reserve(Request::new(request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let mut request = refused.get_details_bad_request().unwrap();
        request.field_violations.remove(0).field
    };
    let stranger = Bytes::from_static(&[9; 16]);
    assert_eq!(field(stranger, vec![entry(1)]).await, "item_id");
    assert_eq!(field(Bytes::from_static(b"short"), vec![entry(1)]).await, "item_id");
    let free = ReserveEntry { unit_price: 0, ..entry(2) };
    let asked = vec![entry(1), free];
    assert_eq!(field(Bytes::new(), asked).await, "entries[1].unit_price");
    assert_eq!(bench.ledger.count(shard(1)).await.unwrap().stock, 9, "nothing was taken");
}

#[tokio::test]
async fn a_whole_shard_is_refused_inside_the_answer() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    load(&*bench.ledger, shard(1), epoch(2), 9, bench.clock.wall_ms()).await;
    for (shard_no, wanted) in
        [(1, ShardRefusal::Loading), (2, ShardRefusal::Retired), (3, ShardRefusal::UnknownShard)]
    {
        let order = OrderId::mint(ShardNo::new(shard_no).unwrap(), [1; 12]);
        let order_id = Bytes::copy_from_slice(order.as_bytes());
        let entries = vec![ReserveEntry { order_id, ..entry(1) }];
        let request = Request::new(ReserveRequest { shard_no, entries, ..Default::default() });
        let answer = handlers.reserve(request).await.unwrap().into_inner().answer;
        assert_eq!(answer, Some(reserve_response::Answer::Refusal(wanted.into())));
    }
}

#[tokio::test]
async fn no_answer_of_the_ledger_is_unavailable_and_unreachable_is_not() {
    let bench = Bench::failing(Error::Unknown).await;
    let silent = handlers(&bench).await;
    let status = reserve(&silent, vec![entry(1)]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let decisions = vec![decision(1, SettledState::Placed)];
    let request = SettleRequest { shard_no: 1, epoch: 1, generation: 1, decisions };
    let status = silent.settle(Request::new(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason_of(&status).as_deref(), Some("UPSTREAM_UNAVAILABLE"));

    let bench = Bench::failing(Error::Unreachable).await;
    let request =
        Request::new(ReserveRequest { shard_no: 1, entries: vec![entry(1)], ..Default::default() });
    let answer = handlers(&bench).await.reserve(request).await.unwrap().into_inner().answer;
    let wanted = ShardRefusal::Unreachable;
    assert_eq!(answer, Some(reserve_response::Answer::Refusal(wanted.into())));
}

/// What is true of the shard, any instance would say; what is true of us, not.
#[tokio::test]
async fn only_what_this_instance_alone_cannot_do_is_noted_in_the_head() {
    let is_noted = |head: &MetadataMap| head.contains_key("instance-unable");
    let reserve = async |bench: &Bench| {
        let request = Request::new(ReserveRequest {
            shard_no: 1,
            entries: vec![entry(1)],
            ..ReserveRequest::default()
        });
        match handlers(bench).await.reserve(request).await {
            Ok(answer) => is_noted(answer.metadata()),
            Err(status) => is_noted(status.metadata()),
        }
    };
    let find = async |bench: &Bench| {
        let request =
            Request::new(FindRequest { shard_no: 1, order_ids: vec![bytes(1)], bars: false });
        is_noted(handlers(bench).await.find(request).await.unwrap().metadata())
    };
    for error in [Error::Unreachable, Error::Unknown] {
        let bench = Bench::failing(error).await;
        assert!(reserve(&bench).await && find(&bench).await, "{error}");
    }
    let bench = Bench::open(9).await;
    assert!(!reserve(&bench).await && !find(&bench).await);
    bench.show(Phase::Loading, 2);
    assert!(!reserve(&bench).await && !find(&bench).await, "the catalog says so to all");
    bench.shift.jump(LEASE);
    assert!(reserve(&bench).await && find(&bench).await, "it said so long ago");
    bench.show(Phase::Open, 2);
    assert!(!reserve(&bench).await, "the ledger has another epoch for all");
}

#[tokio::test]
async fn streams_end_while_the_instance_is_not_ready_and_none_begins() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    let watch = async || {
        let request = Request::new(WatchStockRequest { shard_nos: vec![1] });
        handlers.watch_stock(request).await
    };
    let mut news = watch().await.unwrap().into_inner();
    handlers.health.set_ready(false).await;
    assert!(news.next().await.is_none());
    let status = watch().await.map(drop).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.metadata().contains_key("instance-unable"));
    handlers.health.set_ready(true).await;
    assert!(watch().await.is_ok());
}

#[tokio::test]
async fn a_count_that_can_not_be_made_says_why() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    let refused = async |shard_no| {
        let request = Request::new(CountShardRequest { shard_no });
        let status = handlers.count_shard(request).await.unwrap_err();
        (status.code(), reason_of(&status).unwrap_or_default())
    };
    assert_eq!(refused(3).await, (Code::NotFound, "NOT_FOUND".to_owned()));
    bench.ledger.swap_for_empty();
    assert_eq!(refused(1).await, (Code::Unavailable, "LOADING".to_owned()));
}

#[tokio::test]
async fn the_stock_is_streamed() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    let (poller, stopper) = (handlers.stock.clone(), handlers.stopper.clone());
    let request = Request::new(WatchStockRequest { shard_nos: vec![1] });
    let mut news = handlers.watch_stock(request).await.unwrap().into_inner();
    let read = async {
        let told = news.next().await.unwrap().unwrap();
        stopper.stop();
        assert!(news.next().await.is_none(), "it ends with the process");
        told
    };
    let (told, ()) = tokio::join!(read, poller.poll(&stopper));
    let wanted = WatchStockResponse {
        shard_no: 1,
        is_open: true,
        epoch: 1,
        version: 1,
        left: 9,
        paused: false,
    };
    assert_eq!(told, wanted);
}

/// The one field that a refused request is refused for.
fn wrong_field<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason_of(&status).as_deref(), Some("INVALID_INPUT"));
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations.len(), 1);
    let says = &violations[0].description;
    assert!(says.starts_with("must "), "{says}");
    violations[0].field.clone()
}

#[tokio::test]
async fn each_wrong_field_of_a_batch_is_named() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    let refused = async |shard_no, entries| {
        let request = Request::new(ReserveRequest { shard_no, entries, ..Default::default() });
        wrong_field(handlers.reserve(request).await)
    };
    let wrong = async |change: fn(&mut ReserveEntry)| {
        let mut second = entry(2);
        change(&mut second);
        refused(1, vec![entry(1), second]).await
    };
    assert_eq!(wrong(|entry| entry.order_id = Bytes::new()).await, "entries[1].order_id");
    let long = wrong(|entry| entry.order_id = Bytes::from_static(&[0; 17])).await;
    assert_eq!(long, "entries[1].order_id");
    let of_no_shard = wrong(|entry| entry.order_id = Bytes::from_static(&[0xff; 16])).await;
    assert_eq!(of_no_shard, "entries[1].order_id");
    let user = wrong(|entry| entry.user_id = Bytes::from_static(b"me")).await;
    assert_eq!(user, "entries[1].user_id");
    assert_eq!(wrong(|entry| entry.quantity = 0).await, "entries[1].quantity");
    assert_eq!(wrong(|entry| entry.unit_price = -1).await, "entries[1].unit_price");
    let trace = wrong(|entry| entry.traceparent = "x".repeat(129)).await;
    assert_eq!(trace, "entries[1].traceparent");

    let foreign = OrderId::mint(ShardNo::new(2).unwrap(), [1; 12]);
    let order_id = Bytes::copy_from_slice(foreign.as_bytes());
    assert_eq!(
        refused(1, vec![ReserveEntry { order_id, ..entry(1) }]).await,
        "entries[0].order_id"
    );
    for (shard_no, count, field) in [(0, 1, "shard_no"), (1, 0, "entries"), (1, 1_025, "entries")] {
        assert_eq!(refused(shard_no, vec![entry(1); count]).await, field);
    }
    let count = handlers.count_shard(Request::new(CountShardRequest { shard_no: 1 })).await;
    assert_eq!(count.unwrap().into_inner().stock, 9, "nothing was taken");
    assert_eq!(reserve(&handlers, vec![entry(1); 1_024]).await.unwrap().len(), 1_024);
}

#[tokio::test]
async fn each_wrong_field_of_the_others_is_named() {
    let bench = Bench::open(9).await;
    let handlers = handlers(&bench).await;
    let settle = async |shard_no, epoch, decisions| {
        let request = SettleRequest { shard_no, epoch, generation: 0, decisions };
        wrong_field(handlers.settle(Request::new(request)).await)
    };
    let placed = decision(1, SettledState::Placed);
    let foreign = Decision { order_id: Bytes::from_static(&[1; 16]), ..placed.clone() };
    assert_eq!(settle(0, 1, vec![placed.clone()]).await, "shard_no");
    assert_eq!(settle(1, 0, vec![placed.clone()]).await, "epoch");
    assert_eq!(settle(1, -1, vec![placed.clone()]).await, "epoch");
    assert_eq!(settle(1, 1, vec![]).await, "decisions");
    assert_eq!(settle(1, 1, vec![placed.clone(); 4_097]).await, "decisions");
    assert_eq!(settle(1, 1, vec![placed.clone(), foreign]).await, "decisions[1].order_id");
    let unspecified = decision(1, SettledState::Unspecified);
    assert_eq!(settle(1, 1, vec![unspecified]).await, "decisions[0].state");
    assert_eq!(settle(1, 1, vec![Decision { state: 99, ..placed }]).await, "decisions[0].state");

    let find = async |shard_no, order_ids| {
        let request = Request::new(FindRequest { shard_no, order_ids, bars: false });
        wrong_field(handlers.find(request).await)
    };
    assert_eq!(find(0, vec![bytes(1)]).await, "shard_no");
    assert_eq!(find(1, vec![]).await, "order_ids");
    assert_eq!(find(1, vec![bytes(1); 1_025]).await, "order_ids");
    assert_eq!(find(1, vec![bytes(1), Bytes::new()]).await, "order_ids[1]");
    assert_eq!(find(2, vec![bytes(1)]).await, "order_ids[0]");

    let watch = async |shard_nos| {
        let request = Request::new(WatchStockRequest { shard_nos });
        wrong_field(handlers.watch_stock(request).await.map(drop))
    };
    assert_eq!(watch(vec![]).await, "shard_nos");
    assert_eq!(watch(vec![1; 1_025]).await, "shard_nos");
    assert_eq!(watch(vec![1, 0]).await, "shard_nos[1]");

    let request = Request::new(CountShardRequest { shard_no: 0 });
    assert_eq!(wrong_field(handlers.count_shard(request).await), "shard_no");
}

/// Bytes that are nearly ids, and bytes that aren't.
fn any_id() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        (0u8..6).prop_map(bytes),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from),
    ]
}

fn any_entry() -> impl Strategy<Value = ReserveEntry> {
    let quantity = prop_oneof![0u32..4, any::<u32>()];
    let traceparent = "\\PC{0,140}";
    (any_id(), any_id(), quantity, any::<i64>(), any::<u64>(), traceparent).prop_map(
        |(order_id, user_id, quantity, unit_price, ticket_expires_ms, traceparent)| ReserveEntry {
            placed_at: None,
            order_id,
            user_id,
            quantity,
            unit_price,
            ticket_expires_ms,
            traceparent,
        },
    )
}

proptest! {
    #[test]
    fn no_input_panics(
        shard_no in 0u32..4,
        entries in prop::collection::vec(any_entry(), 0..4),
        decisions in prop::collection::vec((any_id(), -1i32..5), 0..4),
        order_ids in prop::collection::vec(any_id(), 0..4),
        shard_nos in prop::collection::vec(prop_oneof![0u32..4, any::<u32>()], 0..4),
        epoch in -1i64..3,
        generation: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::open(9).await;
            let handlers = handlers(&bench).await;
            let request = ReserveRequest { shard_no, entries, ..Default::default() };
            let _ = handlers.reserve(Request::new(request)).await;
            let decisions = decisions.into_iter();
            let decision = |(order_id, state)| Decision { order_id, state };
            let decisions = decisions.map(decision).collect();
            let request = SettleRequest { shard_no, epoch, generation, decisions };
            let _ = handlers.settle(Request::new(request)).await;
            let asked = FindRequest { shard_no, order_ids, bars: false };
            let _ = handlers.find(Request::new(asked)).await;
            let _ = handlers.count_shard(Request::new(CountShardRequest { shard_no })).await;
            let request = Request::new(WatchStockRequest { shard_nos: shard_nos.clone() });
            if let Ok(news) = handlers.watch_stock(request).await {
                // The first round tells of each; the stop ends the rest.
                let (poller, stopper) = (handlers.stock.clone(), handlers.stopper.clone());
                let mut news = news.into_inner();
                let read = async {
                    let told = news.next().await;
                    stopper.stop();
                    told
                };
                let (told, ()) = tokio::join!(read, poller.poll(&stopper));
                assert!(shard_nos.contains(&told.unwrap().unwrap().shard_no));
            }
        });
    }
}
