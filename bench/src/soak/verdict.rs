//! Whether something grows: the straight line that fits its samples best.

/// How something goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    pub(super) mean: f64,
    /// What it changes by in an hour.
    pub(super) per_hour: f64,
}

impl Trend {
    /// Of samples, each with its time in hours. `None` of fewer than two.
    pub(super) fn of(samples: &[(f64, f64)]) -> Option<Self> {
        let count = samples.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
        let (time, value) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let along: f64 = samples.iter().map(|(at, of)| (at - time) * (of - value)).sum();
        let spread: f64 = samples.iter().map(|(at, _)| (at - time).powi(2)).sum();
        (spread > 0.0).then(|| Self { mean: value, per_hour: along / spread })
    }

    /// What it grows by in an hour, as a part of what it is.
    pub(super) fn growth(self) -> f64 {
        if self.mean > 0.0 { self.per_hour / self.mean } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_up_and_down_is_flat_and_what_goes_up_is_not() {
        let samples = |value: fn(u32) -> f64| -> Vec<(f64, f64)> {
            (0..=60).map(|minute| (f64::from(minute) / 60.0, value(minute))).collect()
        };
        let waves = Trend::of(&samples(|minute| 100.0 + f64::from(minute % 2))).unwrap();
        assert!(waves.growth().abs() < 0.001, "{waves:?}");
        let rising = Trend::of(&samples(|minute| 100.0 + f64::from(minute) / 6.0)).unwrap();
        assert!((rising.per_hour - 10.0).abs() < 1e-6, "{rising:?}");
        assert!((rising.growth() - 10.0 / 105.0).abs() < 1e-6, "{rising:?}");
    }

    #[test]
    fn one_sample_tells_nothing() {
        assert_eq!(Trend::of(&[]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0)]), None);
    }
}
