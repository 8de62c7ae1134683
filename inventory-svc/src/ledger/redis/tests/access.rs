//! The user of `deploy/redis/redis.conf` can do all that the ledger does, and nothing more: each of
//! its rights is needed, and what would destroy or evaluate is refused.

use redis::Value;

use super::{
    bench::{ask, ledger, settings},
    shop::{buy, epoch, hold, load_with, order, placed, shard},
};
use crate::ledger::{
    EntryAnswer, Found, Ledger as _, Peek, Refusal, Settled, Settlement,
    redis::{RedisLedger, RedisSettings, library::LIBRARY},
};

const CONF: &str = include_str!("../../../../../deploy/redis/redis.conf");
const PASSWORD: &str = "a password of this test";

/// The user's rules, as they stand in the configuration.
fn rules() -> Vec<&'static str> {
    let user = CONF.lines().find_map(|line| line.strip_prefix("user seckill "));
    user.expect("the configuration has the user").split(' ').collect()
}

async fn set_user(redis: &testbed::Redis, rules: &[&str]) {
    let password = format!(">{PASSWORD}");
    let command = [&["ACL", "SETUSER", "seckill", "reset"], rules, &[&*password]].concat();
    ask(&redis.url(), &command).await;
}

fn url(redis: &testbed::Redis) -> String {
    format!("redis://127.0.0.1:{}", redis.port())
}

fn signing_in(dir: &std::path::Path) -> RedisSettings {
    let file = dir.join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    RedisSettings { username: "seckill".to_owned(), password_file: file, ..settings() }
}

/// Everything that a ledger does. None at the first thing that fails.
async fn story(url: &str, settings: &RedisSettings) -> Option<()> {
    RedisLedger::load_library(url, settings).await.ok()?;
    let runtime = tokio::runtime::Handle::current();
    let ledger = RedisLedger::connect(url, settings, &runtime).ok()?;
    if !ledger.connected(std::time::Duration::from_secs(5)).await {
        return None;
    }
    load_with(&ledger, 1, 3, vec![placed(0)]).await.ok()?;
    let EntryAnswer::Held(_) = buy(&ledger, 1, 1).await.ok()? else { return None };
    let EntryAnswer::Held(_) = buy(&ledger, 1, 2).await.ok()? else { return None };
    let decisions = [(order(1), Settled::Placed), (order(2), Settled::Rejected)];
    let settled = ledger.settle(shard(), epoch(1), Some(7), &decisions).await.ok()?;
    assert_eq!(settled, Settlement::Applied { rejected: 1 });
    let EntryAnswer::Held(_) = buy(&ledger, 1, 3).await.ok()? else { return None };
    let sold_out = buy(&ledger, 1, 4).await.ok()?;
    assert_eq!(sold_out, EntryAnswer::Refused(Refusal::SoldOut));
    let found = ledger.find(shard(), epoch(1), false, &[order(3), order(4)]).await.ok()?.found;
    assert_eq!(found, [Found::Open, Found::Nothing]);
    assert_eq!(ledger.due(shard(), 10).await.ok()?.holds.len(), 0);
    let page = ledger.holds(shard(), None, 10).await.ok()?.holds;
    ledger.postpone(shard(), epoch(1), &[page[0].place()]).await.ok()?;
    let page = ledger.holds(shard(), None, 10).await.ok()?.holds;
    assert_eq!(ledger.holds(shard(), page.last(), 10).await.ok()?.holds, []);
    assert_eq!(ledger.count(shard()).await.ok()?.open_holds, 1);
    let peeked = ledger.peek(&[shard()]).await.ok()?;
    assert_eq!(peeked, [Peek::Open { epoch: epoch(1), version: 4, left: 0 }]);
    ledger.identity().await.ok()?;
    // What is staged is forgotten, and so is the epoch before.
    ledger.close(shard(), epoch(2)).await.ok()?;
    ledger.begin_staging(shard(), epoch(2)).await.ok()?;
    load_with(&ledger, 3, 3, Vec::new()).await.ok()?;
    RedisLedger::check(url, settings).await.ok()
}

#[tokio::test]
async fn the_user_of_the_configuration_has_every_right_that_is_needed_and_no_other() {
    let redis = testbed::Redis::start().await;
    let (dir, rules) = (tempfile::tempdir().unwrap(), rules());
    let settings = RedisSettings { call_ms_max: 2_000, ..signing_in(dir.path()) };
    set_user(&redis, &rules).await;
    assert_eq!(story(&url(&redis), &settings).await, Some(()));

    let rights = rules.iter().filter(|rule| rule.starts_with('+'));
    let mut surplus = Vec::new();
    for right in rights {
        let fewer: Vec<_> = rules.iter().copied().filter(|rule| rule != right).collect();
        ask(&redis.url(), &["FLUSHALL"]).await;
        ask(&redis.url(), &["FUNCTION", "FLUSH"]).await;
        set_user(&redis, &fewer).await;
        if story(&url(&redis), &settings).await.is_some() {
            surplus.push(*right);
        }
    }
    assert!(surplus.is_empty(), "nobody needs {surplus:?}");
}

#[tokio::test]
async fn the_user_can_neither_flush_nor_evaluate_nor_reach_other_keys() {
    let redis = testbed::Redis::start().await;
    let dir = tempfile::tempdir().unwrap();
    set_user(&redis, &rules()).await;
    let ledger = ledger(LIBRARY, &url(&redis), &signing_in(dir.path())).await;
    load_with(&ledger, 1, 10, Vec::new()).await.unwrap();
    let forbidden: [&[&str]; 18] = [
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["DEL", "seckill:{1}:head"],
        &["SET", "seckill:{1}:head", "1"],
        &["RENAME", "seckill:{1}:head", "seckill:{2}:head"],
        &["RESTORE", "seckill:{2}:head", "0", "x"],
        &["EVAL", "return 1", "0"],
        &["SCRIPT", "LOAD", "return 1"],
        &["FUNCTION", "FLUSH"],
        &["FUNCTION", "DELETE", "seckill_v3"],
        &["FUNCTION", "RESTORE", "x"],
        &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
        &["ACL", "SETUSER", "seckill", "+@all"],
        &["DEBUG", "JMAP"],
        &["KEYS", "*"],
        &["REPLICAOF", "NO", "ONE"],
        &["SHUTDOWN"],
        &["HGET", "another:{1}:head", "epoch"],
    ];
    let info = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port())).unwrap();
    let mut as_user = info.get_multiplexed_async_connection().await.unwrap();
    let signed_in: Value =
        redis::cmd("AUTH").arg(&["seckill", PASSWORD]).query_async(&mut as_user).await.unwrap();
    assert_eq!(signed_in, Value::Okay);
    for command in forbidden {
        let mut packed = redis::cmd(command[0]);
        let answer = packed.arg(&command[1..]).query_async::<Value>(&mut as_user).await;
        let refused = answer.expect_err(command[0]);
        assert_eq!(refused.code(), Some("NOPERM"), "{command:?}: {refused}");
    }
    hold(&ledger, 1, 0..2).await;
}

#[tokio::test]
async fn a_wrong_password_is_no_connection_and_is_not_told() {
    let redis = testbed::Redis::start().await;
    let dir = tempfile::tempdir().unwrap();
    set_user(&redis, &rules()).await;
    let mut settings = signing_in(dir.path());
    std::fs::write(&settings.password_file, "some other password").unwrap();
    settings.call_ms_max = 500;
    let error = RedisLedger::check(&url(&redis), &settings).await.unwrap_err().to_string();
    assert!(!error.contains("other password"), "{error}");
    let runtime = tokio::runtime::Handle::current();
    let ledger = RedisLedger::connect(&url(&redis), &settings, &runtime).unwrap();
    assert!(!ledger.connected(std::time::Duration::from_millis(200)).await);
    assert_eq!(buy(&ledger, 1, 1).await, Err(crate::ledger::Error::Unreachable));
}
