//! What lies in Redis: where, for how long, and how much of it at once.

use ids::ShardNo;
use redis::{FromRedisValue, from_redis_value};

use super::{
    bench::{ask, ledger, settings},
    shop::{buy, epoch, hold, load_with, order, placed, shard, until},
};
use crate::ledger::{
    ActivateError, Activation, EntryAnswer, Found, Ledger as _, OpenHold, Peek, Settled,
    Settlement, StageError, Terms,
    redis::{RedisLedger, library::LIBRARY},
};

async fn told<T: FromRedisValue>(url: &str, command: &[&str]) -> T {
    from_redis_value(ask(url, command).await).unwrap()
}

async fn keys(url: &str) -> Vec<String> {
    let mut keys: Vec<String> = told(url, &["KEYS", "*"]).await;
    keys.sort_unstable();
    keys
}

async fn ttls(url: &str) -> Vec<(String, i64)> {
    let mut ttls = Vec::new();
    for key in keys(url).await {
        let ttl = told(url, &["TTL", &key]).await;
        ttls.push((key, ttl));
    }
    ttls
}

#[tokio::test]
async fn only_what_is_staged_has_an_end() {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    let ledger = ledger(LIBRARY, &url, &settings()).await;
    load_with(&ledger, 1, 10, vec![placed(0)]).await.unwrap();
    hold(&ledger, 1, 1..3).await;
    assert!(ttls(&url).await.iter().all(|(_, ttl)| *ttl == -1), "{:?}", ttls(&url).await);

    ledger.close(shard(), epoch(2)).await.unwrap();
    let identity = ledger.begin_staging(shard(), epoch(2)).await.unwrap();
    ledger.stage(shard(), epoch(2), &identity, vec![placed(0)]).await.unwrap();
    for (key, ttl) in ttls(&url).await {
        assert_eq!(key.contains("{1}:2:"), ttl > 0, "{key} lives for {ttl} s");
    }
    // One that is overtaken leaves nothing behind, and one that succeeds nothing of the epoch
    // before.
    load_with(&ledger, 3, 10, vec![placed(0)]).await.unwrap();
    assert!(ttls(&url).await.iter().all(|(_, ttl)| *ttl == -1), "{:?}", ttls(&url).await);
    let names = ["seckill:{1}:3:orders", "seckill:{1}:3:users", "seckill:{1}:3:waiting"];
    assert_eq!(keys(&url).await, [&names[..], &["seckill:{1}:head"]].concat());
}

#[tokio::test]
async fn of_a_shard_that_is_forgotten_no_key_is_left() {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    let ledger = ledger(LIBRARY, &url, &settings()).await;
    load_with(&ledger, 1, 10, vec![placed(0)]).await.unwrap();
    hold(&ledger, 1, 1..3).await;
    ledger.close(shard(), epoch(2)).await.unwrap();
    let identity = ledger.begin_staging(shard(), epoch(2)).await.unwrap();
    ledger.stage(shard(), epoch(2), &identity, vec![placed(0)]).await.unwrap();
    assert_eq!(keys(&url).await.len(), 7);
    ledger.forget(shard(), epoch(2)).await.unwrap();
    assert_eq!(keys(&url).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_attempt_that_outlived_what_it_staged_can_not_activate() {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    let ledger = ledger(LIBRARY, &url, &settings()).await;
    for key in ["orders", "users", "waiting"] {
        ledger.close(shard(), epoch(1)).await.unwrap();
        let identity = ledger.begin_staging(shard(), epoch(1)).await.unwrap();
        ask(&url, &["DEL", &format!("seckill:{{1}}:1:{key}")]).await;
        let staged = ledger.stage(shard(), epoch(1), &identity, vec![placed(0)]).await;
        assert_eq!(staged, Err(StageError::MarkLost), "{key}");
        let activation = Activation {
            to: epoch(1),
            identity,
            terms: Terms { opens_ms: 0, closes_ms: u64::MAX, limit_per_user: 1 },
            stock: 5,
            orders: 0,
            generation: 1,
            movement_watermark: 0,
        };
        let activated = ledger.activate(shard(), activation).await;
        assert_eq!(activated, Err(ActivateError::Incomplete { staged: 0 }), "{key}");
    }
    let peeked = ledger.peek(&[shard()]).await.unwrap();
    assert_eq!(peeked, [Peek::Closed { mark: epoch(1) }]);
}

/// More than fits into one call of Redis, in each direction.
#[tokio::test]
async fn what_is_large_goes_in_pieces() {
    const ORDERS: u32 = 9_001;
    let redis = testbed::Redis::start().await;
    let ledger = ledger(LIBRARY, &redis.url(), &settings()).await;
    let staged: Vec<_> = (0..ORDERS).map(placed).collect();
    load_with(&ledger, 1, 20_000, staged).await.unwrap();
    hold(&ledger, 1, ORDERS..2 * ORDERS).await;

    let orders: Vec<_> = (0..2 * ORDERS + 1).map(order).collect();
    let found = ledger.find(shard(), epoch(1), false, &orders).await.unwrap().found;
    let count = |wanted| found.iter().filter(|found| **found == wanted).count();
    assert_eq!(count(Found::Settled(Settled::Placed)), ORDERS as usize);
    assert_eq!(count(Found::Open), ORDERS as usize);
    assert_eq!(found.last(), Some(&Found::Nothing));

    let page = ledger.holds(shard(), None, usize::MAX).await.unwrap().holds;
    assert_eq!(page.len(), ORDERS as usize);
    let places: Vec<_> = page.iter().map(OpenHold::place).collect();
    ledger.postpone(shard(), epoch(1), &places).await.unwrap();
    let page = ledger.holds(shard(), None, usize::MAX).await.unwrap().holds;
    assert!(page.iter().all(|open| open.attempts == 1));

    let decisions: Vec<_> = orders.iter().map(|order| (*order, Settled::Rejected)).collect();
    let settled = ledger.settle(shard(), epoch(1), Some(5), &decisions).await;
    assert_eq!(settled, Ok(Settlement::Applied { rejected: 2 * ORDERS }));
    let count = ledger.count(shard()).await.unwrap();
    assert_eq!(
        (count.tombstones, count.user_units, count.open_units),
        (2 * u64::from(ORDERS), 0, 0)
    );
}

/// Looks come ten times a second, and purchases don't wait behind them.
#[tokio::test]
async fn a_look_at_many_shards_is_a_few_calls_on_a_connection_of_its_own() {
    let redis = testbed::Redis::start().await;
    let url = redis.url();
    let ledger = ledger(LIBRARY, &url, &settings()).await;
    load_with(&ledger, 1, 10, Vec::new()).await.unwrap();
    let shards: Vec<_> = (1..=1_000).map(|number| ShardNo::new(number).unwrap()).collect();

    // Each connection is asked for its master now and then, which then is the last it was asked.
    until("purchases have a connection without looks", async || {
        ask(&url, &["CONFIG", "RESETSTAT"]).await;
        hold_one(&ledger).await;
        let peeked = ledger.peek(&shards).await.unwrap();
        assert_eq!(peeked.len(), 1_000);
        assert!(matches!(peeked[0], Peek::Open { .. }) && peeked[999] == Peek::Fenced);
        let calls: String = told(&url, &["INFO", "commandstats"]).await;
        let looks = calls.lines().find(|line| line.starts_with("cmdstat_fcall_ro:"));
        assert!(looks.unwrap().contains("calls=16,"), "{looks:?}");
        let clients: String = told(&url, &["CLIENT", "LIST"]).await;
        let last = |command: &str| clients.matches(&format!(" cmd={command} ")).count();
        (last("fcall") == 1 && last("fcall_ro") == 1).then_some(())
    })
    .await;
}

async fn hold_one(ledger: &RedisLedger) {
    let answer = buy(ledger, 1, 1).await;
    assert!(matches!(answer, Ok(EntryAnswer::Held(_) | EntryAnswer::Open(_))), "{answer:?}");
}
