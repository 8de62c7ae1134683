//! The figures as a Markdown table for a person, the targets beside them: one that is missed is
//! called missed, and by how much. Also puts the table between two marks of a document.

use std::{fs, path::Path};

use super::Figures;
use crate::failure::{Failure, failed};

/// What a document says around the table.
const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy)]
enum Target {
    None,
    AtLeast(f64),
    AtMost(f64),
}

/// A row: what it is, the headline's key, how it is written, what is wanted.
const ROWS: [(&str, &str, Unit, Target); 20] = [
    ("bare tonic echo", "echo_per_s", Unit::PerSecond, Target::None),
    ("the same, with a buyer's headers", "echo_with_token_per_s", Unit::PerSecond, Target::None),
    ("sold-out answers", "sold_out_per_s", Unit::PerSecond, Target::None),
    ("… of the echo", "sold_out_ratio", Unit::Ratio, Target::AtLeast(0.8)),
    ("accepted, embedded stores", "accept_per_s", Unit::PerSecond, Target::None),
    ("… of the echo", "accept_ratio", Unit::Ratio, Target::AtLeast(0.35)),
    ("… p50 at 64 in flight", "p50_ms_at_64", Unit::Milliseconds, Target::None),
    ("… p99 at 64 in flight", "p99_ms_at_64", Unit::Milliseconds, Target::AtMost(10.0)),
    ("… p50 at 256 in flight", "p50_ms_at_256", Unit::Milliseconds, Target::None),
    ("… p99 at 256 in flight", "p99_ms_at_256", Unit::Milliseconds, Target::None),
    ("accepted, real stores", "accept_real_per_s", Unit::PerSecond, Target::None),
    ("… of the echo", "accept_real_ratio", Unit::Ratio, Target::None),
    ("… p50 at 64 in flight", "p50_real_ms_at_64", Unit::Milliseconds, Target::None),
    ("… p99 at 64 in flight", "p99_real_ms_at_64", Unit::Milliseconds, Target::None),
    ("… p99 at 256 in flight", "p99_real_ms_at_256", Unit::Milliseconds, Target::None),
    ("coalesced, of one call a purchase", "coalesced_ratio", Unit::Ratio, Target::AtLeast(2.0)),
    ("orders persisted, MariaDB", "persisted_per_s", Unit::PerSecond, Target::None),
    ("… of one order a transaction", "persist_ratio", Unit::Ratio, Target::AtLeast(15.0)),
    ("ledger in process, sharded", "ledger_sharded_per_s", Unit::PerSecond, Target::None),
    ("… of one global lock", "ledger_ratio", Unit::Ratio, Target::None),
];

#[derive(Debug, Clone, Copy)]
enum Unit {
    PerSecond,
    Ratio,
    Milliseconds,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{} /s", thousands(value)),
            Self::Ratio => format!("{value:.2} x"),
            Self::Milliseconds => format!("{value:.1} ms"),
        }
    }
}

impl Target {
    fn judge(self, unit: Unit, value: f64) -> String {
        let missed = |by: f64| format!("**missed** by {:.0} %", by * 100.0);
        match self {
            Self::None => String::new(),
            Self::AtLeast(least) if value >= least => format!("≥ {}: met", unit.write(least)),
            Self::AtLeast(least) => {
                format!("≥ {}: {}", unit.write(least), missed(1.0 - value / least))
            }
            Self::AtMost(most) if value <= most => format!("≤ {}: met", unit.write(most)),
            Self::AtMost(most) => format!("≤ {}: {}", unit.write(most), missed(value / most - 1.0)),
        }
    }
}

/// The Markdown.
pub(crate) fn table(figures: &Figures) -> String {
    let mut lines = vec!["| what | figure | target |".to_owned(), "|---|--:|---|".to_owned()];
    for (what, key, unit, target) in ROWS {
        let (figure, judgement) = match figures.headline(key) {
            Some(value) => (unit.write(value), target.judge(unit, value)),
            None => ("not measured".to_owned(), String::new()),
        };
        lines.push(format!("| {what} | {figure} | {judgement} |"));
    }
    lines.extend(ways(figures));
    for (name, text) in &figures.remarks {
        lines.push(String::new());
        lines.push(format!("{name}: {text}."));
    }
    lines.join("\n")
}

/// The ways of making stock atomic.
fn ways(figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    for way in figures.named("stock_", "_per_s") {
        if lines.is_empty() {
            lines.push(String::new());
            lines.push("| way of taking a unit | taken | oversold | lost |".to_owned());
            lines.push("|---|--:|--:|--:|".to_owned());
        }
        let of = |what: &str| figures.median(&format!("stock_{way}_{what}")).unwrap_or_default();
        let (rate, oversold, lost) = (thousands(of("per_s")), of("oversold"), of("lost"));
        lines.push(format!("| {} | {rate} /s | {oversold} | {lost} |", way.replace('_', " ")));
    }
    lines
}

/// Puts the table between the marks of a document.
pub(crate) fn put_into(path: &Path, table: &str) -> Result<(), Failure> {
    let text = fs::read_to_string(path).map_err(failed(path.display()))?;
    let text = between_marks(&text, table)
        .ok_or_else(|| Failure(format!("{} has no marks for the figures", path.display())))?;
    fs::write(path, text).map_err(failed(path.display()))
}

fn between_marks(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}"))
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.round());
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_called_missed_by_how_much() {
        let at_least = Target::AtLeast(0.8);
        assert_eq!(at_least.judge(Unit::Ratio, 0.9), "≥ 0.80 x: met");
        assert_eq!(at_least.judge(Unit::Ratio, 0.6), "≥ 0.80 x: **missed** by 25 %");
        let at_most = Target::AtMost(10.0);
        assert_eq!(at_most.judge(Unit::Milliseconds, 10.0), "≤ 10.0 ms: met");
        assert_eq!(at_most.judge(Unit::Milliseconds, 12.0), "≤ 10.0 ms: **missed** by 20 %");
    }

    #[test]
    fn what_was_not_measured_says_so() {
        let mut figures = Figures::default();
        figures.note("echo_per_s", 1_234_567.0);
        figures.note("stock_row_lock_per_s", 5_000.0);
        let table = table(&figures);
        assert!(table.contains("| bare tonic echo | 1,234,567 /s |"), "{table}");
        assert!(table.contains("| sold-out answers | not measured |"), "{table}");
        assert!(table.contains("| row lock | 5,000 /s | 0 | 0 |"), "{table}");
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        let text = between_marks(&text, "new").unwrap();
        assert_eq!(text, format!("a\n{BEGIN}\n\nnew\n\n{END}\nz\n"));
        assert_eq!(between_marks("nothing", "new"), None);
    }
}
