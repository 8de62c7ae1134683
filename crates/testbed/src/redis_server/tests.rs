//! Each damage does what it says.

use super::*;

async fn set(redis: &Redis, key: &str, value: &str) {
    assert_eq!(redis.ask(&["SET", key, value]).await, "OK");
}

async fn has(redis: &Redis, key: &str) -> bool {
    let mut connection = connect(&redis.url()).await.unwrap();
    redis::cmd("EXISTS").arg(key).query_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_killed_one_comes_back_with_its_data() {
    // On a slow disk, a sync every second would hold the write back.
    let mut redis = Redis::start_with(&["--appendfsync", "always"]).await;
    let url = redis.url();
    set(&redis, "kept", "1").await;
    redis.kill();
    assert!(connect(&url).await.is_err());
    redis.start_again().await;
    assert!(has(&redis, "kept").await);
    assert_eq!(redis.url(), url);
}

#[tokio::test]
async fn a_cut_tail_loses_the_last_writes_only() {
    let mut redis = Redis::start().await;
    set(&redis, "first", "1").await;
    set(&redis, "last", "1").await;
    redis.stop().await;
    redis.cut_aof_tail(1);
    redis.start_again().await;
    assert!(has(&redis, "first").await);
    assert!(!has(&redis, "last").await);
}

#[tokio::test]
async fn a_cleared_one_comes_back_empty() {
    let mut redis = Redis::start().await;
    set(&redis, "gone", "1").await;
    redis.stop().await;
    redis.clear_data();
    redis.start_again().await;
    assert!(!has(&redis, "gone").await);
}

#[tokio::test]
async fn a_restored_dump_forgets_what_came_after_it() {
    let mut redis = Redis::start().await;
    set(&redis, "before", "1").await;
    let dump = redis.dump().await;
    set(&redis, "after", "1").await;
    redis.kill();
    redis.restore_dump(&dump);
    redis.start_again().await;
    assert!(has(&redis, "before").await);
    assert!(!has(&redis, "after").await);

    // It goes on as any other: what is written from here on is there after the next start.
    set(&redis, "again", "1").await;
    redis.stop().await;
    redis.start_again().await;
    assert!(has(&redis, "before").await && has(&redis, "again").await);
}

#[tokio::test]
async fn a_frozen_one_keeps_connections_and_answers_later() {
    let redis = Redis::start().await;
    let mut connection = connect(&redis.url()).await.unwrap();
    redis.pause();
    redis.pause();
    let ping = redis::cmd("PING");
    let asked = ping.query_async::<String>(&mut connection);
    assert!(tokio::time::timeout(Duration::from_millis(200), asked).await.is_err());
    redis.resume();
    assert_eq!(ping.query_async::<String>(&mut connection).await.unwrap(), "PONG");
}

#[tokio::test]
async fn a_promoted_replica_has_what_its_master_had_and_goes_on_alone() {
    let mut master = Redis::start().await;
    let replica = Redis::start().await;
    set(&master, "before", "1").await;
    replica.replica_of(&master).await;
    assert!(has(&replica, "before").await);
    replica.promote().await;
    set(&master, "after", "1").await;
    set(&replica, "own", "1").await;
    master.kill();
    assert!(!has(&replica, "after").await);
}

#[tokio::test]
async fn arguments_override_ours() {
    let mut redis = Redis::start_with(&["--appendonly", "no"]).await;
    set(&redis, "gone", "1").await;
    redis.kill();
    redis.start_again().await;
    assert!(!has(&redis, "gone").await);
}

#[tokio::test]
#[should_panic(expected = "kill or stop it first")]
async fn a_running_one_is_not_damaged() {
    Redis::start().await.clear_data();
}
