//! What many threads at once may not break. All else is in the contract.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::executor::block_on;
use ids::UserId;

use super::*;
use crate::{
    domain::PLACED_NOBODY_SAYS,
    ledger::{EntryAnswer, Terms},
};

const THREADS: u32 = 8;

fn shard() -> ShardNo {
    ShardNo::new(1).unwrap()
}

fn epoch(number: u32) -> Epoch {
    Epoch::new(number.into()).unwrap()
}

fn entry(number: u32) -> ReserveEntry {
    let mut hash = [0; 12];
    hash[8..].copy_from_slice(&number.to_be_bytes());
    let mut user = [0; 16];
    user[..4].copy_from_slice(&number.to_be_bytes());
    ReserveEntry {
        order: OrderId::mint(shard(), hash),
        user: UserId::from_bytes(user),
        quantity: 1,
        unit_price: 4_999,
        ticket_expires_ms: u64::MAX,
        placed_us: PLACED_NOBODY_SAYS,
        traceparent: String::new(),
    }
}

/// Loads the shard, unless somebody is faster.
async fn load(ledger: &MemoryLedger, to: u32, stock: u32) -> Result<(), ActivateError> {
    ledger.close(shard(), epoch(to)).await?;
    let identity = ledger.begin_staging(shard(), epoch(to)).await;
    let activation = Activation {
        to: epoch(to),
        identity: identity.map_err(|_| ActivateError::MarkLost)?,
        terms: Terms { opens_ms: 0, closes_ms: u64::MAX, limit_per_user: 1 },
        stock,
        orders: 0,
        generation: 0,
        movement_watermark: 0,
    };
    ledger.activate(shard(), activation).await
}

fn on_threads(work: impl Fn(u32) + Sync) {
    std::thread::scope(|scope| {
        let work = &work;
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
    });
}

fn held(answers: &[EntryAnswer]) -> u32 {
    let held = answers.iter().filter(|answer| matches!(answer, EntryAnswer::Held(_)));
    u32::try_from(held.count()).unwrap()
}

#[test]
fn many_threads_sell_out_exactly() {
    let ledger = MemoryLedger::new(Clock::system());
    block_on(load(&ledger, 1, 1_000)).unwrap();
    let sold = AtomicU32::new(0);
    on_threads(|thread| {
        for batch in 0..100 {
            let entries = (0..4).map(|n| entry(thread * 1_000 + batch * 4 + n)).collect();
            let reserved = block_on(ledger.reserve(shard(), epoch(1), false, entries)).unwrap();
            sold.fetch_add(held(&reserved.answers), Ordering::Relaxed);
        }
    });
    assert_eq!(sold.into_inner(), 1_000);
    let count = block_on(ledger.count(shard())).unwrap();
    assert_eq!((count.stock, count.open_holds, count.open_units), (0, 1_000, 1_000));
}

#[test]
fn one_order_id_on_many_threads_is_held_once() {
    let ledger = MemoryLedger::new(Clock::system());
    block_on(load(&ledger, 1, 1_000)).unwrap();
    let taken = AtomicU32::new(0);
    on_threads(|_| {
        for number in 0..200 {
            let entries = vec![entry(number)];
            let reserved = block_on(ledger.reserve(shard(), epoch(1), false, entries)).unwrap();
            assert!(matches!(reserved.answers[..], [EntryAnswer::Held(_) | EntryAnswer::Open(_)]));
            taken.fetch_add(held(&reserved.answers), Ordering::Relaxed);
        }
    });
    assert_eq!(taken.into_inner(), 200);
}

/// While keepers are swapped and loaders race, no epoch ever gives more than it was opened with.
#[test]
fn a_keeper_that_is_swapped_under_load_never_oversells_an_epoch() {
    const EPOCHS: u32 = 400;
    const STOCK: u32 = 5;
    let ledger = MemoryLedger::new(Clock::system());
    let sold: Vec<AtomicU32> = (0..=EPOCHS).map(|_| AtomicU32::new(0)).collect();
    let (next, opened) = (AtomicU32::new(0), AtomicU32::new(0));
    on_threads(|thread| {
        loop {
            let to = next.fetch_add(1, Ordering::Relaxed) + 1;
            if to > EPOCHS {
                break;
            }
            if thread == 0 && to % 3 == 0 {
                ledger.swap_for_empty();
            }
            opened.fetch_add(block_on(load(&ledger, to, STOCK)).is_ok().into(), Ordering::Relaxed);
            for number in 0..10 {
                let peeked = block_on(ledger.peek(&[shard()])).unwrap();
                let [Peek::Open { epoch, .. }] = peeked[..] else { continue };
                let entries = vec![entry(thread * 1_000_000 + to * 1_000 + number)];
                if let Ok(reserved) = block_on(ledger.reserve(shard(), epoch, false, entries)) {
                    let index = usize::try_from(reserved.epoch.get()).unwrap();
                    sold[index].fetch_add(held(&reserved.answers), Ordering::Relaxed);
                }
            }
        }
    });
    assert!(opened.into_inner() > 0, "nothing was opened, so nothing was tested");
    let sold: Vec<u32> = sold.into_iter().map(AtomicU32::into_inner).collect();
    assert!(sold.iter().sum::<u32>() > 0, "nothing was sold, so nothing was tested");
    assert!(sold.iter().all(|sold| *sold <= STOCK), "{sold:?}");
}

#[test]
fn every_keeper_has_an_identity_of_its_own() {
    let ledger = MemoryLedger::new(Clock::system());
    let before = block_on(ledger.identity()).unwrap();
    assert_eq!(block_on(ledger.identity()).unwrap(), before);
    ledger.swap_for_empty();
    assert_ne!(block_on(ledger.identity()).unwrap(), before);
    assert_ne!(block_on(MemoryLedger::new(Clock::system()).identity()).unwrap(), before);
}
