//! The same service with its ledger on a real Redis, which is lost.

use std::time::Duration;

use chassis::Clock;
use proto::inventory::v1::{ShardPhase, ShardRefusal, reserve_response::Answer};

use crate::{
    books::order,
    house::{House, eventually},
    loading::holds_outlive_a_load,
    rolling::record,
};

async fn house() -> (House, testbed::Redis) {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    (House::open_with(|config| config.ledger_url = url).await, redis)
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_loaded_again_without_any_buyer() {
    let (house, mut redis) = house().await;
    let (shard, before) = house.open_shard().await;
    // One became an order, one was never recorded: the books have one, and so has the new epoch.
    house.hold(shard, &[1]).await;
    record(&house, shard, before, &[1]).await;
    house.hold(shard, &[2]).await;

    redis.kill();
    redis.clear_data();
    let clock = Clock::system();
    let lost_at = clock.now();
    redis.start_again().await;
    house.loaded_after(shard, before).await;
    let within = clock.now() - lost_at;
    assert!(within < Duration::from_secs(8), "it took {within:?}");
    let count = house.count(shard).await;
    assert_eq!((count.stock, count.placed_orders, count.open_holds), (9, 1, 0));
    house.hold(shard, &[3, 4]).await;
}

/// The data is all there, but nobody can know that.
#[tokio::test]
async fn a_redis_that_comes_back_with_its_data_is_loaded_again_from_the_books() {
    let (house, mut redis) = house().await;
    let (shard, before) = house.open_shard().await;
    house.hold(shard, &[1, 2]).await;
    redis.stop().await;
    redis.start_again().await;
    house.loaded_after(shard, before).await;
    let count = house.count(shard).await;
    assert_eq!((count.stock, count.placed_orders, count.open_holds), (10, 0, 0));
    assert_eq!(house.phase(shard).await, ShardPhase::Open);
}

#[tokio::test]
async fn holds_that_redis_still_knows_outlive_a_load() {
    let (house, _redis) = house().await;
    holds_outlive_a_load(&house).await;
}

/// 5 s of Redis' own time.
#[tokio::test]
async fn a_hold_that_nobody_recorded_is_rolled_forward_out_of_redis() {
    let (house, _redis) = house().await;
    let (shard, _) = house.open_shard().await;
    house.hold(shard, &[1]).await;
    eventually("the hold becomes an order", async || {
        house.books.shard(shard.get()).is_some_and(|shard| shard.orders.len() == 1)
    })
    .await;
    eventually("it is settled", async || {
        let count = house.count(shard).await;
        (count.placed_orders, count.open_holds) == (1, 0)
    })
    .await;
}

#[tokio::test]
async fn a_sale_that_is_over_leaves_no_key_behind_and_no_hold() {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    let house = House::open_with(|config| {
        config.ledger_url.clone_from(&url);
        config.loading.retire_after_s = 0;
    })
    .await;
    let sale = house.create("brief").await;
    let shard = house.schedule_for(&sale, Duration::from_secs(4)).await;
    let epoch = house.opened(shard).await;
    house.hold(shard, &[1, 2, 3]).await;
    record(&house, shard, epoch, &[1]).await;
    eventually("the shard retires", async || house.phase(shard).await == ShardPhase::Retired).await;

    let books = house.books.shard(shard.get()).unwrap();
    let orders = [1, 2, 3].map(|user| order(shard, user).0);
    assert!(orders.iter().all(|order| books.orders.contains_key(order)), "nobody recorded two");
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
    // Who comes late is told so.
    eventually("the books alone answer", async || {
        let answer = house.reserve(shard, &[4]).await.answer.unwrap();
        answer == Answer::Refusal(ShardRefusal::Retired.into())
    })
    .await;
}
