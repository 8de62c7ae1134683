//! In Redis: a counter that is given back below zero; a script; a lock around reading and writing;
//! and ours, the ledger's function over a batch, which also knows limits, order ids and epochs and
//! keeps a record of each hold. Keys and shards are of each round's own.

use std::time::Duration;

use chassis::Clock;
use futures::future::try_join_all;
use ids::ShardNo;
use inventory_svc::ledger::{Ledger, redis::RedisLedger};
use redis::{Cmd, FromRedisValue, aio::MultiplexedConnection, cmd};
use uuid::Uuid;

use super::{AT_ONCE, Rush, rush};
use crate::{
    failure::{Failure, failed},
    figures::Figures,
    ledger,
    load::Fleet,
};

const TAKE: &str = include_str!("take.lua");

/// Batches in flight at once, as of a gateway's core: who waits for them is all of the callers.
const BATCHES: u64 = 2;
/// Longer than any holder takes; a holder that dies is waited for so long.
const LOCK_MS: u64 = 5_000;
/// Who doesn't get the lock tries again after a while of up to this.
const RETRY_MS_MAX: u64 = 2;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// One round of all ways, on the Redis at `url`.
pub(crate) async fn round(
    fleet: &Fleet,
    figures: &mut Figures,
    url: &str,
    attempts: u64,
) -> Result<(), Failure> {
    for way in [Way::Counter, Way::Script, Way::Lock] {
        // The lock is slower by far; a round should not take longer for it.
        let share = if matches!(way, Way::Lock) { 20 } else { 1 };
        let size = Rush::of(attempts / share);
        let raced = fleet.on(fleet.background(), race(url.to_owned(), way, size)).await?;
        let (taken, left, took) = raced?;
        size.note(figures, way.name(), taken, left, took);
    }
    let size = Rush::of(attempts);
    let handle = fleet.background().clone();
    let (url, runtime) = (url.to_owned(), handle.clone());
    let raced = fleet.on(&handle, async move { batched(&url, &runtime, size).await }).await?;
    let (taken, left, took) = raced?;
    size.note(figures, "redis_batched_function", taken, left, took);
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Counter,
    Script,
    Lock,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "redis_decr_and_give_back",
            Self::Script => "redis_script",
            Self::Lock => "redis_lock_and_write",
        }
    }
}

async fn race(url: String, way: Way, size: Rush) -> Result<(u64, i64, Duration), Failure> {
    let mut own = connect(&url).await?;
    let key = format!("bench:{}", Uuid::new_v4().simple());
    ask::<()>(&mut own, cmd("SET").arg(&key).arg(size.units)).await?;
    let sha: String = ask(&mut own, cmd("SCRIPT").arg("LOAD").arg(TAKE)).await?;
    let (names, callers) = ((key.as_str(), sha.as_str()), vec![own.clone(); AT_ONCE as usize]);
    let (taken, took) = rush(size, callers, async |mut connection| {
        let (key, sha) = names;
        let got = match way {
            Way::Counter => count_down(&mut connection, key).await,
            Way::Script => {
                let taken = cmd("EVALSHA").arg(sha).arg(1).arg(key).to_owned();
                ask::<u64>(&mut connection, &taken).await.map(|taken| taken == 1)
            }
            Way::Lock => lock_and_take(&mut connection, key).await,
        };
        Ok((connection, got?))
    })
    .await?;
    let left = ask(&mut own, cmd("GET").arg(&key)).await?;
    ask::<()>(&mut own, cmd("DEL").arg(&key)).await?;
    Ok((taken, left, took))
}

async fn count_down(connection: &mut MultiplexedConnection, key: &str) -> Result<bool, Failure> {
    let left: i64 = ask(connection, cmd("DECR").arg(key)).await?;
    if left < 0 {
        // Whoever dies before this line takes a unit that nobody has.
        ask::<i64>(connection, cmd("INCR").arg(key)).await?;
    }
    Ok(left >= 0)
}

async fn lock_and_take(connection: &mut MultiplexedConnection, key: &str) -> Result<bool, Failure> {
    let lock = format!("{key}:lock");
    loop {
        let mut set = cmd("SET");
        set.arg(&lock).arg("held").arg("NX").arg("PX").arg(LOCK_MS);
        if ask::<Option<String>>(connection, &set).await?.is_some() {
            break;
        }
        let wait = rand::random_range(0..=RETRY_MS_MAX * 1_000);
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
    let units: i64 = ask(connection, cmd("GET").arg(key)).await?;
    if units >= 1 {
        ask::<()>(connection, cmd("SET").arg(key).arg(units - 1)).await?;
    }
    ask::<()>(connection, cmd("DEL").arg(&lock)).await?;
    Ok(units >= 1)
}

/// Ours: two batches at a time, which carry all callers.
async fn batched(
    url: &str,
    runtime: &tokio::runtime::Handle,
    size: Rush,
) -> Result<(u64, i64, Duration), Failure> {
    let settings = inventory_svc::Config::load(None).map_err(failed("the defaults"))?.ledger;
    RedisLedger::load_library(url, &settings).await.map_err(failed("the ledger"))?;
    let keeper = RedisLedger::connect(url, &settings, runtime).map_err(failed("the ledger"))?;
    if !keeper.connected(CONNECT_WITHIN).await {
        return Err(Failure("the ledger's Redis does not answer".into()));
    }
    // Beyond the numbers that a shop on the same Redis would give.
    let number = rand::random_range(1_u32 << 30..1 << 31);
    let shard = ShardNo::new(number).map_err(failed("a shard's number"))?;
    let stock = u32::try_from(size.units).map_err(failed("too many units"))?;
    let epoch = ledger::open(&keeper, shard, stock).await?;
    let len = AT_ONCE / BATCHES;
    let lanes = (0..BATCHES).map(|_| {
        let batch = |_| (0..len).map(|_| ledger::entry(shard)).collect::<Vec<_>>();
        (0..size.attempts / AT_ONCE).map(batch).collect::<Vec<_>>()
    });
    let lanes: Vec<_> = lanes.collect();
    let clock = Clock::system();
    let from = clock.now();
    let lanes = lanes.into_iter().map(|batches| {
        let keeper = &keeper;
        async move {
            let mut taken = 0;
            for batch in batches {
                let reserved = keeper.reserve(shard, epoch, false, batch).await;
                taken += ledger::taken(&reserved.map_err(failed("a batch"))?);
            }
            Ok::<u64, Failure>(taken)
        }
    });
    let taken = try_join_all(lanes).await?.into_iter().sum();
    let took = clock.now().saturating_sub(from);
    let count = keeper.count(shard).await.map_err(failed("the count"))?;
    forget(url, shard).await?;
    Ok((taken, i64::try_from(count.stock).unwrap_or(i64::MAX), took))
}

/// Removes what a shard left in Redis.
async fn forget(url: &str, shard: ShardNo) -> Result<(), Failure> {
    let mut own = connect(url).await?;
    let keys: Vec<String> =
        ask(&mut own, cmd("KEYS").arg(format!("seckill:{{{shard}}}:*"))).await?;
    if keys.is_empty() {
        return Ok(());
    }
    ask(&mut own, cmd("UNLINK").arg(keys)).await
}

async fn connect(url: &str) -> Result<MultiplexedConnection, Failure> {
    let client = redis::Client::open(url).map_err(failed("Redis"))?;
    client.get_multiplexed_async_connection().await.map_err(failed("Redis"))
}

async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> Result<T, Failure> {
    command.query_async(connection).await.map_err(failed("Redis"))
}
