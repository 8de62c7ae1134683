//! How long those stay away who are turned away for want of room. Nearly all of them come back, so
//! what they are told is what is offered next. A fixed time lets a large crowd come back faster
//! than it can even be refused; so the time grows with how many are turned away for each that is
//! served. It settles where the wait is a root of crowd over capacity. Who comes back before they
//! were told to is no bigger crowd for that. Pure; it is told when.

use std::time::Duration;

use crate::pace::Pace;

/// Whoever waits now is done by then.
const LEAST: Duration = Duration::from_millis(300);
/// What was too much is over sooner or later, and nobody should notice it much later. Half as much
/// again is said to some.
const MOST: Duration = Duration::from_secs(3);
/// So many served a second are assumed where fewer, or none yet, have been seen.
const SERVED_MIN: f64 = 1.0;

/// Of those who were told to stay away so many are remembered, by a hash. In a larger crowd the few
/// who come again at once don't count for much.
const REMEMBERED: usize = 512;

/// Those that one core has turned away lately.
#[derive(Debug)]
pub(crate) struct Crowd {
    turned_away: Pace,
    /// Who was told to stay away last, of those whose hash falls here, and until when.
    told: Box<[(u64, Duration); REMEMBERED]>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { turned_away: Pace::default(), told: Box::new([(0, Duration::ZERO); REMEMBERED]) }
    }
}

impl Crowd {
    /// One more is, while so many are served a second. Says how long it should stay away. `who` is
    /// a hash that callers can't choose.
    pub(crate) fn turned_away(&mut self, who: u64, served_per_s: f64, now: Duration) -> Duration {
        let told = &mut self.told[who as usize % REMEMBERED];
        let is_early = told.0 == who && now < told.1;
        if !is_early {
            self.turned_away.happened(now);
        }
        let for_each = self.turned_away.per_s(now) / served_per_s.max(SERVED_MIN);
        let wait = LEAST.mul_f64(for_each.clamp(1.0, MOST.as_secs_f64() / LEAST.as_secs_f64()));
        if !is_early {
            *told = (who, now + wait);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody is told at the end of five seconds in which so many a second were turned away.
    fn told(turned_away_per_s: u32, served_per_s: f64) -> Duration {
        let mut crowd = Crowd::default();
        let gap = Duration::from_secs(1) / turned_away_per_s;
        let said = (0..5 * turned_away_per_s)
            .map(|turn| crowd.turned_away(turn.into(), served_per_s, gap * turn));
        said.last().expect("some are turned away")
    }

    #[test]
    fn the_wait_grows_with_those_turned_away_for_each_that_is_served() {
        assert_eq!(told(100, 1_000.0), LEAST);
        let twice = told(2_000, 1_000.0);
        assert!(twice.abs_diff(LEAST * 2) < LEAST / 10, "{twice:?}");
        assert_eq!(told(2_000, 0.0), MOST);
    }

    #[test]
    fn one_that_is_turned_away_alone_comes_back_soon() {
        assert_eq!(Crowd::default().turned_away(1, 0.0, Duration::from_secs(9)), LEAST);
    }

    #[test]
    fn few_who_come_again_at_once_are_no_crowd() {
        let (mut crowd, gap) = (Crowd::default(), Duration::from_millis(1));
        let said =
            (0..5_000).map(|turn| crowd.turned_away(u64::from(turn % 20), 100.0, gap * turn));
        let last = said.last().expect("some are turned away");
        // Twenty, each once in 0.3 s, where 100 a second are served.
        assert_eq!(last, LEAST);
    }

    #[test]
    fn a_crowd_that_obeys_is_not_refused_faster_than_it_can_be() {
        // 100,000 come back as told; 2,000 a second are served.
        let (mut crowd, mut now, mut wait) = (Crowd::default(), Duration::ZERO, LEAST);
        let (mut offered, mut who, step) = (0.0, 0, Duration::from_millis(10));
        for turn in 0..2_000 {
            let come = 100_000.0 / wait.as_secs_f64() * step.as_secs_f64();
            now += step;
            for _ in 0..come as u32 {
                who += 1;
                wait = crowd.turned_away(who, 2_000.0, now);
            }
            offered = if turn < 1_000 { 0.0 } else { offered + come };
        }
        assert!(offered / 10.0 < 40_000.0, "{offered} in 10 s, where 330,000 a second would come");
    }
}
