//! WatchItem: what is left, then each change, for as long as the sale lasts.

use ids::ItemId;
use proto::gateway::v1::{Availability, WatchItemRequest, WatchItemResponse};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::stage::{PATIENCE, Plan, Stage, bad_field, said};

async fn watch(
    stage: &Stage,
    item_id: impl ToString,
) -> Result<Streaming<WatchItemResponse>, Status> {
    let message = WatchItemRequest { item_id: item_id.to_string() };
    stage.client().await.watch_item(message).await.map(tonic::Response::into_inner)
}

/// What is told next; `None` at the end.
async fn next(stream: &mut Streaming<WatchItemResponse>) -> Option<(Availability, u32)> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await;
    let message = message.expect("something comes").unwrap();
    message.map(|message| (message.availability(), message.units_left))
}

#[tokio::test]
async fn each_change_is_told_to_everybody_who_watches() {
    let stage = Stage::open().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(watch(&stage, stage.item).await.unwrap());
    }
    for stream in &mut streams {
        assert_eq!(next(stream).await, Some((Availability::Unknown, 0)), "nothing was heard yet");
    }
    for (units, expected) in [
        (7, (Availability::Available, 7)),
        (0, (Availability::SoldOut, 0)),
        (2, (Availability::Available, 2)),
    ] {
        stage.tell_stock(units);
        for stream in &mut streams {
            assert_eq!(next(stream).await, Some(expected));
        }
    }
    let mut late = watch(&stage, stage.item).await.unwrap();
    assert_eq!(next(&mut late).await, Some((Availability::Available, 2)), "where it stands");
}

#[tokio::test]
async fn changes_are_told_together_at_the_pace_of_the_configuration() {
    let slow = |config: &mut gateway::Config| config.watch.item_ms = 300_000;
    let stage = Stage::with(Plan { config: Box::new(slow), ..Plan::default() }).await;
    stage.tell_stock(5);
    let heard = async || {
        let mut stream = watch(&stage, stage.item).await.unwrap();
        next(&mut stream).await == Some((Availability::Available, 5))
    };
    stage.until("the stock is heard of", heard).await;
    let mut stream = watch(&stage, stage.item).await.unwrap();
    assert_eq!(next(&mut stream).await, Some((Availability::Available, 5)));
    stage.tell_stock(4);
    let heard = async || {
        let mut other = watch(&stage, stage.item).await.unwrap();
        next(&mut other).await == Some((Availability::Available, 4))
    };
    stage.until("who comes later sees the change", heard).await;
    // The newcomer's look is news to those who watch already.
    assert_eq!(next(&mut stream).await, Some((Availability::Available, 4)));
}

#[tokio::test]
async fn a_stream_ends_with_the_sale_and_then_none_begins() {
    let stage = Stage::with(Plan { closes_in_s: 2, ..Plan::default() }).await;
    let mut stream = watch(&stage, stage.item).await.unwrap();
    assert_eq!(next(&mut stream).await, Some((Availability::Unknown, 0)));
    assert_eq!(next(&mut stream).await, None);
    let closed = (Code::FailedPrecondition, "CLOSED".to_owned(), false);
    let over = async || watch(&stage, stage.item).await.map(drop).is_err();
    stage.until("the sale is over", over).await;
    assert_eq!(said(watch(&stage, stage.item).await.map(drop)), closed);
}

#[tokio::test]
async fn streams_end_after_their_longest_time_and_on_a_stop() {
    let short = |config: &mut gateway::Config| config.watch.stream_ms_max = 50;
    let stage = Stage::with(Plan { config: Box::new(short), ..Plan::default() }).await;
    let mut stream = watch(&stage, stage.item).await.unwrap();
    assert_eq!(next(&mut stream).await, Some((Availability::Unknown, 0)));
    assert_eq!(next(&mut stream).await, None);

    let stage = Stage::open().await;
    let mut stream = watch(&stage, stage.item).await.unwrap();
    assert_eq!(next(&mut stream).await, Some((Availability::Unknown, 0)));
    stage.stopper.stop();
    let end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("it ends");
    assert_eq!(said(end.map(drop)), (Code::Unavailable, "STOPPING".to_owned(), true));
}

#[tokio::test]
async fn watchers_are_bounded_apart_from_those_of_orders() {
    let narrow = |config: &mut gateway::Config| config.watch.item_watchers_max = 1;
    let stage = Stage::with(Plan { config: Box::new(narrow), ..Plan::default() }).await;
    let stream = watch(&stage, stage.item).await.unwrap();
    let overloaded = (Code::Unavailable, "OVERLOADED".to_owned(), true);
    assert_eq!(said(watch(&stage, stage.item).await.map(drop)), overloaded);
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await.text;
    let message = proto::gateway::v1::WatchOrderRequest { order_id: String::new(), ticket };
    assert!(buyer.client.clone().watch_order(buyer.request(message)).await.is_ok());
    drop(stream);
    let room = async || watch(&stage, stage.item).await.is_ok();
    stage.until("there is room again", room).await;
}

#[tokio::test]
async fn one_network_has_its_part_of_the_places_and_no_more() {
    let stage = Stage::with(Plan {
        config: Box::new(|config| {
            (config.watch.item_watchers_max, config.watch.item_watchers_per_network_max) = (3, 2);
            config.clients.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        }),
        ..Plan::default()
    })
    .await;
    let mut client = stage.client().await;
    let mut from = async |address: &str| {
        let mut request = Request::new(WatchItemRequest { item_id: stage.item.to_string() });
        request.metadata_mut().insert("x-forwarded-for", address.parse().unwrap());
        client.watch_item(request).await.map(tonic::Response::into_inner)
    };
    let first = from("203.0.113.1").await.unwrap();
    let _second = from("203.0.113.2").await.unwrap();
    let limited = from("203.0.113.3").await.map(drop);
    let details = limited.clone().unwrap_err().get_details_quota_failure();
    assert_eq!(details.unwrap().violations[0].subject, "network");
    assert_eq!(said(limited), (Code::ResourceExhausted, "RATE_LIMITED".to_owned(), true));
    let _other = from("198.51.100.1").await.expect("there is room for another network");
    let overloaded = (Code::Unavailable, "OVERLOADED".to_owned(), true);
    assert_eq!(said(from("192.0.2.1").await.map(drop)), overloaded);
    drop(first);
    let room = async || from("203.0.113.4").await.is_ok();
    stage.until("who leaves makes room for a neighbour", room).await;
}

#[tokio::test]
async fn what_is_not_sold_cannot_be_watched() {
    let stage = Stage::open().await;
    assert_eq!(bad_field(watch(&stage, "nonsense").await.map(drop)), "item_id");
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned(), false);
    assert_eq!(said(watch(&stage, ItemId::random()).await.map(drop)), not_found);
}
