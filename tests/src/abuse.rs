//! What hostile peers do to the public port, while buyers who mean it go on buying: `seckill dev`
//! as a process of its own (so its memory is its own), attacked from other addresses of the
//! loopback, by strangers and by [`insiders`].
//!
//! They measure, so they run alone, one after the other: see `scripts/test`.

mod attacks;
mod buyers;
mod figures;
mod forged;
mod ground;
mod insiders;
mod tokens;
mod tricks;
mod wire;

use std::time::Duration;

use ground::Ground;
use tokio::time::sleep;

use crate::strictness;

/// Long enough for limits in seconds to be reached, and for a rate to be measured.
const ATTACK_LASTS: Duration = Duration::from_secs(4);
/// How it is without an attack, seen before each: the machine may have other things to do.
const QUIET_LASTS: Duration = Duration::from_secs(2);
/// The first purchases fill caches and pools.
const WARM_UP_LASTS: Duration = Duration::from_secs(10);
/// Of those who bought before, so many still do.
const GOODPUT_MIN: f64 = 0.8;
/// Of the memory under the buyers' load alone, at the worst moment of all.
const MEMORY_MAX: f64 = 2.0;

/// On one process, so that none can leave anything to the next. All are seen before one fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a measurement is worth reading also where it passes")]
async fn all_attacks_one_after_the_other_leave_buyers_and_memory_alone() {
    chassis::open_files::raise().expect("this process may have as many files as it is let");
    let ground = Ground::open().await;
    ground.goodput(sleep(WARM_UP_LASTS)).await;
    let (_, usual) = ground.memory_max(ground.goodput(sleep(QUIET_LASTS))).await;
    eprintln!("{:.0} MB under the usual load", usual / 1e6);
    let mut misses = Vec::new();
    for attack in attacks::all(ground.places()) {
        let name = attack.name;
        let quiet = ground.memory_max(ground.goodput(sleep(QUIET_LASTS)));
        let ((before, memory_before), figures_before) = (quiet.await, ground.figures().await);
        let (goodput, memory) = ground.memory_max(ground.goodput(attack.goes_on)).await;
        let figures = ground.figures().await;
        let (kept, times, more) = (goodput / before, memory / usual, memory - memory_before);
        eprintln!(
            "{name}: {goodput:.1} of {before:.1} purchases/s ({:.0} %), {:.0} MB ({times:.2} x)",
            kept * 100.0,
            memory / 1e6
        );
        let mut must = |holds: bool, miss: String| {
            if !holds {
                eprintln!("  missed: {miss}");
                misses.push(miss);
            }
        };
        must(
            kept >= strictness::at_least(GOODPUT_MIN),
            format!("{name}: {goodput:.1} purchases/s of {before:.1}"),
        );
        must(times <= MEMORY_MAX, format!("{name}: {memory} bytes of {usual}"));
        must(more <= attack.adds_bytes_max, format!("{name}: {more} bytes more"));
        if let Some((counter, label, by)) = attack.counted {
            let labels = [&*ground.listener(), label];
            let more = figures.sum(counter, &labels) - figures_before.sum(counter, &labels);
            must(more >= by, format!("{name}: {counter} {label} went up by {more}"));
        }
    }
    assert!(misses.is_empty(), "{misses:#?}");
    ground.books_are_exact().await;
}
