//! What isn't answered, and what is refused: a call that may have been done is UNKNOWN, one that
//! was not is UNREACHABLE, and neither is ever taken for the other (I-2).

use std::time::Duration;

use chassis::Clock;

use super::{
    bench::{ask, ledger, settings},
    shop::{buy, epoch, healed, hold, load, load_with, order, placed, shard, until},
};
use crate::ledger::{
    ActivateError, Activation, EntryAnswer, Error, Found, Ledger as _, Settled, Settlement, Terms,
    redis::{RedisLedger, library::LIBRARY},
};

/// Far below what a test waits for, and above what a busy machine needs for a call.
const CALL_MAX: Duration = Duration::from_secs(1);

/// A Redis behind a network that can be broken, with an open shard.
async fn shop_behind_proxy() -> (testbed::Redis, testbed::Proxy, RedisLedger) {
    let redis = testbed::Redis::start().await;
    let proxy = testbed::Proxy::to(&format!("127.0.0.1:{}", redis.port())).await;
    let mut settings = settings();
    settings.call_ms_max = 1_000;
    let ledger = ledger(LIBRARY, &format!("redis://{}", proxy.addr()), &settings).await;
    load(&ledger, 1, 10).await;
    (redis, proxy, ledger)
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_a_retry_finds_the_hold() {
    let (redis, proxy, ledger) = shop_behind_proxy().await;
    proxy.drop_replies();
    let clock = Clock::system();
    let from = clock.now();
    assert_eq!(buy(&ledger, 1, 7).await, Err(Error::Unknown));
    assert!(clock.now() - from < 3 * CALL_MAX, "every call has a deadline");
    assert_eq!(redis.count_fields("seckill:{1}:1:orders").await, 2, "it has happened");
    proxy.heal();
    healed(&ledger).await;
    assert!(matches!(buy(&ledger, 1, 7).await, Ok(EntryAnswer::Open(_))));
    let left = ledger.count(shard()).await.unwrap().stock;
    assert_eq!(left, 9, "and only once");
}

#[tokio::test]
async fn an_activate_whose_answer_is_lost_is_not_done_twice() {
    let (_redis, proxy, ledger) = shop_behind_proxy().await;
    ledger.close(shard(), epoch(2)).await.unwrap();
    let identity = ledger.begin_staging(shard(), epoch(2)).await.unwrap();
    let activation = Activation {
        to: epoch(2),
        identity,
        terms: Terms { opens_ms: 0, closes_ms: u64::MAX, limit_per_user: 1 },
        stock: 5,
        orders: 0,
        generation: 1,
        movement_watermark: 0,
    };
    proxy.drop_replies();
    let answer = ledger.activate(shard(), activation.clone()).await;
    assert_eq!(answer, Err(ActivateError::Ledger(Error::Unknown)));
    proxy.heal();
    healed(&ledger).await;
    hold(&ledger, 2, 0..3).await;
    let again = ledger.activate(shard(), activation).await;
    assert_eq!(again, Err(ActivateError::AlreadyActive));
    assert_eq!(ledger.count(shard()).await.unwrap().stock, 2, "the stock was not put back");
}

#[tokio::test]
async fn what_is_not_sent_is_unreachable_and_takes_no_time() {
    let (mut redis, _proxy, ledger) = shop_behind_proxy().await;
    redis.kill();
    until("the loss is noticed", async || {
        (buy(&ledger, 1, 1).await == Err(Error::Unreachable)).then_some(())
    })
    .await;
    let clock = Clock::system();
    let from = clock.now();
    for number in 0..100 {
        assert_eq!(buy(&ledger, 1, number).await, Err(Error::Unreachable));
    }
    assert!(clock.now() - from < CALL_MAX);
    assert_eq!(ledger.identity().await, Err(Error::Unreachable));
    assert_eq!(ledger.peek(&[shard()]).await, Err(Error::Unreachable));
    assert_eq!(ledger.ping().await, Err(Error::Unreachable));
}

#[tokio::test]
async fn a_redis_that_hangs_is_unknown_and_goes_on_when_it_wakes() {
    let (redis, _proxy, ledger) = shop_behind_proxy().await;
    redis.pause();
    assert_eq!(buy(&ledger, 1, 1).await, Err(Error::Unknown));
    redis.resume();
    healed(&ledger).await;
    let answer = buy(&ledger, 1, 1).await;
    assert!(matches!(answer, Ok(EntryAnswer::Open(_) | EntryAnswer::Held(_))), "{answer:?}");
    assert_eq!(ledger.count(shard()).await.unwrap().stock, 9);
}

/// Connections stay open, and nothing comes through: only its deadlines tell.
#[tokio::test]
async fn a_network_that_swallows_everything_is_left_for_another_address() {
    let (_redis, proxy, ledger) = shop_behind_proxy().await;
    let other = testbed::Redis::start().await;
    proxy.black_hole();
    assert_eq!(buy(&ledger, 1, 1).await, Err(Error::Unknown));
    until("the connection is given up", async || {
        (buy(&ledger, 1, 1).await == Err(Error::Unreachable)).then_some(())
    })
    .await;
    proxy.point_to(&format!("127.0.0.1:{}", other.port()));
    proxy.cut();
    proxy.heal();
    until("the other one is found", async || {
        (buy(&ledger, 1, 1).await == Err(Error::Fenced)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_redis_without_memory_admits_nothing_and_settles_everything() {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    let ledger = ledger(LIBRARY, &url, &settings()).await;
    load(&ledger, 1, 10).await;
    hold(&ledger, 1, 0..3).await;
    ask(&url, &["CONFIG", "SET", "maxmemory", "1mb"]).await;

    // Closed even for an order that it knows: it can't tell before it has looked.
    assert_eq!(buy(&ledger, 1, 4).await, Err(Error::Unreachable));
    assert_eq!(buy(&ledger, 1, 0).await, Err(Error::Unreachable));
    assert_eq!(ledger.ping().await, Ok(()), "it settles");
    let decisions = [(order(0), Settled::Placed), (order(1), Settled::Rejected)];
    let settled = ledger.settle(shard(), epoch(1), Some(2), &decisions).await;
    assert_eq!(settled, Ok(Settlement::Applied { rejected: 1 }));
    let orders = [order(0), order(1), order(2), order(4)];
    let found = ledger.find(shard(), epoch(1), false, &orders).await.unwrap().found;
    let states = [Settled::Placed, Settled::Rejected].map(Found::Settled);
    assert_eq!(found, [states[0], states[1], Found::Open, Found::Nothing]);
    let open = ledger.holds(shard(), None, 10).await.unwrap().holds;
    ledger.postpone(shard(), epoch(1), &[open[0].place()]).await.unwrap();
    assert_eq!(ledger.holds(shard(), None, 10).await.unwrap().holds[0].attempts, 1);
    assert_eq!(ledger.count(shard()).await.unwrap().stock, 7);
    // It can be closed and loaded, too; whoever is out of memory has to be repaired somehow.
    load_with(&ledger, 2, 9, vec![placed(0)]).await.unwrap();
    assert_eq!(buy(&ledger, 2, 4).await, Err(Error::Unreachable));

    ask(&url, &["CONFIG", "SET", "maxmemory", "0"]).await;
    hold(&ledger, 2, 4..6).await;
}

/// Nothing is asked of a replica: what it answers may be old.
#[tokio::test]
async fn a_replica_is_unreachable_and_so_is_a_master_that_becomes_one() {
    let (redis, other) = (testbed::Redis::start().await, testbed::Redis::start().await);
    let ledger_there = ledger(LIBRARY, &redis.url(), &settings()).await;
    load(&ledger_there, 1, 10).await;
    hold(&ledger_there, 1, 0..2).await;
    other.replica_of(&redis).await;

    let runtime = tokio::runtime::Handle::current();
    let replica = RedisLedger::connect(&other.url(), &settings(), &runtime).unwrap();
    assert!(
        !replica.connected(Duration::from_millis(300)).await,
        "it takes a replica for a master"
    );
    assert_eq!(buy(&replica, 1, 0).await, Err(Error::Unreachable));
    assert_eq!(replica.identity().await, Err(Error::Unreachable));

    // The connection is still there when the master becomes a replica.
    let (shard, epoch) = (shard(), epoch(1));
    other.promote().await;
    redis.replica_of(&other).await;
    until("reads are refused", async || {
        let found = ledger_there.find(shard, epoch, false, &[order(0)]).await;
        assert_ne!(found, Err(Error::Fenced), "a load would be asked for");
        (found == Err(Error::Unreachable)).then_some(())
    })
    .await;
    assert_eq!(buy(&ledger_there, 1, 0).await, Err(Error::Unreachable));
    assert_eq!(ledger_there.close(shard, epoch).await, Err(Error::Unreachable));
    assert_eq!(ledger_there.peek(&[shard]).await, Err(Error::Unreachable));
    assert_eq!(ledger_there.ping().await, Err(Error::Unreachable), "it is no keeper");
}

#[tokio::test]
async fn calls_beyond_their_places_wait_and_are_not_lost() {
    let redis = testbed::Redis::start().await;
    let mut settings = settings();
    settings.calls_in_flight_max = 2;
    let ledger = ledger(LIBRARY, &redis.url(), &settings).await;
    load(&ledger, 1, 50).await;
    let buyers = (0..200).map(|number| buy(&ledger, 1, number));
    let answers = futures::future::join_all(buyers).await;
    let held = answers.iter().filter(|answer| matches!(answer, Ok(EntryAnswer::Held(_))));
    assert_eq!(held.count(), 50);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
