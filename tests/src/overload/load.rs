//! Open-loop load: purchases are sent by a schedule whether or not those before were answered, and
//! latency counts from the scheduled time. Who is told OVERLOADED comes again later in the
//! schedule, with the same ticket, as patient clients do. All of it runs on the test's own thread,
//! which none of the shop's work shares.

use std::{collections::VecDeque, time::Duration};

use chassis::Clock;
use futures::{StreamExt as _, stream, stream::FuturesUnordered};
use proto::gateway::v1::PurchaseState;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tonic::Status;

use super::seen::Seen;
use crate::house::{House, Offer, OpenSale, SEED, Shopper, Ticket, reason};

/// Connections, so that both cores of the gateway have their part.
const CONNECTIONS: usize = 32;
/// Each has many tickets: what is measured is how many purchases there are, not of how many people.
const BUYERS: u32 = 128;
/// Tickets that are issued at once: fewer than the gateway lets begin before it has learnt.
const ISSUED_AT_ONCE: usize = 64;
/// Longer than anybody waits here, so that every answer is ACCEPTED or a refusal.
const LEASE: Duration = Duration::from_secs(5);

/// The buyers of one sale, and what they haven't bought yet.
pub(super) struct Crowd {
    pub(super) sale: OpenSale,
    tickets: VecDeque<Wish>,
    /// How many were issued; no two are for the same order.
    issued: usize,
    shoppers: Vec<Shopper>,
    rng: StdRng,
}

/// A ticket, whose it is, and how often it was sent.
struct Wish {
    shopper: usize,
    ticket: Ticket,
    sent: u32,
}

/// A purchase that came to an end.
struct Ended {
    answer: Result<PurchaseState, Status>,
    scheduled: Duration,
    wish: Wish,
}

impl Crowd {
    /// A sale with plenty of units, and `tickets` tickets for it.
    pub(super) async fn gather(house: &House, tickets: usize) -> Self {
        let offer =
            Offer { units: 1_000_000, limit_per_user: 1_000, lease: LEASE, ..Offer::default() };
        let sale = house.sell(offer).await;
        let channels: Vec<_> = (0..CONNECTIONS).map(|_| house.channel()).collect();
        let mut shoppers = house.shoppers(BUYERS).await;
        for (shopper, channel) in shoppers.iter_mut().zip(channels.iter().cycle()) {
            shopper.channel = channel.clone();
        }
        let (wishes, rng) = (VecDeque::new(), StdRng::seed_from_u64(SEED));
        let mut crowd = Self { sale, tickets: wishes, issued: 0, shoppers, rng };
        crowd.stock_up(tickets).await;
        crowd
    }

    /// Sees to it that there are so many tickets.
    pub(super) async fn stock_up(&mut self, tickets: usize) {
        let missing = tickets.saturating_sub(self.tickets.len());
        let issued = stream::iter(self.issued..self.issued + missing).map(|number| {
            let (place, item) = (number % self.shoppers.len(), &self.sale.item_id);
            let shopper = &self.shoppers[place];
            async move {
                let ticket = shopper.ticket(item, 1, &number.to_string()).await;
                Wish { shopper: place, ticket: ticket.expect("nothing is overloaded now"), sent: 0 }
            }
        });
        let issued: Vec<_> = issued.buffered(ISSUED_AT_ONCE).collect().await;
        self.issued += missing;
        self.tickets.extend(issued);
    }

    /// So many tickets that were never sent, apart from the others.
    pub(super) fn part(&mut self, tickets: usize) -> Self {
        let tickets = self.tickets.split_off(self.tickets.len() - tickets);
        let (sale, shoppers) = (self.sale.clone(), self.shoppers.clone());
        // They are issued no more, or the same would be issued twice.
        Self { sale, tickets, issued: usize::MAX, shoppers, rng: StdRng::seed_from_u64(SEED + 1) }
    }

    /// Offers `per_s` purchases a second for `length`, at random moments, and awaits all answers.
    /// Nothing is judged that was scheduled before `settled`.
    pub(super) async fn offer(&mut self, per_s: f64, length: Duration, settled: Duration) -> Seen {
        let clock = Clock::system();
        let begin = clock.now();
        let mut seen = Seen::new(begin + settled, begin + length);
        let (mut at, mut under_way) = (begin, FuturesUnordered::new());
        loop {
            // All whose time has come: a timer rings once a millisecond.
            let now = clock.now();
            while at <= now && at < begin + length {
                seen.sent(now.saturating_sub(at));
                under_way.push(self.send(at));
                let gap = -self.rng.random_range(f64::EPSILON..1.0).ln() / per_s;
                at += Duration::from_secs_f64(gap);
            }
            let is_over = at >= begin + length;
            tokio::select! {
                biased;
                () = tokio::time::sleep(at.saturating_sub(clock.now())), if !is_over => {}
                Some(ended) = under_way.next() => self.ended(ended, clock.now(), &mut seen),
                else => break,
            }
        }
        seen.close();
        seen
    }

    /// Sends the next ticket.
    fn send(&mut self, scheduled: Duration) -> impl Future<Output = Ended> + use<> {
        let mut wish = self.tickets.pop_front().expect("enough tickets");
        wish.sent += 1;
        let shopper = self.shoppers[wish.shopper].clone();
        async move {
            let answer = shopper.purchase(&wish.ticket, wish.sent).await;
            Ended { answer, scheduled, wish }
        }
    }

    fn ended(&mut self, ended: Ended, now: Duration, seen: &mut Seen) {
        let Ended { answer, scheduled, wish } = ended;
        match answer {
            Ok(PurchaseState::Accepted) => seen.accepted(scheduled, now),
            Ok(state) => panic!("no store failed, but an answer is {state:?}"),
            Err(status) => {
                assert_eq!(reason(&status), "OVERLOADED", "{status:?}");
                seen.overloaded(scheduled);
                self.tickets.push_back(wish);
            }
        }
    }
}
