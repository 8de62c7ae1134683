//! The contract suite, held against the keeper in memory.

use std::time::Duration;

use chassis::{Clock, ClockShift};

use super::{Bench, script, suite, walk};
use crate::ledger::{Ledger, MemoryLedger};

struct Memory {
    ledger: MemoryLedger,
    clock: Clock,
    shift: ClockShift,
}

impl Memory {
    async fn fresh() -> Self {
        let (clock, shift) = Clock::adjustable();
        Self { ledger: MemoryLedger::new(clock.clone()), clock, shift }
    }
}

#[async_trait::async_trait]
impl Bench for Memory {
    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    async fn pass(&self, by: Duration) {
        self.shift.jump(by);
    }

    async fn jump_back(&self, by: Duration) {
        self.shift.jump_wall_back(by);
    }

    async fn restart_empty(&self) {
        self.ledger.swap_for_empty();
    }
}

#[tokio::test]
async fn the_memory_ledger_keeps_the_contract() {
    suite(Memory::fresh).await;
}

#[tokio::test]
async fn the_memory_ledger_keeps_the_law_on_random_walks() {
    walk(Memory::fresh, 0..200, 300).await;
}

#[tokio::test]
#[should_panic(expected = "line 2: reserve e1 a u1 1")]
async fn a_wrong_answer_is_reported_with_its_line() {
    let story = "load e1 stock=1 -> ok
        reserve e1 a u1 1 -> sold out";
    script::play(&Memory::fresh().await, "a wrong story", story).await;
}

#[tokio::test]
async fn damage_shows_in_the_count() {
    let bench = Memory::fresh().await;
    script::play(&bench, "damage", "load e1 stock=10 -> ok\nreserve e1 a u1 1 -> held, left 9")
        .await;
    let shard = ids::ShardNo::new(1).unwrap();
    assert!(bench.ledger.tamper_stock(shard, -1));
    assert_eq!(bench.ledger.count(shard).await.unwrap().stock, 8);
    assert!(!bench.ledger.tamper_stock(ids::ShardNo::new(2).unwrap(), 1));
    // A damaged ledger goes on; only the audit can tell.
    script::play(&bench, "after damage", "reserve e1 b u2 1 -> held, left 7").await;
}
