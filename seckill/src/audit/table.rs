//! Lays the findings out for a reader.

use super::judge::{Finding, Phase, Verdict};
use crate::screen::{counted, say, thousands};

/// Prints each shard with its checks; shards that were never loaded are one closing line.
pub(crate) fn print_findings(findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| !finding.checks.is_empty()) {
        print_shard(finding);
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
    if let Some(books) = count.after {
        if books.rejected_orders > 0 {
            say(format!("  note   {} by the books", counted(books.rejected_orders, "rejection")));
        }
        if books.dead_letters > 0 {
            let letters = thousands(books.dead_letters);
            say(format!("  note   {letters} dead letters: records that could not be read"));
        }
    }
    say("");
}
