//! What the shop says of itself, as its operators read it.

use std::net::SocketAddr;

use crate::shop::look;

/// All figures of one moment.
pub(super) struct Figures(String);

impl Figures {
    pub(super) async fn read(metrics: SocketAddr) -> Self {
        Self(look(metrics, "/metrics").await.expect("it answers"))
    }

    /// The same as [`Self::sum`], and 0 for what was never counted.
    pub(super) fn sum_or_none(&self, name: &str, label: &str) -> f64 {
        let is_told = self.0.lines().any(|line| line.starts_with(name) && line.contains(label));
        if is_told { self.sum(name, &[label]) } else { 0.0 }
    }

    /// The sum of all series of `name` that have these labels, each written as `name="value"`.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (of, value) = rest.strip_prefix('{')?.split_once("} ")?;
            let value = value.split_whitespace().next()?;
            labels.iter().all(|label| of.contains(*label)).then(|| value.parse::<f64>())
        });
        let values: Vec<_> = values.map(|value| value.expect("a number")).collect();
        assert!(!values.is_empty(), "nothing is told of {name} {labels:?}");
        values.iter().sum()
    }
}
