//! A simulated server with a known capacity behind the limit: what it learns, what it sheds, how
//! soon it is well again. Arrivals and service times come from a seed.

use std::{cmp::Reverse, collections::BinaryHeap};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::config::Config;

const SEED: u64 = 20_260_401;

const RULES: Rules = Rules {
    places_first: 256,
    places_min: 8,
    places_max: 2048,
    stretch: 2.0,
    unhurried: Duration::from_millis(1),
    window: Duration::from_millis(100),
    samples_min: 20,
    doubt_after: Duration::from_secs(10),
};

/// So many at once, each for so long: 2,000 a second, and 20 under way without a queue.
const WORKERS: usize = 20;
const SERVICE: Duration = Duration::from_millis(10);
const CAPACITY: f64 = 2000.0;

/// A server, calls that arrive by themselves, and the limit between them.
struct World {
    limit: Limit,
    rng: StdRng,
    now: Duration,
    service: Duration,
    /// Service times are spread from a fifth to five times the usual, or not.
    is_jittery: bool,
    /// The server answers nothing.
    is_dead: bool,
    workers: BinaryHeap<Reverse<Duration>>,
    /// When, and how.
    ends: BinaryHeap<Reverse<(Duration, Option<Duration>)>>,
}

/// What came of a stretch of time.
struct Seen {
    offered: u32,
    refused: u32,
    answered: u32,
    /// Places, at the worst.
    places_min: usize,
    for_s: f64,
    latencies: Vec<Duration>,
}

impl Seen {
    fn goodput(&self) -> f64 {
        f64::from(self.answered) / self.for_s
    }

    fn p99(&self) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted[sorted.len() * 99 / 100]
    }
}

impl World {
    fn new() -> Self {
        Self {
            limit: Limit::new(RULES),
            rng: StdRng::seed_from_u64(SEED),
            now: Duration::ZERO,
            service: SERVICE,
            is_jittery: false,
            is_dead: false,
            workers: std::iter::repeat_n(Reverse(Duration::ZERO), WORKERS).collect(),
            ends: BinaryHeap::new(),
        }
    }

    /// Calls arrive at `load` times the first capacity for `seconds`.
    fn offer(&mut self, load: f64, seconds: u64) -> Seen {
        let until = self.now + Duration::from_secs(seconds);
        let mut seen = Seen {
            offered: 0,
            refused: 0,
            answered: 0,
            places_min: usize::MAX,
            latencies: Vec::new(),
            for_s: seconds as f64,
        };
        while self.now < until {
            let gap = -self.rng.random_range(f64::EPSILON..1.0).ln() / (load * CAPACITY);
            self.now += Duration::from_secs_f64(gap);
            while let Some(&Reverse((at, latency))) = self.ends.peek()
                && at <= self.now
            {
                let ended = latency.map_or(Ended::Unknown, Ended::Answered);
                self.limit.saw(ended, self.ends.len(), at);
                self.ends.pop();
                seen.answered += u32::from(latency.is_some());
                seen.latencies.extend(latency);
            }
            seen.offered += 1;
            seen.places_min = seen.places_min.min(self.limit.places());
            if self.ends.len() < self.limit.places() {
                self.serve();
            } else {
                seen.refused += 1;
            }
        }
        seen
    }

    /// Nobody serves for so long.
    fn stand_still(&mut self, lasts: Duration) {
        let until = self.now + lasts;
        let workers = std::mem::take(&mut self.workers).into_iter();
        self.workers = workers.map(|Reverse(free_at)| Reverse(free_at.max(until))).collect();
    }

    fn serve(&mut self) {
        if self.is_dead {
            self.ends.push(Reverse((self.now + Duration::from_secs(2), None)));
            return;
        }
        let jitter = match self.is_jittery {
            true => 5_f64.powf(self.rng.random_range(-1.0..1.0)) * 0.67,
            false => 1.0,
        };
        let Reverse(free_at) = self.workers.pop().expect("there are workers");
        let ends_at = free_at.max(self.now) + self.service.mul_f64(jitter);
        self.workers.push(Reverse(ends_at));
        self.ends.push(Reverse((ends_at, Some(ends_at - self.now))));
    }
}

#[test]
fn it_settles_near_what_the_server_can_do() {
    let mut world = World::new();
    world.offer(0.8, 5);
    world.offer(3.0, 5);
    let seen = world.offer(3.0, 5);
    let places = world.limit.places();
    assert!((WORKERS..=3 * WORKERS).contains(&places), "{places}");
    assert!(seen.goodput() >= 0.95 * CAPACITY, "{}", seen.goodput());
}

#[test]
fn ten_times_the_load_is_shed_at_once_and_forgotten_soon() {
    let mut world = World::new();
    world.offer(0.8, 3);
    let usual = world.offer(0.8, 5);
    assert_eq!(usual.refused, 0, "nobody is refused without need");
    world.offer(10.0, 2);
    let burst = world.offer(10.0, 20);
    assert!(burst.goodput() >= 0.9 * CAPACITY, "{}", burst.goodput());
    assert!(burst.p99() <= usual.p99() * 3, "{:?} of {:?}", burst.p99(), usual.p99());
    world.offer(0.8, 5);
    let after = world.offer(0.8, 5);
    assert!(after.refused * 100 <= after.offered, "{} of {}", after.refused, after.offered);
    assert!(after.p99() <= usual.p99().mul_f64(1.2), "{:?} of {:?}", after.p99(), usual.p99());
}

#[test]
fn a_limit_that_was_far_too_high_comes_down_within_seconds() {
    let mut world = World::new();
    world.limit.places = 2048.0;
    world.offer(0.5, 2);
    world.offer(10.0, 5);
    let seen = world.offer(10.0, 3);
    assert!(seen.p99() <= SERVICE * 4, "{:?}", seen.p99());
}

#[test]
fn a_burst_does_not_take_it_below_what_the_server_can_do() {
    let mut world = World::new();
    world.offer(0.5, 2);
    let seen = world.offer(10.0, 5);
    assert!(seen.places_min >= WORKERS * 3 / 2, "{}", seen.places_min);
    assert!(seen.goodput() >= 0.98 * CAPACITY, "{}", seen.goodput());
}

/// A server whose every answer becomes slow at once, as when refusals take the time that it needs,
/// ends no fewer than before.
#[test]
fn it_keeps_the_places_that_the_pace_is_worth() {
    let doubt_after = Duration::from_secs(3600);
    let mut limit = Limit::new(Rules { doubt_after, ..RULES });
    let mut now = Duration::ZERO;
    let mut answer = |times: u32, gap: Duration, took: Duration| {
        for _ in 0..times {
            now += gap;
            limit.saw(Ended::Answered(took), limit.places(), now);
        }
        limit.places()
    };
    let gap = Duration::from_secs(1).div_f64(CAPACITY);
    answer(10_000, gap, SERVICE);
    let worth_it = (CAPACITY * SERVICE.as_secs_f64() * RULES.stretch) as usize;
    let slow = answer(10_000, gap, SERVICE * 20);
    assert!(slow.abs_diff(worth_it) <= 2, "{slow} of {worth_it}");
    // What was once done is forgotten.
    let slower = answer(600, gap * 100, SERVICE * 20);
    assert!(slower < worth_it / 2, "{slower}");
}

/// A sale opens after a lull, and is slow at first. Everything has become slower where that stays
/// so, however few come.
#[test]
fn a_lull_raises_no_doubt_and_few_that_are_slow_do() {
    let mut limit = Limit::new(RULES);
    let mut now = Duration::ZERO;
    let mut answer = |times: u32, gap: Duration, took: Duration| {
        for _ in 0..times {
            now += gap;
            limit.saw(Ended::Answered(took), limit.places(), now);
        }
        limit.places()
    };
    let (gap, slow) = (RULES.window / RULES.samples_min, SERVICE * 5 / 2);
    let before = answer(10 * RULES.samples_min, gap, SERVICE);
    answer(1, RULES.doubt_after + Duration::from_secs(1), slow);
    let after = answer(RULES.samples_min - 1, gap, slow);
    assert!(after > before / 2, "{after} of {before}");
    // It has fewer than the least only while it measures.
    let measures = |_| answer(1, Duration::from_secs(1), SERVICE * 6) < RULES.places_min;
    assert!((0..400).any(measures));
}

/// A store that is failed over, a machine that was elsewhere: what waited meanwhile is worked off.
#[test]
fn who_comes_after_a_standstill_is_not_refused() {
    let mut world = World::new();
    world.offer(0.7, 3);
    for _ in 0..3 {
        world.stand_still(Duration::from_millis(60));
        let seen = world.offer(0.7, 2);
        assert_eq!(seen.refused, 0, "of {}, {} places", seen.offered, seen.places_min);
    }
}

/// The queue of one sale is answered in large batches; between them, a few of another sale that has
/// none are answered at once.
#[test]
fn quick_purchases_of_another_sale_do_not_hide_a_queue() {
    let mut limit = Limit::new(RULES);
    let mut now = Duration::ZERO;
    let mut window = |times: u32, took: Duration| {
        for _ in 0..times {
            now += RULES.window / times;
            limit.saw(Ended::Answered(took), limit.places(), now);
        }
        limit.places()
    };
    let before = (0..20).map(|_| window(30, SERVICE)).max().expect("some");
    let mut places = before;
    for _ in 0..6 {
        window(200, SERVICE * 70);
        places = (0..3).map(|_| window(30, SERVICE)).min().expect("some");
    }
    assert!(places < before / 4, "{places} of {before}");
    // And when the queue is gone, that is seen as soon.
    let after = (0..40).map(|_| window(200, SERVICE)).max().expect("some");
    assert!(after > places * 2, "{after} after {places}");
}

#[test]
fn jitter_is_no_overload() {
    let mut world = World::new();
    world.is_jittery = true;
    let seen = world.offer(0.8, 30);
    assert!(seen.refused * 50 <= seen.offered, "{} of {}", seen.refused, seen.offered);
}

#[test]
fn jitter_under_load_costs_little() {
    let mut world = World::new();
    world.is_jittery = true;
    world.offer(0.8, 5);
    world.offer(3.0, 5);
    let seen = world.offer(3.0, 20);
    assert!(seen.goodput() >= 0.85 * CAPACITY, "{}", seen.goodput());
}

#[test]
fn a_server_that_became_slower_for_good_is_used_in_full_again() {
    let mut world = World::new();
    world.offer(0.8, 5);
    world.service = SERVICE * 6;
    world.offer(3.0, 30);
    let seen = world.offer(3.0, 10);
    assert!(seen.goodput() >= 0.85 * CAPACITY / 6.0, "{}", seen.goodput());
}

#[test]
fn no_answers_take_it_to_the_least_and_answers_bring_it_back() {
    let mut world = World::new();
    world.offer(0.8, 5);
    world.is_dead = true;
    world.offer(0.8, 30);
    assert_eq!(world.limit.places(), RULES.places_min);
    world.is_dead = false;
    world.offer(0.8, 5);
    let seen = world.offer(0.8, 5);
    assert!(seen.refused * 50 <= seen.offered, "{} of {}", seen.refused, seen.offered);
}

#[test]
fn what_nobody_uses_does_not_grow() {
    let mut world = World::new();
    world.offer(0.1, 20);
    assert_eq!(world.limit.places(), RULES.places_first);
}

#[test]
fn nobody_minds_what_is_fast_enough() {
    let mut world = World::new();
    world.limit = Limit::new(Rules { unhurried: SERVICE * 10, ..RULES });
    world.offer(0.2, 2);
    world.offer(3.0, 10);
    let seen = world.offer(3.0, 5);
    let mean = seen.latencies.iter().sum::<Duration>() / seen.answered;
    assert!(mean >= SERVICE * 9 && mean <= SERVICE * 16, "{mean:?}");
}

/// The table of ARCHITECTURE.md, "Each limit can do what it is for".
#[test]
fn with_the_settings_as_shipped_a_few_are_enough_to_learn_from_however_slowly_they_come() {
    let rules = Config::load(None).unwrap().concurrency.rules();
    let ended = [(Ended::Unknown, 20), (Ended::Answered(Duration::from_secs(3)), 60)];
    for (slow, enough) in ended {
        let mut limit = Limit::new(rules);
        let mut now = Duration::ZERO;
        let mut end = |limit: &mut Limit, ended, count| {
            for _ in 0..count {
                now += Duration::from_secs(3);
                limit.saw(ended, 1, now);
            }
        };
        // One at a time: it knows how long it takes where nothing presses.
        end(&mut limit, Ended::Answered(Duration::from_millis(5)), 20);
        let before = limit.places();
        end(&mut limit, slow, enough - 1);
        assert_eq!(limit.places(), before, "{slow:?}");
        end(&mut limit, slow, 1);
        assert!(limit.places() < before, "{slow:?}: {} of {before}", limit.places());
    }
}
