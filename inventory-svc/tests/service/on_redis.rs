//! The same service with its ledger on a real Redis, which is lost.

use std::time::Duration;

use chassis::Clock;
use proto::inventory::v1::ShardPhase;

use crate::{
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
