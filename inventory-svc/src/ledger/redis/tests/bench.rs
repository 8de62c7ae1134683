//! A Redis of a test's own with a ledger on it, whose clock stands still until it is moved.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use redis::{Value, aio::MultiplexedConnection};
use tokio::{runtime::Handle, sync::Mutex, task::block_in_place};

use super::shop::healed;
use crate::{
    Config,
    ledger::{
        Ledger,
        contract::Bench,
        redis::{
            RedisLedger, RedisSettings,
            library::{Library, OF_TESTS},
        },
    },
};

/// For anything that takes a moment; far longer than it needs on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Where the clock of a test begins: some day in 2027.
const BEGINNING_MS: u64 = 1_800_000_000_000;

pub(super) struct OwnRedis {
    pub(super) redis: Mutex<testbed::Redis>,
    pub(super) ledger: RedisLedger,
    now_ms: AtomicU64,
}

/// The defaults, with deadlines that don't end on a busy machine.
pub(super) fn settings() -> RedisSettings {
    let mut settings = Config::load(None).expect("the defaults are understood").ledger;
    settings.call_ms_max = 10_000;
    settings.connect_ms_max = 5_000;
    settings.reconnect_ms = 5;
    settings.reconnect_ms_max = 50;
    settings
}

/// A ledger at `url`, connected. `library` is the one with the clock of tests, unless the test
/// needs the one that is used.
pub(super) async fn ledger(library: Library, url: &str, settings: &RedisSettings) -> RedisLedger {
    let ledger = RedisLedger::with_library(library, url, settings, &Handle::current());
    let ledger = ledger.expect("the address of an own Redis");
    assert!(ledger.connected(PATIENCE).await, "no connection to {url}");
    ledger
}

/// Asks a Redis behind the ledger's back.
pub(super) async fn ask(url: &str, command: &[&str]) -> Value {
    let client = redis::Client::open(url).expect("the address of an own Redis");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection: MultiplexedConnection = connection.expect("an own Redis answers");
    let mut packed = redis::cmd(command[0]);
    packed.arg(&command[1..]);
    packed.query_async(&mut connection).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

impl OwnRedis {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments for redis-server.
    pub(super) async fn start_with(arguments: &[&str]) -> Self {
        let redis = testbed::Redis::start_with(arguments).await;
        let ledger = ledger(OF_TESTS, &redis.url(), &settings()).await;
        let started = Self { redis: Mutex::new(redis), ledger, now_ms: BEGINNING_MS.into() };
        started.set_clock().await;
        started
    }

    pub(super) async fn set_clock(&self) {
        let now_ms = self.now_ms.load(Ordering::SeqCst).to_string();
        self.ask(&["SET", "test:now", &now_ms]).await;
    }

    pub(super) async fn ask(&self, command: &[&str]) -> Value {
        let url = self.redis.lock().await.url();
        ask(&url, command).await
    }
}

#[async_trait::async_trait]
impl Bench for OwnRedis {
    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    async fn pass(&self, by: Duration) {
        self.now_ms.fetch_add(millis(by), Ordering::SeqCst);
        self.set_clock().await;
    }

    async fn jump_back(&self, by: Duration) {
        self.now_ms.fetch_sub(millis(by), Ordering::SeqCst);
        self.set_clock().await;
    }

    /// Needs a runtime of several threads: the compiler doesn't see that this future is Send.
    async fn restart_empty(&self) {
        block_in_place(|| {
            Handle::current().block_on(async {
                let mut redis = self.redis.lock().await;
                redis.kill();
                redis.clear_data();
                redis.start_again().await;
                drop(redis);
                self.set_clock().await;
                healed(&self.ledger).await;
            });
        });
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a test's time")
}
