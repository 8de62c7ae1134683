//! What only a state that outlives its process can show: the ledger's contract has the rest.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use ids::{ShardNo, UserId};

use super::*;
use crate::domain::{PLACED_NOBODY_SAYS, Terms};

fn process(name: &str) -> Identity {
    Identity::new(name)
}

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn order(name: u8) -> OrderId {
    OrderId::mint(ShardNo::new(1).unwrap(), [name; 12])
}

fn entry(name: u8) -> ReserveEntry {
    ReserveEntry {
        order: order(name),
        user: UserId::from_bytes([name; 16]),
        quantity: 1,
        unit_price: 4_999,
        ticket_expires_ms: u64::MAX,
        placed_us: PLACED_NOBODY_SAYS,
        traceparent: String::new(),
    }
}

fn activation(to: Epoch, on: &Identity) -> Activation {
    Activation {
        to,
        identity: on.clone(),
        terms: Terms { opens_ms: 0, closes_ms: u64::MAX, limit_per_user: 1 },
        stock: 9,
        orders: 0,
        generation: 0,
        movement_watermark: 0,
    }
}

fn loaded(to: Epoch, on: &Identity) -> ShardKeeper {
    let mut shard = ShardKeeper::default();
    shard.close(to);
    shard.begin_staging(to).unwrap();
    shard.activate(on, &activation(to, on)).unwrap();
    shard
}

#[test]
fn a_state_that_another_process_took_over_is_fenced() {
    let (first, second) = (process("first"), process("second"));
    let mut shard = loaded(epoch(1), &first);
    shard.reserve(&first, epoch(1), 5_000, false, vec![entry(1)]).unwrap();

    assert_eq!(shard.reserve(&second, epoch(1), 5_000, false, vec![entry(2)]), Err(Shut::Fenced));
    assert_eq!(shard.find(&second, epoch(1), 5_000, false, &[order(1)]), Err(Shut::Fenced));
    assert_eq!(shard.holds(&second, None, 9), Err(Shut::Fenced));
    assert_eq!(shard.settle(&second, epoch(1), None, &[]), Err(Shut::Fenced));
    assert_eq!(shard.peek(&second), Peek::Fenced);
    // It is told so before it is told of the epoch.
    assert_eq!(shard.reserve(&second, epoch(2), 5_000, false, vec![entry(2)]), Err(Shut::Fenced));

    shard.close(epoch(2));
    assert_eq!(shard.peek(&second), Peek::Closed { mark: epoch(2) });
    assert_eq!(shard.holds(&second, None, 9), Err(Shut::Fenced), "still the first one's");
    assert_eq!(shard.holds(&first, None, 9).unwrap().holds.len(), 1);
}

#[test]
fn what_was_staged_on_another_process_is_not_activated() {
    let (first, second) = (process("first"), process("second"));
    let mut shard = ShardKeeper::default();
    shard.close(epoch(1));
    shard.begin_staging(epoch(1)).unwrap();
    let staged = shard.stage(&second, epoch(1), &first, Vec::new());
    assert_eq!(staged, Err(NotStaged::IdentityChanged));
    let activated = shard.activate(&second, &activation(epoch(1), &first));
    assert_eq!(activated, Err(NotActivated::IdentityChanged));
}

#[test]
fn an_epoch_that_was_active_in_a_lost_process_is_not_staged_again() {
    let first = process("first");
    let mut shard = loaded(epoch(1), &first);
    shard.close(epoch(1));
    assert_eq!(shard.begin_staging(epoch(1)), Err(NotStaged::MarkLost));
    let activated = shard.activate(&first, &activation(epoch(1), &first));
    assert_eq!(activated, Err(NotActivated::AlreadyActive));
}

#[test]
fn equal_states_hash_alike_however_they_came_about() {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let me = process("me");
    let sold = |names: Vec<u8>| {
        let mut shard = loaded(epoch(1), &me);
        let entries = names.into_iter().map(entry).collect();
        shard.reserve(&me, epoch(1), 5_000, false, entries).unwrap();
        shard
    };
    let (one, other) = (sold((1..9).collect()), sold((1..9).rev().collect()));
    assert_eq!(one, other);
    assert_eq!(hasher.hash_one(&one), hasher.hash_one(&other));
    let less = sold((1..8).collect());
    assert_ne!(hasher.hash_one(&one), hasher.hash_one(&less));
}
