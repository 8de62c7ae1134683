//! What hostile peers do to the public port, while buyers who mean it go on buying: `seckill dev`
//! as a process of its own (so its memory is its own), attacked from other addresses of the
//! loopback.
//!
//! They measure, so they run alone, one after the other: see `scripts/test`.

mod attacks;
mod buyers;
mod ground;
mod tokens;
mod wire;

use std::{net::SocketAddr, time::Duration};

use attacks::Attack;
use ground::Ground;
use tokio::time::sleep;

/// Long enough for limits in seconds to be reached, and for a rate to be measured.
const ATTACK_LASTS: Duration = Duration::from_secs(4);
/// How it is without an attack, seen before each: the machine may have other things to do.
const QUIET_LASTS: Duration = Duration::from_secs(2);
/// Of those who bought before, so many still do.
const GOODPUT_MIN: f64 = 0.8;
/// Of the memory before.
const MEMORY_MAX: f64 = 2.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_leave_buyers_and_memory_alone() {
    withstand(attacks::idle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_dawdle_leave_buyers_and_memory_alone() {
    withstand(attacks::dawdling).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_and_slow_peers_leave_buyers_and_memory_alone() {
    withstand(attacks::floods).await;
}

/// One attack after the other on a fresh shop.
#[expect(clippy::print_stderr, reason = "a measurement is worth reading also where it passes")]
async fn withstand(attacks: impl FnOnce(SocketAddr) -> Vec<Attack>) {
    chassis::open_files::raise().expect("this process may have as many files as it is let");
    let ground = Ground::open().await;
    // The first purchases fill caches and pools.
    ground.goodput(Box::pin(sleep(QUIET_LASTS))).await;
    let memory_before = ground.memory().await;
    for (name, attack) in attacks(ground.addr()) {
        let before = ground.goodput(Box::pin(sleep(QUIET_LASTS))).await;
        let goodput = ground.goodput(attack).await;
        let memory = ground.memory().await;
        eprintln!(
            "{name}: {goodput:.1} of {before:.1} purchases/s, {:.0} of {:.0} MB",
            memory / 1e6,
            memory_before / 1e6
        );
        assert!(goodput >= GOODPUT_MIN * before, "{name}: {goodput:.1}/s of {before:.1}/s");
        assert!(memory <= MEMORY_MAX * memory_before, "{name}: {memory} of {memory_before}");
    }
    ground.books_are_exact().await;
}
