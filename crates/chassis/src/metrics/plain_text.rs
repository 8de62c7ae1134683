//! The text format of Prometheus, version 0.0.4, made from OpenMetrics.
//!
//! It is what a reader gets who doesn't ask for OpenMetrics: older scrapers, `promtool check
//! metrics`, people with curl. It differs in that a counter is described by the name of its
//! samples, `_total`, and in that it has neither exemplars, nor units, nor a mark of its end.

use std::fmt::Write as _;

/// The same metrics.
pub(super) fn of_open_metrics(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            // How it is named there is known once its type is.
            help = described.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = typed(line) {
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            let kind = if kind == "unknown" { "untyped" } else { kind };
            if let Some(help) = help.take() {
                let _ = writeln!(told, "# HELP {name} {help}");
            }
            let _ = writeln!(told, "# TYPE {name} {kind}");
        } else if !line.starts_with('#') {
            told.push_str(without_exemplar(line));
            told.push('\n');
        }
    }
    told
}

fn typed(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

/// An exemplar stands behind the value; the same signs in the value of a label belong to it.
fn without_exemplar(sample: &str) -> &str {
    let cut = sample.rfind(" # {").filter(|&at| is_outside_quotes(&sample[..at]));
    cut.map_or(sample, |at| &sample[..at])
}

fn is_outside_quotes(before: &str) -> bool {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for sign in before.chars() {
        is_quoted ^= sign == '"' && !is_escaped;
        is_escaped = sign == '\\' && !is_escaped;
    }
    !is_quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_exemplars_units_and_the_end_are_told_otherwise() {
        let open_metrics = r#"# HELP loaves Loaves: baked # {and} sold.
# TYPE loaves counter
loaves_total{of="rye # {dark}"} 7 # {trace_id="0af7"} 1.0 1520879607.789
loaves_total{of="a \" # {b"} 1
# HELP heat_celsius Heat.
# TYPE heat_celsius gauge
# UNIT heat_celsius celsius
heat_celsius 210.5
# TYPE baking unknown
baking 1
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1"} 3 # {trace_id="0af7"} 0.05
wait_seconds_count 3
# EOF
"#;
        let plain = r#"# HELP loaves_total Loaves: baked # {and} sold.
# TYPE loaves_total counter
loaves_total{of="rye # {dark}"} 7
loaves_total{of="a \" # {b"} 1
# HELP heat_celsius Heat.
# TYPE heat_celsius gauge
heat_celsius 210.5
# TYPE baking untyped
baking 1
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1"} 3
wait_seconds_count 3
"#;
        assert_eq!(of_open_metrics(open_metrics), plain);
    }
}
