//! The report of a rehearsal: the same figures as a table for a person and as JSON for a program.
//! The JSON's keys are a promise; they are never renamed.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde::Serialize;

use super::{judge::Judgement, plan::Plan, rush::Figures};
use crate::{
    failure::Failure,
    screen::{counted, say, thousands},
};

/// `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    /// For sale.
    pub(super) units: u64,
    /// Who came; each wanted one unit.
    pub(super) shoppers: u64,
    /// Units of live orders, as the shop lists them.
    pub(super) sold: u64,
    /// Units beyond those for sale (I-1).
    pub(super) oversold: u64,
    /// Shoppers who were told that their order stands.
    pub(super) accepted: u64,
    /// Shoppers who still don't know.
    pub(super) processing: u64,
    /// Shoppers who were refused, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Of the accepted, those without a live order (I-2).
    pub(super) accepted_without_order: u64,
    /// Orders beyond one a ticket (I-4).
    pub(super) duplicate_orders: u64,
    /// Units that are nowhere, or in two places (I-3).
    pub(super) leaked_units: u64,
    /// Answers that ended a pursuit, from the opening to the last of them.
    pub(super) answers_per_s: f64,
    /// The same of the accepted ones.
    pub(super) accepted_per_s: f64,
    /// From the scheduled arrival to the answer that ended the pursuit.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    /// From the opening until the books had the last order.
    pub(super) seconds_to_last_row: f64,
    /// The audit of the stores found everything where it belongs.
    pub(super) audit_ok: bool,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        judged: &Judgement,
        figures: &Figures,
        to_last_row: Duration,
    ) -> Self {
        let ms = |micros: u64| round(micros as f64 / 1e3, 3);
        let answers = figures.all.len();
        Self {
            units: plan.units.into(),
            shoppers: plan.shoppers.into(),
            sold: judged.sold,
            oversold: judged.oversold,
            accepted: judged.accepted,
            processing: judged.processing,
            refused: judged.refused.clone(),
            accepted_without_order: judged.accepted_without_order,
            duplicate_orders: judged.duplicate_orders,
            leaked_units: judged.leaked_units,
            answers_per_s: per_s(answers, figures.last_answer),
            accepted_per_s: per_s(figures.accepted.len(), figures.last_accepted),
            p50_ms: ms(figures.all.value_at_quantile(0.50)),
            p99_ms: ms(figures.all.value_at_quantile(0.99)),
            max_ms: ms(figures.all.max()),
            seconds_to_last_row: round(to_last_row.as_secs_f64(), 3),
            audit_ok: judged.audit_ok,
        }
    }

    /// Writes the JSON.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::Machine(format!("can't write the report: {error}")))?;
        text.push('\n');
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|error| not_written(path, &error))?;
        }
        fs::write(path, text).map_err(|error| not_written(path, &error))
    }

    /// Prints the table.
    pub(super) fn print(&self, plan: &Plan, figures: &Figures, judged: &Judgement) {
        for line in self.lines(plan, figures, judged) {
            say(line);
        }
    }

    fn lines(&self, plan: &Plan, figures: &Figures, judged: &Judgement) -> Vec<String> {
        let rule = "─".repeat(64);
        let row = |name: &str, value: String, note: &str| {
            format!("  {name:<24}{value:>12}   {note}").trim_end().to_owned()
        };
        let number = |name: &str, value: u64, note: &str| row(name, thousands(value), note);
        let milliseconds = |micros: u64| format!("{:.1} ms", micros as f64 / 1e3);
        let quantiles = |name: &str, of: &hdrhistogram::Histogram<u64>| {
            let [p50, p99] = [0.50, 0.99].map(|at| milliseconds(of.value_at_quantile(at)));
            format!("  {name:<24}{p50:>12}{p99:>12}{:>12}", milliseconds(of.max()))
        };
        let mut lines = vec![
            String::new(),
            format!(
                "  {} · {} · arriving within {:.2} s",
                counted(self.units, "unit"),
                counted(self.shoppers, "shopper"),
                plan.arrive_within.as_secs_f64(),
            ),
            rule.clone(),
            row("sold", format!("{} of {}", thousands(self.sold), thousands(self.units)), ""),
            number("accepted", self.accepted, &late(figures)),
        ];
        for (reason, count) in &self.refused {
            lines.push(number("refused", *count, reason));
        }
        lines.extend([
            number("still unknown", self.processing, ""),
            rule.clone(),
            number("oversold", self.oversold, "I-1"),
            number("accepted, no order", self.accepted_without_order, "I-2"),
            number("leaked units", self.leaked_units, "I-3"),
            number("duplicate orders", self.duplicate_orders, "I-4"),
            row("audit", if self.audit_ok { "clean" } else { "NOT CLEAN" }.into(), ""),
            rule.clone(),
            row("accepted", format!("{} /s", whole(self.accepted_per_s)), "until the last one"),
            row("answered", format!("{} /s", whole(self.answers_per_s)), "as they arrived"),
            row(
                "last order in the books",
                format!("{:.3} s", self.seconds_to_last_row),
                "after the opening",
            ),
            format!("  {:<24}{:>12}{:>12}{:>12}", "from scheduled arrival", "p50", "p99", "max"),
            quantiles("  to any final answer", &figures.all),
            quantiles("  to ACCEPTED", &figures.accepted),
            rule,
        ]);
        lines.extend(judged.violations.iter().map(|says| format!("  BROKEN: {says}")));
        if judged.violations_more > 0 {
            lines.push(format!("  BROKEN: … and {} more", thousands(judged.violations_more)));
        }
        lines
    }
}

fn late(figures: &Figures) -> String {
    match figures.late_promises {
        0 => String::new(),
        late => format!("{} first unknown, then a row", thousands(late)),
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Machine(format!("can't write {}: {error}", path.display()))
}

fn per_s(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { round(count as f64 / took.as_secs_f64(), 1) }
}

fn whole(figure: f64) -> String {
    thousands(figure.round() as u64)
}

fn round(figure: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (figure * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> (Plan, Judgement, Figures, Report) {
        let plan = Plan { units: 1, shoppers: 2, arrive_within: Duration::from_secs(1) };
        let judged = Judgement {
            sold: 1,
            accepted: 1,
            refused: BTreeMap::from([("SOLD_OUT".into(), 1)]),
            audit_ok: true,
            ..Judgement::default()
        };
        let mut figures = Figures::new();
        figures.all.record(1_000).unwrap();
        figures.all.record(3_000).unwrap();
        figures.accepted.record(3_000).unwrap();
        figures.last_answer = Duration::from_millis(500);
        figures.last_accepted = Duration::from_millis(250);
        let report = Report::new(&plan, &judged, &figures, Duration::from_millis(1_234));
        (plan, judged, figures, report)
    }

    #[test]
    fn the_json_has_exactly_the_promised_keys() {
        let json = serde_json::to_value(report().3).unwrap();
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut promised = [
            "units",
            "shoppers",
            "sold",
            "oversold",
            "accepted",
            "processing",
            "refused",
            "accepted_without_order",
            "duplicate_orders",
            "leaked_units",
            "answers_per_s",
            "accepted_per_s",
            "p50_ms",
            "p99_ms",
            "max_ms",
            "seconds_to_last_row",
            "audit_ok",
        ];
        promised.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(json["refused"]["SOLD_OUT"], 1);
    }

    #[test]
    fn rates_count_from_the_opening() {
        let (.., report) = report();
        assert_eq!((report.answers_per_s, report.accepted_per_s), (4.0, 4.0));
        assert_eq!(report.seconds_to_last_row, 1.234);
        assert!((report.max_ms - 3.0).abs() < 0.01);
    }

    #[test]
    fn the_table_names_what_is_broken() {
        let (plan, mut judged, figures, report) = report();
        let table = report.lines(&plan, &figures, &judged).join("\n");
        assert!(!table.contains("BROKEN"), "{table}");
        judged.violations.push("I-2 is broken: …".into());
        let table = report.lines(&plan, &figures, &judged).join("\n");
        assert!(table.contains("BROKEN: I-2"), "{table}");
    }
}
