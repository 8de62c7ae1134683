//! Events a second, as of lately: each counts for less the longer it is ago. Pure; it is told when.

use std::time::Duration;

/// An event counts for a third of itself after so long: some windows of what is learnt from it, and
/// no longer than somebody waits who was turned away.
const MEMORY_S: f64 = 1.0;

/// How often something happens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Pace {
    per_s: f64,
    at: Duration,
}

impl Pace {
    /// It happened once more.
    pub(crate) fn happened(&mut self, now: Duration) {
        self.per_s = self.per_s(now) + 1.0 / MEMORY_S;
        self.at = now;
    }

    /// How often a second, as of `now`.
    pub(crate) fn per_s(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.at).as_secs_f64();
        self.per_s * (-age / MEMORY_S).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_happens_and_forgets_it() {
        let mut pace = Pace::default();
        assert!(pace.per_s(Duration::ZERO).abs() < f64::EPSILON);
        let at = |turn: u64| Duration::from_millis(2) * u32::try_from(turn).unwrap();
        (0..2_500).for_each(|turn| pace.happened(at(turn)));
        assert!((pace.per_s(at(2_500)) - 500.0).abs() < 10.0, "{pace:?}");
        assert!(pace.per_s(at(2_500) + Duration::from_secs(5)) < 5.0, "{pace:?}");
    }
}
