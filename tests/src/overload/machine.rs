//! What else the machine did while something was measured. A tail that is compared within a fifth
//! tells of the shop only while the shop and who loads it have the cores to themselves; so where
//! bounds are strict, a round beside other work isn't judged but taken anew, and a machine that is
//! never quiet is a failure that says so. Where they aren't, every round counts.

use std::fs;

use crate::strictness::is_strict;

/// The part of all cores' time that others may have, in percent: the kernel's own threads take a
/// half of this on a machine that does nothing else.
const OTHERS_MAX_PERCENT: f64 = 4.0;
/// Rounds that are begun for each that is wanted.
const TRIES_FOR_EACH: usize = 4;

/// As many rounds as wanted, of those that others didn't disturb. A round that finds by itself that
/// it was disturbed gives none.
pub(super) async fn undisturbed<T>(
    wanted: usize,
    mut round: impl AsyncFnMut() -> Option<T>,
) -> Vec<T> {
    let mut rounds = Vec::new();
    for left in (0..wanted * TRIES_FOR_EACH).rev() {
        let before = Ticks::now();
        let seen = round().await;
        let others = Ticks::now().others_percent_since(&before);
        let seen = seen.filter(|_| others <= OTHERS_MAX_PERCENT || !is_strict());
        #[expect(clippy::print_stdout, reason = "which figures count is told beside them")]
        {
            let fate = if seen.is_some() { "" } else { ": taken anew" };
            println!("others had {others:.1} % of the cores{fate}");
        }
        rounds.extend(seen);
        if rounds.len() == wanted {
            return rounds;
        }
        assert!(rounds.len() + left >= wanted, "this machine is too busy to say anything");
    }
    unreachable!("the last one is wanted, or too late")
}

/// Time since the start, in the kernel's ticks.
struct Ticks {
    /// Of all cores.
    all: u64,
    /// Of all cores, on which nobody worked.
    idle: u64,
    /// This process worked.
    own: u64,
}

impl Ticks {
    fn now() -> Self {
        let cores = fs::read_to_string("/proc/stat").expect("this is Linux");
        let process = fs::read_to_string("/proc/self/stat").expect("this is Linux");
        // user nice system idle iowait irq softirq steal; guests are counted among users.
        let sum = cores.lines().next().expect("it begins with the sum");
        let cores: Vec<u64> = sum.split_whitespace().skip(1).take(8).map(number).collect();
        // Behind the name, which may hold anything, utime and stime are the 12th and 13th.
        let (_, process) = process.rsplit_once(')').expect("a name in brackets");
        let own = process.split_whitespace().skip(11).take(2).map(number).sum();
        Self { all: cores.iter().sum(), idle: cores[3] + cores[4], own }
    }

    fn others_percent_since(&self, before: &Self) -> f64 {
        // The kernel's count of idle time may go back a little.
        let all = self.all - before.all;
        let worked = all.saturating_sub(self.idle.saturating_sub(before.idle));
        let others = worked.saturating_sub(self.own - before.own);
        others as f64 * 100.0 / all.max(1) as f64
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("the kernel counts")
}
