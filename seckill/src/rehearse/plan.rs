//! When each shopper arrives. The schedule is fixed before the doors open and nothing that the shop
//! does moves it: latency counts from the scheduled moment, so a slow answer can't hide the wait of
//! those behind it.

use std::time::Duration;

/// Time for the sale to be loaded, whatever the number of shoppers.
const LEAD_MIN: Duration = Duration::from_secs(2);
/// How many tickets a second even a small machine can be expected to issue.
const TICKETS_PER_S: u32 = 5_000;
/// How long a buyer's token outlives the last arrival: everything that is asked afterwards.
const AFTERWARDS: Duration = Duration::from_secs(600);

/// The shape of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) units: u32,
    pub(super) shoppers: u32,
    /// The last shopper arrives so long after the first.
    pub(super) arrive_within: Duration,
}

impl Plan {
    /// When the shopper arrives, after the doors opened: evenly spread, the first one at once.
    pub(super) fn arrival(&self, shopper: u32) -> Duration {
        let nanos = self.arrive_within.as_nanos() * u128::from(shopper);
        let nanos = nanos / u128::from(self.shoppers.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// From scheduling the sale to its opening: time to load it and to issue everybody's ticket.
    pub(super) fn lead(&self) -> Duration {
        LEAD_MIN + Duration::from_secs(1) * self.shoppers / TICKETS_PER_S
    }

    /// How long shoppers' tokens must live, within what user-svc grants.
    pub(super) fn token_lifetime_s(&self) -> u32 {
        let wanted = self.lead() + self.arrive_within + AFTERWARDS;
        u32::try_from(wanted.as_secs()).unwrap_or(u32::MAX).clamp(60, 3_600)
    }

    /// How long the sale stays open.
    pub(super) fn open_for(&self) -> Duration {
        self.arrive_within + AFTERWARDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(shoppers: u32, within_ms: u64) -> Plan {
        Plan { units: 10, shoppers, arrive_within: Duration::from_millis(within_ms) }
    }

    #[test]
    fn arrivals_are_spread_evenly_and_in_order() {
        let plan = plan(4, 1_000);
        let arrivals: Vec<u128> = (0..4).map(|at| plan.arrival(at).as_millis()).collect();
        assert_eq!(arrivals, [0, 250, 500, 750]);
    }

    #[test]
    fn a_million_shoppers_in_a_day_stay_exact() {
        let plan = plan(1_000_000, 86_400_000);
        assert_eq!(plan.arrival(999_999), Duration::from_micros(86_400_000_000 - 86_400));
    }

    #[test]
    fn tokens_live_as_long_as_user_svc_allows_and_no_longer() {
        assert_eq!(plan(1_000_000, 86_400_000).token_lifetime_s(), 3_600);
        assert_eq!(plan(20_000, 1_000).token_lifetime_s(), 607);
    }
}
