//! The ledger in process, which has a lock for each shard, against the same ledger behind one lock
//! for all: the same rules, several threads, one purchase a call. Also opens a shard in any ledger.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use chassis::Clock;
use futures::FutureExt as _;
use ids::{Epoch, OrderId, ShardNo, UserId};
use inventory_svc::ledger::{
    Activation, EntryAnswer, Ledger, MemoryLedger, ReserveEntry, Reserved, Terms,
};

use crate::{
    failure::{Failure, failed},
    figures::Figures,
};

const SHARDS: u32 = 16;
const THREADS: usize = 4;
const OPEN_FOR_MS: u64 = 3_600_000;

/// One round of both ways; each takes `calls` on each thread.
pub(crate) async fn round(figures: &mut Figures, calls: usize) -> Result<(), Failure> {
    for (name, is_one_lock) in [("ledger_sharded", false), ("ledger_one_lock", true)] {
        let ledger = MemoryLedger::new(Clock::system());
        let units = u32::try_from(calls * THREADS).map_err(failed("too many calls"))?;
        for shard in shards() {
            open(&ledger, shard, units).await?;
        }
        let took = contend(&ledger, calls, is_one_lock)?;
        figures.note(&format!("{name}_per_s"), (calls * THREADS) as f64 / took.as_secs_f64());
    }
    Ok(())
}

/// Opens a shard with an epoch of its own.
pub(crate) async fn open(
    ledger: &dyn Ledger,
    shard: ShardNo,
    stock: u32,
) -> Result<Epoch, Failure> {
    let to = Epoch::new(rand::random_range(1..i64::MAX)).map_err(failed("an epoch"))?;
    let opens_ms = Clock::system().wall_ms() - 1;
    let terms = Terms { opens_ms, closes_ms: opens_ms + OPEN_FOR_MS, limit_per_user: 1 };
    ledger.close(shard, to).await.map_err(failed("closing a shard"))?;
    let identity = ledger.begin_staging(shard, to).await.map_err(failed("staging a shard"))?;
    let activation =
        Activation { to, identity, terms, stock, orders: 0, generation: 0, movement_watermark: 0 };
    ledger.activate(shard, activation).await.map_err(failed("opening a shard"))?;
    Ok(to)
}

/// One unit for a buyer who comes once.
pub(crate) fn entry(shard: ShardNo) -> ReserveEntry {
    ReserveEntry {
        order: OrderId::mint(shard, rand::random()),
        user: UserId::random(),
        quantity: 1,
        unit_price: 990,
        ticket_expires_ms: u64::MAX,
        placed_us: inventory_svc::domain::PLACED_NOBODY_SAYS,
        traceparent: String::new(),
    }
}

/// How many units an answer took.
pub(crate) fn taken(reserved: &Reserved) -> u64 {
    let held = |answer: &&EntryAnswer| matches!(answer, EntryAnswer::Held(_));
    reserved.answers.iter().filter(held).count() as u64
}

fn shards() -> impl Iterator<Item = ShardNo> {
    (1..=SHARDS).map(|number| ShardNo::new(number).expect("it isn't 0"))
}

/// From the first call to the last, over all threads.
fn contend(ledger: &MemoryLedger, calls: usize, is_one_lock: bool) -> Result<Duration, Failure> {
    let epochs = shards().map(|shard| {
        let peek = ledger.peek(&[shard]).now_or_never().and_then(Result::ok);
        peek.and_then(|peek| match peek.first() {
            Some(inventory_svc::ledger::Peek::Open { epoch, .. }) => Some((shard, *epoch)),
            _ => None,
        })
    });
    let epochs: Vec<(ShardNo, Epoch)> = epochs
        .collect::<Option<_>>()
        .ok_or_else(|| Failure("a shard that was opened isn't open".into()))?;
    let purchases: Vec<Vec<(ShardNo, Epoch, ReserveEntry)>> = (0..THREADS)
        .map(|_| {
            let one = |_| {
                let (shard, epoch) = epochs[rand::random_range(0..epochs.len())];
                (shard, epoch, entry(shard))
            };
            (0..calls).map(one).collect()
        })
        .collect();
    let (one_lock, clock) = (Mutex::new(()), Clock::system());
    let from = clock.now();
    let held: u64 = thread::scope(|scope| {
        let threads: Vec<_> = purchases
            .into_iter()
            .map(|own| {
                scope.spawn(|| {
                    let mut held = 0;
                    for (shard, epoch, entry) in own {
                        let _alone = is_one_lock
                            .then(|| one_lock.lock().unwrap_or_else(PoisonError::into_inner));
                        let reserved = ledger.reserve(shard, epoch, false, vec![entry]);
                        let reserved = reserved.now_or_never().and_then(Result::ok);
                        held += reserved.as_ref().map_or(0, taken);
                    }
                    held
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    let took = clock.now().saturating_sub(from);
    if held == (calls * THREADS) as u64 {
        Ok(took)
    } else {
        Err(Failure(format!("the ledger took {held} units of {}", calls * THREADS)))
    }
}
