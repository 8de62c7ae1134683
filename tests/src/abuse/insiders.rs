//! What callers with good accounts and tickets do within their allowances, beside buyers who mean
//! it: deadlines that nobody can keep, leaving early, reading slowly, sending a ticket again and
//! again, streams to the bound, and tokens with a real key's name and no signature of it. Buyers
//! go on buying as before, and neither the limit nor a breaker moves: what a caller chooses is no
//! sign of how the shop is.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::{interval, sleep};

use super::{
    buyers::Trade,
    ground::Ground,
    tricks::{self, Insiders},
};
use crate::strictness;

/// Long enough for a limit to come down to its least, window by window.
const ATTACK_LASTS: Duration = Duration::from_secs(6);
const QUIET_LASTS: Duration = Duration::from_secs(4);
const WARM_UP_LASTS: Duration = Duration::from_secs(10);
/// Of those who bought before, so many still do; and on any machine.
const GOODPUT_MIN: f64 = 0.95;
const GOODPUT_MIN_EVER: f64 = 0.8;
/// How much longer the slowest of a hundred may wait.
const TIMES_MAX: f64 = 1.2;
/// Where others use the machine, a stall of theirs is as long, whatever multiple that is.
const STALL: Duration = Duration::from_millis(500);
/// The limit wanders by itself by a window's worth, and where others use the machine some purchases
/// are unknown without any attack. Deadlines alone took four of five places.
const PLACES_MIN: f64 = 0.9;

/// What goes on, and what operators see of it.
struct Attack {
    name: &'static str,
    begin: Box<dyn Fn() -> BoxFuture<'static, ()>>,
    /// A counter and its label, and by how much it goes up at least.
    counted: Option<(&'static str, &'static str, f64)>,
    /// A gauge and its label, and how high it gets at most.
    held: Option<(&'static str, &'static str, f64)>,
}

impl Attack {
    fn new<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        insiders: &Insiders,
        trick: fn(Insiders) -> F,
    ) -> Self {
        let insiders = insiders.clone();
        let begin = Box::new(move || trick(insiders.clone()).boxed());
        Self { name, begin, counted: None, held: None }
    }
}

fn all(insiders: &Insiders) -> Vec<Attack> {
    vec![
        Attack::new("deadlines of 19 ms", insiders, tricks::hasty),
        Attack::new("calls that are cancelled", insiders, tricks::cancelled),
        Attack::new("replays of own tickets", insiders, tricks::replayed),
        Attack {
            counted: Some(("server_connections_cut_total", "reason=\"crowded\"", 200.0)),
            ..Attack::new("streams that are never read", insiders, tricks::unread_streams)
        },
        Attack {
            // The bound of a network, and some who look.
            held: Some(("seckill_gateway_watchers", "of=\"item\"", 1_100.0)),
            ..Attack::new("streams to the bound", insiders, tricks::many_streams)
        },
        Attack {
            counted: Some(("seckill_gateway_refusals_total", "reason=\"RATE_LIMITED\"", 100.0)),
            ..Attack::new("signatures that are none", insiders, tricks::forged_signatures)
        },
    ]
}

/// What became of the buyers, and of what the shop learns.
struct Seen {
    trade: Trade,
    worst: Worst,
}

/// A quiet time, the attack, and by how much its counter went up.
struct Round {
    before: Seen,
    under: Seen,
    counted: f64,
}

impl Round {
    async fn of(ground: &Ground, attack: &Attack) -> Self {
        let before = see(ground, attack.held, sleep(QUIET_LASTS)).await;
        let figures_before = ground.figures().await;
        let lasting = tokio::time::timeout(ATTACK_LASTS, (attack.begin)()).map(drop);
        let under = see(ground, attack.held, lasting).await;
        let figures = ground.figures().await;
        let counted = attack.counted.map_or(0.0, |(counter, label, _)| {
            figures.sum_or_none(counter, label) - figures_before.sum_or_none(counter, label)
        });
        Self { before, under, counted }
    }

    fn kept(&self) -> f64 {
        self.under.trade.goodput / self.before.trade.goodput
    }

    #[expect(clippy::print_stderr, reason = "a measurement is worth reading also where it passes")]
    fn tell(&self, name: &str) {
        let Self { before, under, .. } = self;
        eprintln!(
            "{name}: {:.1} of {:.1} purchases/s ({:.0} %), p99 {:.1?} after {:.1?}, {:.0} of {:.0} \
             places, {} breakers open, {:.0} held",
            under.trade.goodput,
            before.trade.goodput,
            self.kept() * 100.0,
            under.trade.p99,
            before.trade.p99,
            under.worst.places_min,
            before.worst.places_min,
            under.worst.breakers_max,
            under.worst.held_max,
        );
    }

    /// What must be true of each round.
    fn misses(&self, attack: &Attack) -> Vec<String> {
        let mut misses = Vec::new();
        let mut must = |holds: bool, miss: String| misses.extend((!holds).then_some(miss));
        let goodput_min = if strictness::is_strict() { GOODPUT_MIN } else { GOODPUT_MIN_EVER };
        must(self.kept() >= goodput_min, format!("{:.0} % of the purchases", self.kept() * 100.0));
        let Worst { places_min, breakers_max, held_max } = self.under.worst;
        let places = self.before.worst.places_min * strictness::at_least(PLACES_MIN);
        must(places_min >= places, format!("{places_min} places of {places}"));
        must(breakers_max == 0.0, format!("{breakers_max} breakers are open"));
        if let Some((counter, label, by)) = attack.counted {
            must(self.counted >= by, format!("{counter} {label} went up by {}", self.counted));
        }
        if let Some((gauge, label, max)) = attack.held {
            must(held_max <= max, format!("{gauge} {label} got to {held_max}"));
        }
        misses
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_accounts_can_do_no_more_harm_than_strangers() {
    chassis::open_files::raise().expect("this process may have as many files as it is let");
    let ground = Ground::open_with(settings()).await;
    let insiders = Insiders::of(&ground).await;
    ground.goodput(sleep(WARM_UP_LASTS)).await;
    let mut misses = Vec::new();
    for attack in all(&insiders) {
        let (mut before, mut under) = (Vec::new(), Vec::new());
        for _ in 0..rounds() {
            let round = Round::of(&ground, &attack).await;
            round.tell(attack.name);
            let missed = round.misses(&attack).into_iter();
            misses.extend(missed.map(|miss| format!("{}: {miss}", attack.name)));
            before.push(round.before.trade.p99);
            under.push(round.under.trade.p99);
        }
        let (before, under) = (median(before), median(under));
        if under > p99_max(before) {
            misses.push(format!("{}: p99 is {under:.1?} after {before:.1?}", attack.name));
        }
    }
    assert!(misses.is_empty(), "{misses:#?}");
    ground.books_are_exact().await;
}

/// Of which the median p99 is judged: that of one is made by its three worst purchases.
fn rounds() -> usize {
    if strictness::is_strict() { 5 } else { 1 }
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of[of.len() / 2]
}

/// How long the slowest of a hundred may wait who waited so long before.
fn p99_max(before: Duration) -> Duration {
    let bound = before.mul_f64(strictness::at_most(TIMES_MAX));
    if strictness::is_strict() { bound } else { bound.max(STALL) }
}

/// Where the machine does other things, too, latency alone lowers no limit: that would be its
/// neighbours' doing. What is unknown does.
fn settings() -> BTreeMap<&'static str, &'static str> {
    let noisy = [("SECKILL_GATEWAY__CONCURRENCY__UNHURRIED_MS", "60000")];
    if strictness::is_strict() { BTreeMap::new() } else { noisy.into() }
}

/// What operators see at worst.
struct Worst {
    places_min: f64,
    breakers_max: f64,
    /// The most of what attackers hold.
    held_max: f64,
}

/// How buyers and limits fare while `attack` goes on.
async fn see(
    ground: &Ground,
    held: Option<(&'static str, &'static str, f64)>,
    attack: impl Future<Output = ()> + Send,
) -> Seen {
    let mut worst = Worst { places_min: f64::INFINITY, breakers_max: 0.0, held_max: 0.0 };
    let trade = tokio::select! {
        trade = ground.trade(attack) => trade,
        never = look(ground, held, &mut worst) => match never {},
    };
    Seen { trade, worst }
}

async fn look(
    ground: &Ground,
    held: Option<(&'static str, &'static str, f64)>,
    worst: &mut Worst,
) -> Infallible {
    let Worst { places_min, breakers_max, held_max } = worst;
    let mut looks = interval(Duration::from_millis(100));
    loop {
        looks.tick().await;
        let figures = ground.figures().await;
        *places_min = places_min.min(figures.sum("seckill_gateway_places", &[]));
        *breakers_max = breakers_max.max(figures.sum("seckill_gateway_breakers_open", &[]));
        if let Some((gauge, label, _)) = held {
            *held_max = held_max.max(figures.sum(gauge, &[label]));
        }
    }
}
