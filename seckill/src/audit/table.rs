//! Lays the findings out for a reader.

use super::judge::{Finding, Orphan, Phase, Verdict};
use crate::screen::{counted, say};

/// Prints each shard with its checks, and what belongs to none; shards that were never loaded are
/// one closing line.
pub(crate) fn print_findings(findings: &[Finding], orphans: &[Orphan]) {
    for finding in findings.iter().filter(|finding| !finding.checks.is_empty()) {
        print_shard(finding);
    }
    for orphan in orphans {
        say(format!("{}\n  orphan BROKEN   {}\n", orphan.what, orphan.says));
    }
    let unopened = findings.iter().filter(|finding| finding.checks.is_empty()).count() as u64;
    if unopened > 0 {
        say(format!("{} not loaded yet: nothing to count", counted(unopened, "shard")));
    }
}

fn print_shard(finding: &Finding) {
    let count = &finding.count;
    say(format!(
        "{} · {} · shard {} · {}",
        count.sale,
        count.item,
        count.shard_no,
        counted(count.planned, "unit"),
    ));
    for check in &finding.checks {
        let (word, says) = match &check.verdict {
            Verdict::Holds(says) => ("holds", says),
            Verdict::Broken(says) => ("BROKEN", says),
            Verdict::Unclear(says) => ("unclear", says),
        };
        say(format!("  {:<7}{word:<9}{says}", check.name));
    }
    if count.phase == Phase::Retired {
        say("  note   retired: the ledger has forgotten it, and the books alone are judged");
    }
    say("");
}
