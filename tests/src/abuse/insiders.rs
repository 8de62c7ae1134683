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
    goes_on: BoxFuture<'static, ()>,
    /// A counter and its label, and by how much it goes up at least.
    counted: Option<(&'static str, &'static str, f64)>,
    /// A gauge and its label, and how high it gets at most.
    held: Option<(&'static str, &'static str, f64)>,
}

fn all(insiders: &Insiders) -> Vec<Attack> {
    let attack =
        |name, goes_on: BoxFuture<'static, ()>| Attack { name, goes_on, counted: None, held: None };
    let all = insiders.clone();
    vec![
        attack("deadlines of 19 ms", tricks::hasty(all.clone()).boxed()),
        attack("calls that are cancelled", tricks::cancelled(all.clone()).boxed()),
        attack("replays of own tickets", tricks::replayed(all.clone()).boxed()),
        Attack {
            counted: Some(("server_connections_cut_total", "reason=\"crowded\"", 200.0)),
            ..attack("streams that are never read", tricks::unread_streams(all.clone()).boxed())
        },
        Attack {
            // The bound of a network, and some who look.
            held: Some(("seckill_gateway_watchers", "of=\"item\"", 1_100.0)),
            ..attack("streams to the bound", tricks::many_streams(all.clone()).boxed())
        },
        Attack {
            counted: Some(("seckill_gateway_refusals_total", "reason=\"RATE_LIMITED\"", 100.0)),
            ..attack("signatures that are none", tricks::forged_signatures(all).boxed())
        },
    ]
}

/// What became of the buyers, and of what the shop learns.
struct Seen {
    trade: Trade,
    worst: Worst,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a measurement is worth reading also where it passes")]
async fn good_accounts_can_do_no_more_harm_than_strangers() {
    chassis::open_files::raise().expect("this process may have as many files as it is let");
    let ground = Ground::open_with(settings()).await;
    let insiders = Insiders::of(&ground).await;
    ground.goodput(sleep(WARM_UP_LASTS)).await;
    let mut misses = Vec::new();
    for attack in all(&insiders) {
        let Attack { name, goes_on, counted, held } = attack;
        let before = see(&ground, held, sleep(QUIET_LASTS)).await;
        let figures_before = ground.figures().await;
        let lasting = tokio::time::timeout(ATTACK_LASTS, goes_on).map(drop);
        let under = see(&ground, held, lasting).await;
        let figures = ground.figures().await;
        let kept = under.trade.goodput / before.trade.goodput;
        let goodput_min = if strictness::is_strict() { GOODPUT_MIN } else { GOODPUT_MIN_EVER };
        let slow_max = p99_max(before.trade.p99);
        eprintln!(
            "{name}: {:.1} of {:.1} purchases/s ({:.0} %), p99 {:.1?} after {:.1?}, {:.0} of {:.0} \
             places, {} breakers open, {:.0} held",
            under.trade.goodput,
            before.trade.goodput,
            kept * 100.0,
            under.trade.p99,
            before.trade.p99,
            under.worst.places_min,
            before.worst.places_min,
            under.worst.breakers_max,
            under.worst.held_max,
        );
        let mut must = |holds: bool, miss: String| {
            if !holds {
                eprintln!("  missed: {miss}");
                misses.push(format!("{name}: {miss}"));
            }
        };
        must(kept >= goodput_min, format!("{:.0} % of the purchases", kept * 100.0));
        must(under.trade.p99 <= slow_max, format!("p99 is {:.1?}", under.trade.p99));
        let places = before.worst.places_min * strictness::at_least(PLACES_MIN);
        must(
            under.worst.places_min >= places,
            format!("{} places of {places}", under.worst.places_min),
        );
        must(
            under.worst.breakers_max == 0.0,
            format!("{} breakers are open", under.worst.breakers_max),
        );
        if let Some((counter, label, by)) = counted {
            let more =
                figures.sum_or_none(counter, label) - figures_before.sum_or_none(counter, label);
            must(more >= by, format!("{counter} {label} went up by {more}"));
        }
        if let Some((gauge, label, max)) = held {
            must(
                under.worst.held_max <= max,
                format!("{gauge} {label} got to {}", under.worst.held_max),
            );
        }
    }
    assert!(misses.is_empty(), "{misses:#?}");
    ground.books_are_exact().await;
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
