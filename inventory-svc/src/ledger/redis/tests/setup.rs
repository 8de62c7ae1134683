//! What is found wrong with a Redis before a role uses it.

use super::bench::{ask, settings};
use crate::ledger::redis::{RedisLedger, SetupError, library::LIBRARY};

#[tokio::test]
async fn a_redis_is_ready_once_the_library_was_loaded() {
    let redis = testbed::Redis::start().await;
    let (url, settings) = (redis.url(), settings());
    let missing = RedisLedger::check(&url, &settings).await;
    assert!(matches!(missing, Err(SetupError::NoLibrary)), "{missing:?}");
    for _ in 0..2 {
        RedisLedger::load_library(&url, &settings).await.unwrap();
        RedisLedger::check(&url, &settings).await.unwrap();
    }
}

#[tokio::test]
async fn a_version_that_somebody_else_has_used_is_refused() {
    let redis = testbed::Redis::start().await;
    let (url, settings) = (redis.url(), settings());
    ask(&url, &["FUNCTION", "LOAD", &LIBRARY.text.replace("not open", "closed yet")]).await;
    let loaded = RedisLedger::load_library(&url, &settings).await;
    assert!(matches!(loaded, Err(SetupError::OtherLibrary)), "{loaded:?}");
}

#[tokio::test]
async fn two_versions_live_side_by_side() {
    let redis = testbed::Redis::start().await;
    let next = LIBRARY.text.replace(LIBRARY.name, "seckill_of_tomorrow");
    ask(&redis.url(), &["FUNCTION", "LOAD", &next]).await;
    RedisLedger::load_library(&redis.url(), &settings()).await.unwrap();
    RedisLedger::check(&redis.url(), &settings()).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused() {
    let redis = testbed::Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let refused = RedisLedger::load_library(&redis.url(), &settings()).await.unwrap_err();
    assert!(refused.to_string().contains("allkeys-lru"), "{refused}");
}

#[tokio::test]
async fn a_replica_is_refused() {
    let (redis, replica) = (testbed::Redis::start().await, testbed::Redis::start().await);
    replica.replica_of(&redis).await;
    let refused = RedisLedger::check(&replica.url(), &settings()).await.unwrap_err();
    assert!(matches!(refused, SetupError::Replica(_)), "{refused}");
}

#[tokio::test]
async fn one_that_is_not_there_is_named_without_its_password() {
    let settings = settings();
    let refused = RedisLedger::check("redis://:secret@127.0.0.1:1", &settings).await.unwrap_err();
    assert!(!refused.to_string().contains("secret"), "{refused}");
}
