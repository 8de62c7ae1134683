//! Whether this instance can serve, by its own stores: it says so, and its streams end, when it is
//! cut off from one of them; it is back by itself.

use ids::ShardNo;
use proto::inventory::v1::{
    ShardRefusal, WatchStockRequest, WatchStockResponse, reserve_response::Answer,
};
use testbed::{Database, Proxy, running};
use tonic::{Code, Streaming};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::house::{House, PATIENCE, eventually};

async fn is_ready(house: &House) -> bool {
    let mut health = HealthClient::new(house.channel());
    let answer = health.check(HealthCheckRequest { service: String::new() }).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

async fn watch(house: &House, shard: ShardNo) -> Streaming<WatchStockResponse> {
    let mut stream = None;
    eventually("a stream can be had", async || {
        let request = WatchStockRequest { shard_nos: vec![shard.get()] };
        stream = house.inventory().watch_stock(request).await.ok();
        stream.is_some()
    })
    .await;
    stream.unwrap().into_inner()
}

/// Cut off as `cut` does it, and back again.
async fn comes_and_goes(house: &House, shard: ShardNo, door: &Proxy, cut: impl Fn(&Proxy)) {
    let mut news = watch(house, shard).await;
    assert!(news.message().await.unwrap().unwrap().is_open);
    cut(door);
    let to_its_end = async {
        while let Some(news) = news.message().await.unwrap() {
            assert!(news.is_open, "who can't tell says nothing: {news:?}");
        }
    };
    tokio::time::timeout(PATIENCE, to_its_end).await.expect("the stream ends");
    eventually("it isn't ready", async || !is_ready(house).await).await;
    let request = WatchStockRequest { shard_nos: vec![shard.get()] };
    let refused = house.inventory().watch_stock(request).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.metadata().contains_key("instance-unable"));
    eventually("buyers are sent elsewhere", async || {
        let answer = house.inventory().reserve(house.batch(shard, &[1])).await;
        answer.is_ok_and(|answer| {
            let is_noted = answer.metadata().contains_key("instance-unable");
            let wanted = Answer::Refusal(ShardRefusal::Unreachable.into());
            is_noted && answer.into_inner().answer == Some(wanted)
        })
    })
    .await;

    door.heal();
    eventually("it is ready again", async || is_ready(house).await).await;
    let mut news = watch(house, shard).await;
    assert!(news.message().await.unwrap().unwrap().is_open);
    house.opened(shard).await;
}

#[tokio::test]
async fn who_has_lost_its_redis_is_not_ready_until_it_is_back() {
    let redis = testbed::Redis::start().await;
    let door = Proxy::to(&format!("127.0.0.1:{}", redis.port())).await;
    let url = format!("redis://{}", door.addr());
    let house = House::open_with(|config| config.ledger_url = url).await;
    let (shard, _) = house.open_shard().await;
    for cut in [Proxy::cut, Proxy::black_hole] {
        comes_and_goes(&house, shard, &door, cut).await;
    }
}

#[tokio::test]
async fn who_has_lost_its_catalog_is_not_ready_until_it_is_back() {
    let database = Database::create(&running::mariadb()).await;
    let (user, place) = database.url().split_once('@').unwrap();
    let (place, name) = place.split_once('/').unwrap();
    let door = Proxy::to(place).await;
    let url = format!("{user}@{}/{name}", door.addr());
    let house = House::open_with(|config| config.catalog_url = url).await;
    let (shard, _) = house.open_shard().await;
    for cut in [Proxy::cut, Proxy::black_hole] {
        comes_and_goes(&house, shard, &door, cut).await;
    }
}

#[tokio::test]
async fn a_ledger_that_lost_everything_answers_all_the_same() {
    let house = House::open().await;
    let (shard, before) = house.open_shard().await;
    let mut news = watch(&house, shard).await;
    assert_eq!(news.message().await.unwrap().unwrap().epoch, before);
    house.ledger.swap_for_empty();
    let loaded = async {
        while [before, 0].contains(&news.message().await.unwrap().expect("it goes on").epoch) {}
    };
    tokio::time::timeout(PATIENCE, loaded).await.expect("the stream tells of the next epoch");
}
