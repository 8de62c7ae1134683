//! What was measured: every round of every figure, its median, and what was answered other than
//! hoped. Becomes `bench.json`, whose headline keys are a promise and never renamed.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Map, Value, json};

use crate::{
    failure::{Failure, failed},
    load::Round,
};

pub(crate) mod table;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    rounds: BTreeMap<String, Vec<f64>>,
    /// Answers other than hoped, by figure and name, over all rounds.
    others: BTreeMap<String, BTreeMap<String, u64>>,
    remarks: BTreeMap<String, String>,
}

/// Headlines: the name, and the figure whose median it is, or the two whose ratio it is.
const HEADLINES: [(&str, &str, Option<&str>); 22] = [
    ("echo_per_s", "echo_per_s", None),
    ("echo_with_token_per_s", "echo_with_token_per_s", None),
    ("sold_out_per_s", "sold_out_per_s", None),
    ("sold_out_ratio", "sold_out_per_s", Some("echo_per_s")),
    ("accept_per_s", "accept_256_per_s", None),
    ("accept_ratio", "accept_256_per_s", Some("echo_per_s")),
    ("accept_real_per_s", "accept_real_256_per_s", None),
    ("accept_real_ratio", "accept_real_256_per_s", Some("echo_real_per_s")),
    ("coalesced_ratio", "coalesced_per_s", Some("one_call_each_per_s")),
    ("persisted_per_s", "persisted_per_s", None),
    ("persist_ratio", "persisted_per_s", Some("one_order_a_transaction_per_s")),
    ("p50_ms_at_64", "accept_64_p50_ms", None),
    ("p99_ms_at_64", "accept_64_p99_ms", None),
    ("p50_ms_at_256", "accept_256_p50_ms", None),
    ("p99_ms_at_256", "accept_256_p99_ms", None),
    ("p50_real_ms_at_64", "accept_real_64_p50_ms", None),
    ("p99_real_ms_at_64", "accept_real_64_p99_ms", None),
    ("p50_real_ms_at_256", "accept_real_256_p50_ms", None),
    ("p99_real_ms_at_256", "accept_real_256_p99_ms", None),
    ("ledger_sharded_per_s", "ledger_sharded_per_s", None),
    ("ledger_one_lock_per_s", "ledger_one_lock_per_s", None),
    ("ledger_ratio", "ledger_sharded_per_s", Some("ledger_one_lock_per_s")),
];

impl Figures {
    /// Writes down a round's figure.
    pub(crate) fn note(&mut self, name: &str, value: f64) {
        self.rounds.entry(name.to_owned()).or_default().push(value);
    }

    /// Writes down what was answered that isn't `hoped`.
    pub(crate) fn refusals(&mut self, name: &str, round: &Round, hoped: &str) {
        for (answer, count) in round.counts.iter().filter(|(answer, _)| **answer != hoped) {
            let others = self.others.entry(name.to_owned()).or_default();
            *others.entry(answer.clone().into_owned()).or_default() += count;
        }
    }

    /// Writes down a sentence that belongs to the figures.
    pub(crate) fn remark(&mut self, name: &str, text: impl Into<String>) {
        self.remarks.insert(name.to_owned(), text.into());
    }

    /// The median of a figure's rounds.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let mut rounds = self.rounds.get(name)?.clone();
        rounds.sort_unstable_by(f64::total_cmp);
        let middle = rounds.len() / 2;
        match rounds.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(rounds[middle]),
            _ => Some(f64::midpoint(rounds[middle - 1], rounds[middle])),
        }
    }

    /// A headline, if it was measured.
    pub(crate) fn headline(&self, key: &str) -> Option<f64> {
        let (_, of, over) = HEADLINES.iter().find(|(name, ..)| *name == key)?;
        let figure = self.median(of)?;
        match over {
            None => Some(figure),
            Some(over) => Some(figure / self.median(over)?),
        }
    }

    /// Names of figures that begin so, without that beginning and `end`.
    fn named<'a>(&'a self, beginning: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
        let inner = move |name: &'a String| name.strip_prefix(beginning)?.strip_suffix(end);
        self.rounds.keys().filter_map(inner)
    }

    /// Writes everything to a file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut all = Map::new();
        for (key, ..) in HEADLINES {
            let value = self.headline(key).map(rounded);
            all.insert(key.to_owned(), value.map_or(Value::Null, |value| json!(value)));
        }
        let rounds: BTreeMap<_, Vec<f64>> = self
            .rounds
            .iter()
            .map(|(name, rounds)| (name, rounds.iter().copied().map(rounded).collect()))
            .collect();
        let medians: BTreeMap<_, _> =
            self.rounds.keys().map(|name| (name, self.median(name).map(rounded))).collect();
        all.insert("medians".into(), json!(medians));
        all.insert("rounds".into(), json!(rounds));
        all.insert("other_answers".into(), json!(self.others));
        all.insert("remarks".into(), json!(self.remarks));
        let text = serde_json::to_string_pretty(&all).map_err(failed("the figures"))?;
        fs::write(path, text + "\n").map_err(failed(path.display()))
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures::default();
        for echo in [90.0, 300.0, 100.0] {
            figures.note("echo_per_s", echo);
        }
        for sold_out in [80.0, 90.0] {
            figures.note("sold_out_per_s", sold_out);
        }
        figures
    }

    #[test]
    fn a_headline_is_the_median_of_its_rounds() {
        let figures = figures();
        assert_eq!(figures.headline("echo_per_s"), Some(100.0));
        assert_eq!(figures.headline("sold_out_per_s"), Some(85.0));
        assert_eq!(figures.headline("sold_out_ratio"), Some(0.85));
        assert_eq!(figures.headline("accept_ratio"), None, "it was not measured");
    }

    #[test]
    fn the_file_has_each_promised_key_and_all_rounds() {
        let dir = std::env::temp_dir().join(format!("bench-{}", uuid::Uuid::new_v4()));
        figures().write(&dir).unwrap();
        let written: Value = serde_json::from_str(&fs::read_to_string(&dir).unwrap()).unwrap();
        fs::remove_file(&dir).unwrap();
        let promised = [
            "echo_per_s",
            "sold_out_per_s",
            "sold_out_ratio",
            "accept_per_s",
            "accept_ratio",
            "accept_real_per_s",
            "accept_real_ratio",
            "coalesced_ratio",
            "persisted_per_s",
            "persist_ratio",
            "p50_ms_at_64",
            "p99_ms_at_64",
        ];
        for key in promised {
            assert!(written.get(key).is_some(), "{key}");
        }
        assert_eq!(written["rounds"]["echo_per_s"], json!([90.0, 300.0, 100.0]));
        assert_eq!(written["accept_per_s"], Value::Null);
    }
}
