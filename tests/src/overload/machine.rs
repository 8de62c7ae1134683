//! What else the machine did while something was measured. A tail that is compared within a fifth
//! tells of the shop only while the shop and who loads it have the cores to themselves; so a round
//! beside other work isn't judged but taken anew, and a machine that is never quiet is a failure
//! that says so.

use std::fs;

/// The part of all cores' time that others may have, in percent: the kernel's own threads take a
/// half of this on a machine that does nothing else.
const OTHERS_MAX_PERCENT: f64 = 4.0;
/// Rounds that are begun for each that is wanted.
const TRIES_FOR_EACH: usize = 4;

/// As many rounds as wanted, of those that others didn't disturb.
pub(super) async fn undisturbed<T>(wanted: usize, mut round: impl AsyncFnMut() -> T) -> Vec<T> {
    let mut rounds = Vec::new();
    for _ in 0..wanted * TRIES_FOR_EACH {
        let before = Ticks::now();
        let seen = round().await;
        let others = Ticks::now().others_percent_since(&before);
        let counts = others <= OTHERS_MAX_PERCENT;
        #[expect(clippy::print_stdout, reason = "which figures count is told beside them")]
        {
            println!("others had {others:.1} %{}", if counts { "" } else { ": taken anew" });
        }
        if counts {
            rounds.push(seen);
        }
        if rounds.len() == wanted {
            return rounds;
        }
    }
    panic!("this machine is too busy to say anything: {} of {wanted} rounds", rounds.len());
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
        let numbers = |text: &str| -> Vec<u64> {
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        // user nice system idle iowait irq softirq steal; guests are counted among users.
        let cores = numbers(cores.lines().next().expect("it begins with the sum"));
        // Behind the name, which may hold anything: state, then numbers.
        let (_, process) = process.rsplit_once(')').expect("a name in brackets");
        let process = numbers(process);
        let (user, system) = (process[10], process[11]);
        Self { all: cores[..8].iter().sum(), idle: cores[3] + cores[4], own: user + system }
    }

    fn others_percent_since(&self, before: &Self) -> f64 {
        let all = self.all - before.all;
        let worked = all - (self.idle - before.idle);
        let others = worked.saturating_sub(self.own - before.own);
        others as f64 * 100.0 / all.max(1) as f64
    }
}
