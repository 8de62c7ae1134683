//! Open-loop load: purchases are sent by a schedule whether or not those before were answered, and
//! latency counts from the scheduled time. Who is told OVERLOADED comes again later in the
//! schedule, with the same ticket, as patient clients do.

use std::{collections::VecDeque, time::Duration};

use chassis::Clock;
use futures::{StreamExt as _, stream, stream::FuturesUnordered};
use proto::gateway::v1::PurchaseState;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::house::{House, Offer, OpenSale, SEED, Shopper, Ticket, reason};

/// Connections, so that both cores of the gateway have some.
const CONNECTIONS: u32 = 32;

/// Longer than anybody waits here, so that every answer is ACCEPTED or a refusal.
const LEASE: Duration = Duration::from_secs(5);

/// The buyers of one sale, and what they haven't bought yet.
pub(super) struct Crowd {
    pub(super) sale: OpenSale,
    /// Whose ticket it is, and how often it was sent.
    tickets: VecDeque<(usize, Ticket, u32)>,
    shoppers: Vec<Shopper>,
    rng: StdRng,
}

/// What came of a stretch of load.
pub(super) struct Seen {
    pub(super) offered: usize,
    pub(super) accepted: usize,
    pub(super) overloaded: usize,
    /// Of those who were accepted, in order.
    latencies: Vec<Duration>,
    /// Accepted in the time that is judged, whenever they were scheduled.
    done: usize,
    for_s: f64,
    /// How far the generator was behind its schedule at worst.
    late_max: Duration,
}

/// A generator that is later than this measures the machine and not the shop.
const LATE_MAX: Duration = Duration::from_millis(500);

impl Seen {
    /// Accepted in a second.
    pub(super) fn goodput(&self) -> f64 {
        self.done as f64 / self.for_s
    }

    /// The latency that 99 of 100 accepted don't exceed.
    pub(super) fn p99(&self) -> Duration {
        self.latencies[self.latencies.len() * 99 / 100]
    }

    /// For the reader of the output.
    pub(super) fn tell(&self, what: &str) {
        let (goodput, p99) = (self.goodput(), self.p99());
        let Self { offered, overloaded, late_max, .. } = self;
        #[expect(clippy::print_stdout, reason = "the figures are what the story is about")]
        {
            println!(
                "{what}: {offered} offered, {goodput:.0}/s accepted, p99 {p99:.0?}, \
                 {overloaded} told OVERLOADED; the generator was {late_max:.0?} late at most"
            );
        }
        assert!(
            *late_max < LATE_MAX,
            "this machine is too busy to say anything: {late_max:?} late"
        );
    }
}

impl Crowd {
    /// A sale with plenty of units, and `tickets` tickets for it.
    pub(super) async fn gather(house: &House, tickets: usize) -> Self {
        let offer = Offer { units: 1_000_000, limit_per_user: 1_000, lease: LEASE };
        let sale = house.sell(offer).await;
        let mut shoppers = Vec::new();
        for shopper in house.shoppers(CONNECTIONS).await {
            shoppers.push(Shopper { channel: house.channel(), ..shopper });
        }
        let issued = stream::iter(0..tickets).map(|number| {
            let (place, item) = (number % shoppers.len(), &sale.item_id);
            let shopper = &shoppers[place];
            async move {
                let ticket = shopper.ticket(item, 1, &number.to_string()).await;
                (place, ticket.expect("nothing is overloaded yet"), 0)
            }
        });
        let tickets = issued.buffered(4).collect().await;
        Self { sale, tickets, shoppers, rng: StdRng::seed_from_u64(SEED) }
    }

    /// Offers `per_s` purchases a second for `length`, at random moments, and awaits all answers.
    /// Nothing is judged that was scheduled before `settled`.
    pub(super) async fn offer(&mut self, per_s: f64, length: Duration, settled: Duration) -> Seen {
        let clock = Clock::system();
        let begin = clock.now();
        let mut seen = Seen {
            offered: 0,
            accepted: 0,
            overloaded: 0,
            latencies: Vec::new(),
            done: 0,
            for_s: (length - settled).as_secs_f64(),
            late_max: Duration::ZERO,
        };
        let (mut at, mut under_way) = (begin, FuturesUnordered::new());
        loop {
            let wait = at.saturating_sub(clock.now());
            let is_over = at >= begin + length;
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait), if !is_over => {
                    let (place, ticket, sent) = self.tickets.pop_front().expect("enough tickets");
                    seen.late_max = seen.late_max.max(clock.now().saturating_sub(at));
                    let (shopper, scheduled) = (self.shoppers[place].clone(), at);
                    under_way.push(async move {
                        let answer = shopper.purchase(&ticket, sent + 1).await;
                        (answer, scheduled, (place, ticket, sent + 1))
                    });
                    let gap = -self.rng.random_range(f64::EPSILON..1.0).ln() / per_s;
                    at += Duration::from_secs_f64(gap);
                }
                Some((answer, scheduled, ticket)) = under_way.next() => {
                    let counts = scheduled >= begin + settled;
                    seen.offered += usize::from(counts);
                    let now = clock.now();
                    let is_judged = now >= begin + settled && now < begin + length;
                    seen.done += usize::from(answer.is_ok() && is_judged);
                    match answer {
                        Ok(PurchaseState::Accepted) if counts => {
                            seen.accepted += 1;
                            seen.latencies.push(now.saturating_sub(scheduled));
                        }
                        Ok(PurchaseState::Accepted) => {}
                        Ok(state) => panic!("no store failed, but an answer is {state:?}"),
                        Err(status) => {
                            assert_eq!(reason(&status), "OVERLOADED", "{status:?}");
                            seen.overloaded += usize::from(counts);
                            self.tickets.push_back(ticket);
                        }
                    }
                }
                else => break,
            }
        }
        seen.latencies.sort_unstable();
        seen
    }
}
