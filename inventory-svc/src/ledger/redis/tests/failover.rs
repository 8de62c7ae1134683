//! Sentinels name the master: after a failover the ledger finds the new one by itself, which is
//! fenced until it is loaded.

use super::{
    bench::{PATIENCE, ask, ledger, settings},
    shop::{assert_fenced, buy, healed, hold, load, until},
};
use crate::ledger::{Error, Ledger as _, redis::library::LIBRARY};

/// What the project's own configuration says about replicas.
const REPLICATED: &str = include_str!("../../../../../deploy/redis/replicated.conf");

/// A sentinel that decides alone, and within a second.
async fn sentinel(master: &testbed::Redis) -> (testbed::Process, testbed::Port, tempfile::TempDir) {
    let (dir, port) = (tempfile::tempdir().unwrap(), testbed::Port::claim());
    let conf = dir.path().join("sentinel.conf");
    let text = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor shop 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 3000\n",
        port.number(),
        dir.path().display(),
        master.port(),
    );
    std::fs::write(&conf, text).unwrap();
    let program = testbed::running::redis_server();
    let log = dir.path().join("sentinel.log");
    let arguments = vec![conf.into_os_string(), "--sentinel".into()];
    let mut process = testbed::Process::new(program, arguments, log);
    let url = format!("redis://127.0.0.1:{}", port.number());
    process
        .start(PATIENCE, async || {
            let client = redis::Client::open(&*url).unwrap();
            client.get_multiplexed_async_connection().await.is_ok()
        })
        .await;
    until("the sentinel sees the replica", async || {
        let replicas = ask(&url, &["SENTINEL", "REPLICAS", "shop"]).await;
        matches!(replicas, redis::Value::Array(replicas) if replicas.len() == 1).then_some(())
    })
    .await;
    (process, port, dir)
}

#[tokio::test]
async fn a_failover_by_sentinels_is_followed() {
    let (mut redis, replica) = (testbed::Redis::start().await, testbed::Redis::start().await);
    replica.replica_of(&redis).await;
    let (_sentinel, port, _dir) = sentinel(&redis).await;
    // The first sentinel of the list isn't there.
    let url = format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/shop", port.number());
    let ledger = ledger(LIBRARY, &url, &settings()).await;
    load(&ledger, 1, 10).await;
    hold(&ledger, 1, 0..2).await;
    let before = ledger.identity().await.unwrap();

    redis.kill();
    healed(&ledger).await;
    assert_ne!(ledger.identity().await.unwrap(), before);
    assert_fenced(&ledger, 1).await;
    load(&ledger, 2, 10).await;
    hold(&ledger, 2, 2..4).await;
    assert_eq!(replica.count_fields("seckill:{1}:2:orders").await, 3);
}

#[tokio::test]
async fn a_master_that_is_cut_off_from_its_replicas_takes_no_holds() {
    let settings_of_replicas = REPLICATED.lines().filter(|line| line.starts_with("min-replicas"));
    let arguments: Vec<_> = settings_of_replicas
        .flat_map(|line| line.split_once(' '))
        .flat_map(|(name, value)| [format!("--{name}"), value.to_owned()])
        .collect();
    assert_eq!(arguments.len(), 4, "two settings: {arguments:?}");
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let redis = testbed::Redis::start_with(&arguments).await;
    let mut replica = testbed::Redis::start().await;
    replica.replica_of(&redis).await;
    let ledger = ledger(LIBRARY, &redis.url(), &settings()).await;
    load(&ledger, 1, 10).await;
    hold(&ledger, 1, 0..2).await;

    replica.kill();
    // Nothing was done, and it says so: not "unknown".
    until("the master stops by itself", async || {
        (buy(&ledger, 1, 7).await == Err(Error::Unreachable)).then_some(())
    })
    .await;
    assert_eq!(ledger.ping().await, Err(Error::Unreachable), "it keeps nothing");
    assert!(ledger.now_ms().await.is_ok(), "it answers all the same");
    replica.start_again().await;
    replica.replica_of(&redis).await;
    until("it goes on", async || buy(&ledger, 1, 8).await.ok()).await;
}
