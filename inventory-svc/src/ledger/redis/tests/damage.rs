//! A Redis that lost something admits nothing, whatever it lost: it is refused as FENCED, never as
//! "sold out", never with a hold, until it is loaded anew (I-1, protocol section 3).

use super::{
    bench::{ask, ledger, settings},
    shop::{assert_fenced, buy, epoch, healed, hold, load, shard, until},
};
use crate::ledger::{
    EntryAnswer, Error, Ledger as _, Peek, Refusal,
    redis::{RedisLedger, library::LIBRARY},
};

async fn shop(stock: u32) -> (testbed::Redis, RedisLedger) {
    let redis = testbed::Redis::start().await;
    let ledger = ledger(LIBRARY, &redis.url(), &settings()).await;
    load(&ledger, 1, stock).await;
    (redis, ledger)
}

async fn goes_on(ledger: &RedisLedger) {
    load(ledger, 2, 3).await;
    hold(ledger, 2, 500..503).await;
    assert_eq!(buy(ledger, 2, 504).await, Ok(EntryAnswer::Refused(Refusal::SoldOut)));
    assert_eq!(buy(ledger, 1, 504).await, Err(Error::StaleEpoch { loaded: epoch(2) }));
}

#[tokio::test]
async fn a_redis_that_came_back_with_all_its_data_is_fenced() {
    let (mut redis, ledger) = shop(10).await;
    let before = ledger.identity().await.unwrap();
    hold(&ledger, 1, 0..4).await;
    // Killed, it could lose what the disk was too slow for.
    redis.stop().await;
    redis.start_again().await;
    healed(&ledger).await;
    assert_ne!(ledger.identity().await.unwrap(), before);
    assert_eq!(redis.count_fields("seckill:{1}:1:orders").await, 5, "nothing was lost, in truth");
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

#[tokio::test]
async fn a_redis_that_lost_the_tail_of_its_file_is_fenced() {
    let (mut redis, ledger) = shop(10).await;
    for number in 0..4 {
        hold(&ledger, 1, number..number + 1).await;
    }
    redis.stop().await;
    redis.cut_aof_tail(100);
    redis.start_again().await;
    healed(&ledger).await;
    let left = redis.count_fields("seckill:{1}:1:orders").await;
    assert!((1..5).contains(&left), "a hold was lost, and not all: {left} fields are left");
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

#[tokio::test]
async fn a_redis_with_an_older_dump_is_fenced() {
    let (mut redis, ledger) = shop(10).await;
    hold(&ledger, 1, 0..2).await;
    let dump = redis.dump().await;
    hold(&ledger, 1, 2..10).await;
    redis.kill();
    redis.restore_dump(&dump);
    redis.start_again().await;
    healed(&ledger).await;
    assert_eq!(redis.count_fields("seckill:{1}:1:orders").await, 3);
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

#[tokio::test]
async fn a_redis_that_was_flushed_under_load_is_fenced_and_never_sold_out() {
    let (redis, ledger) = shop(1_000_000).await;
    let url = redis.url();
    let buyers = (0..8).map(|buyer| {
        let ledger = &ledger;
        async move {
            for number in 0.. {
                match buy(ledger, 1, buyer * 1_000_000 + number).await {
                    Ok(EntryAnswer::Held(_)) => {}
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => return (number, error),
                }
            }
            unreachable!("a million purchases")
        }
    });
    let flush = async {
        until("some holds are there", async || {
            (redis.count_fields("seckill:{1}:1:orders").await > 100).then_some(())
        })
        .await;
        ask(&url, &["FLUSHALL"]).await;
    };
    let (ends, ()) = futures::join!(futures::future::join_all(buyers), flush);
    assert!(ends.iter().all(|(_, error)| *error == Error::Fenced), "{ends:?}");
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

#[tokio::test]
async fn one_key_or_its_sentinel_missing_is_as_bad_as_all() {
    let (redis, ledger) = shop(10).await;
    let url = redis.url();
    let damage: [&[&str]; 7] = [
        &["DEL", "seckill:{1}:head"],
        &["DEL", "seckill:{1}:E:orders"],
        &["DEL", "seckill:{1}:E:users"],
        &["DEL", "seckill:{1}:E:waiting"],
        &["HDEL", "seckill:{1}:E:orders", "epoch"],
        &["HDEL", "seckill:{1}:E:users", "epoch"],
        &["ZREMRANGEBYRANK", "seckill:{1}:E:waiting", "0", "0"],
    ];
    for (number, command) in (2..).zip(damage) {
        load(&ledger, number, 10).await;
        hold(&ledger, number, 0..2).await;
        let key = command[1].replace('E', &number.to_string());
        ask(&url, &[&[command[0], &*key], &command[2..]].concat()).await;
        assert_fenced(&ledger, number).await;
    }
}

/// A replica that has not heard of the last holds takes over.
#[tokio::test]
async fn a_replica_that_takes_over_is_fenced() {
    let (redis, replica) = (testbed::Redis::start().await, testbed::Redis::start().await);
    replica.replica_of(&redis).await;
    let proxy = testbed::Proxy::to(&format!("127.0.0.1:{}", redis.port())).await;
    let ledger = ledger(LIBRARY, &format!("redis://{}", proxy.addr()), &settings()).await;
    load(&ledger, 1, 10).await;
    hold(&ledger, 1, 0..2).await;
    until("the replica has both", async || {
        (replica.count_fields("seckill:{1}:1:orders").await == 3).then_some(())
    })
    .await;

    replica.promote().await;
    hold(&ledger, 1, 2..4).await;
    proxy.point_to(&format!("127.0.0.1:{}", replica.port()));
    proxy.cut();
    proxy.heal();
    healed(&ledger).await;
    assert_eq!(replica.count_fields("seckill:{1}:1:orders").await, 3, "two holds were lost");
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

/// The process is the same again, and lacks what it wrote last: `run_id` alone would not see it.
#[tokio::test]
async fn a_failover_there_and_back_is_fenced() {
    let (redis, other) = (testbed::Redis::start().await, testbed::Redis::start().await);
    other.replica_of(&redis).await;
    let ledger = ledger(LIBRARY, &redis.url(), &settings()).await;
    load(&ledger, 1, 10).await;
    hold(&ledger, 1, 0..2).await;
    let before = ledger.identity().await.unwrap();
    until("the replica has both", async || {
        (other.count_fields("seckill:{1}:1:orders").await == 3).then_some(())
    })
    .await;

    other.promote().await;
    hold(&ledger, 1, 2..4).await;
    redis.replica_of(&other).await;
    // A replica is asked, and nothing is done.
    assert_eq!(buy(&ledger, 1, 4).await, Err(Error::Unreachable));
    assert_eq!(redis.count_fields("seckill:{1}:1:orders").await, 3, "two holds were lost");
    redis.promote().await;
    healed(&ledger).await;
    let now = ledger.identity().await.unwrap();
    let run_id = |identity: &crate::ledger::Identity| identity.as_str()[..40].to_owned();
    assert_eq!(run_id(&now), run_id(&before), "it is the same process");
    assert_ne!(now, before);
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

/// Neither process nor data have changed, but the history's name has: replicas are attached before
/// a sale is loaded. What is known of a process is looked at again every second.
#[tokio::test]
async fn a_first_replica_fences_within_a_second() {
    let (redis, ledger) = shop(10_000).await;
    let other = testbed::Redis::start().await;
    hold(&ledger, 1, 0..2).await;
    other.replica_of(&redis).await;
    let mut number = 2;
    until("it is fenced", async || {
        number += 1;
        match buy(&ledger, 1, number).await {
            Err(Error::Fenced) => Some(()),
            answer => {
                assert!(matches!(answer, Ok(EntryAnswer::Held(_))), "{answer:?}");
                None
            }
        }
    })
    .await;
    assert_fenced(&ledger, 1).await;
    goes_on(&ledger).await;
}

#[tokio::test]
async fn a_library_that_was_flushed_is_loaded_again_by_the_next_call() {
    let (redis, ledger) = shop(10).await;
    hold(&ledger, 1, 0..2).await;
    ask(&redis.url(), &["FUNCTION", "FLUSH"]).await;
    hold(&ledger, 1, 2..4).await;
    ask(&redis.url(), &["FUNCTION", "FLUSH"]).await;
    let peeked = ledger.peek(&[shard()]).await;
    assert_eq!(peeked, Ok(vec![Peek::Open { epoch: epoch(1), version: 5, left: 6 }]));
}
