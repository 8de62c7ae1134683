//! Random lists of commands from a seed, judged by `law` and by what books would know: totals,
//! limits, once per order id, times of admission. It keeps its own small record of what it was told
//! and never looks inside the keeper.

use std::{collections::HashMap, time::Duration};

use ids::{Epoch, OrderId, ShardNo, UserId};
use law::{AdmissionTimes, Units};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::Bench;
use crate::{
    domain::{ATTEMPT_LASTS_US, PLACED_NOBODY_SAYS, hold::ATTEMPTS_MAX},
    ledger::{
        Activation, Count, EntryAnswer, Error, Found, Hold, OpenHold, Place, Refusal, ReserveEntry,
        Settled, Settlement, StagedOrder, Terms,
    },
};

const TOTAL: u32 = 40;
const LIMIT: u32 = 3;
const ORDERS: u8 = 60;
const USERS: u8 = 12;
const WINDOW_MS: u64 = 3_600_000;

pub(super) async fn play(bench: &dyn Bench, seed: u64, steps: usize) {
    let mut walk = Walk::new(bench, seed);
    walk.load().await;
    for step in 0..steps {
        walk.at = format!("seed {seed}, step {step}");
        match walk.random.random_range(0..100) {
            0..50 => walk.reserve().await,
            50..55 => walk.bar().await,
            55..80 => walk.settle().await,
            80..88 => walk.postpone().await,
            88..93 => walk.pass().await,
            93..96 => walk.load().await,
            96..98 => walk.close().await,
            98 => walk.forget().await,
            _ => walk.restart().await,
        }
        walk.judge().await;
    }
}

/// What the walk was told of an order in the epoch that is loaded.
#[derive(Clone, Copy)]
struct Told {
    user: UserId,
    quantity: u32,
    state: Found,
}

struct Walk<'a> {
    bench: &'a dyn Bench,
    random: StdRng,
    at: String,
    shard: ShardNo,
    epoch: Epoch,
    terms: Terms,
    is_open: bool,
    /// The highest one that the keeper has seen.
    generation: u64,
    /// Units that the books refused; nobody has them until the next load.
    lost: u64,
    told: HashMap<OrderId, Told>,
    /// When somebody was told that there is nothing of an order, in microseconds.
    barred: HashMap<OrderId, u64>,
    /// By how many seconds the clock is behind the latest time that the shard has seen.
    behind_s: u64,
}

impl<'a> Walk<'a> {
    fn new(bench: &'a dyn Bench, seed: u64) -> Self {
        let opens_ms = bench.now_ms();
        Self {
            bench,
            random: StdRng::seed_from_u64(seed),
            at: format!("seed {seed}, start"),
            shard: ShardNo::new(1).expect("above 0"),
            epoch: Epoch::new(1).expect("above 0"),
            terms: Terms { opens_ms, closes_ms: opens_ms + WINDOW_MS, limit_per_user: LIMIT },
            is_open: false,
            generation: 10,
            lost: 0,
            told: HashMap::new(),
            barred: HashMap::new(),
            behind_s: 0,
        }
    }

    fn pick_order(&mut self) -> OrderId {
        let mut hash = [0; 12];
        hash[11] = self.random.random_range(0..ORDERS);
        OrderId::mint(self.shard, hash)
    }

    async fn reserve(&mut self) {
        let now_ms = self.bench.now_ms();
        let size = self.random.random_range(1..6);
        let entries: Vec<_> = (0..size)
            .map(|_| {
                let ends_in_ms = if self.random.random_bool(0.9) { WINDOW_MS } else { 0 };
                let placed_us = match self.random.random_range(0..3) {
                    0 => PLACED_NOBODY_SAYS,
                    1 => now_ms * 1000,
                    _ => (now_ms - self.random.random_range(0..15_000)) * 1000,
                };
                ReserveEntry {
                    order: self.pick_order(),
                    user: UserId::from_bytes([self.random.random_range(0..USERS); 16]),
                    quantity: self.random.random_range(1..=LIMIT + 1),
                    unit_price: 100,
                    ticket_expires_ms: now_ms + ends_in_ms,
                    placed_us,
                    traceparent: String::new(),
                }
            })
            .collect();
        let paused = self.random.random_bool(0.1);
        let ledger = self.bench.ledger();
        let reserved = ledger.reserve(self.shard, self.epoch, paused, entries.clone()).await;
        match reserved {
            Err(Error::ClockBack) => assert!(self.is_open && self.behind_s > 1, "{}", self.at),
            Err(error) => assert!(!self.is_open && error == Error::Fenced, "{}", self.at),
            Ok(reserved) => {
                assert!(self.is_open, "{}: a closed shard admitted", self.at);
                assert!(self.behind_s <= 1, "{}: time went back", self.at);
                for (entry, answer) in entries.iter().zip(reserved.answers) {
                    self.hear(paused, entry, answer);
                }
            }
        }
    }

    fn hear(&mut self, paused: bool, entry: &ReserveEntry, answer: EntryAnswer) {
        let at = &self.at;
        let told = self.told.get(&entry.order).copied();
        match answer {
            EntryAnswer::Held(Hold { user, quantity, taken_at_ms, .. }) => {
                assert!(told.is_none(), "{at}: held twice");
                assert!(!paused, "{at}: held in a pause");
                assert_eq!((user, quantity), (entry.user, entry.quantity), "{at}");
                let times = AdmissionTimes {
                    opens_ms: self.terms.opens_ms,
                    closes_ms: self.terms.closes_ms,
                    ticket_expires_ms: entry.ticket_expires_ms,
                };
                law::admitted_lawfully(taken_at_ms, times).unwrap_or_else(|v| panic!("{at}: {v}"));
                assert!(!self.is_too_late(entry, taken_at_ms), "{at}: an attempt that was over");
                self.told.insert(entry.order, Told { user, quantity, state: Found::Open });
            }
            EntryAnswer::Open(_) => {
                assert_eq!(told.map(|told| told.state), Some(Found::Open), "{at}");
            }
            EntryAnswer::Settled(state) => {
                assert_eq!(told.map(|told| told.state), Some(Found::Settled(state)), "{at}");
            }
            EntryAnswer::Refused(refusal) => {
                assert!(told.is_none(), "{at}: a known order was refused");
                self.check_refusal(refusal, entry);
            }
        }
    }

    /// A refusal for want of units must be true; the others are the stories' to check.
    fn check_refusal(&self, refusal: Refusal, entry: &ReserveEntry) {
        let taken =
            |told: &&Told| matches!(told.state, Found::Open | Found::Settled(Settled::Placed));
        let live = self.told.values().filter(taken);
        match refusal {
            Refusal::LimitReached => {
                let of_user = live.filter(|told| told.user == entry.user);
                let units: u32 = of_user.map(|told| told.quantity).sum();
                assert!(units + entry.quantity > LIMIT, "{}: within the limit", self.at);
            }
            Refusal::SoldOut => {
                let units: u64 = live.map(|told| u64::from(told.quantity)).sum();
                let left = u64::from(TOTAL) - self.lost - units;
                assert!(left < u64::from(entry.quantity), "{}: {left} were left", self.at);
            }
            Refusal::TooLate => {
                let now_ms = self.bench.now_ms() + 1_000;
                assert!(self.is_too_late(entry, now_ms), "{}: it was in time", self.at);
            }
            Refusal::NotOpen | Refusal::Closed | Refusal::TicketExpired | Refusal::Paused => {}
        }
    }

    fn is_too_late(&self, entry: &ReserveEntry, now_ms: u64) -> bool {
        let is_barred = |barred_us: &u64| entry.placed_us <= *barred_us;
        self.barred.get(&entry.order).is_some_and(is_barred)
            || now_ms * 1000 >= entry.placed_us.saturating_add(ATTEMPT_LASTS_US)
    }

    /// Somebody will be told of orders, and of some that there is nothing.
    async fn bar(&mut self) {
        let orders: Vec<_> = (0..3).map(|_| self.pick_order()).collect();
        match self.bench.ledger().find(self.shard, self.epoch, true, &orders).await {
            Err(Error::ClockBack) => assert!(self.is_open && self.behind_s > 1, "{}", self.at),
            Err(error) => assert!(!self.is_open && error == Error::Fenced, "{}", self.at),
            Ok(look) => {
                let nothing = orders.iter().zip(look.found).filter(|(_, is)| *is == Found::Nothing);
                self.barred.extend(nothing.map(|(order, _)| (*order, look.now_us)));
            }
        }
    }

    async fn settle(&mut self) {
        let count = self.random.random_range(1..5);
        let mut decisions = Vec::new();
        for _ in 0..count {
            let states = [Settled::Placed, Settled::Placed, Settled::Placed, Settled::Rejected];
            let state = states[self.random.random_range(0..states.len())];
            decisions.push((self.pick_order(), state));
        }
        let is_older = self.random.random_bool(0.1);
        let generation = if is_older { self.generation - 1 } else { self.generation + 1 };
        let ledger = self.bench.ledger();
        match ledger.settle(self.shard, self.epoch, Some(generation), &decisions).await {
            Err(error) => assert!(!self.is_open && error == Error::Fenced, "{}", self.at),
            Ok(Settlement::Applied { rejected }) => {
                assert!(!is_older, "{}: older books were heard", self.at);
                self.generation = generation;
                let refused =
                    decisions.into_iter().filter(|(order, state)| self.decide(*order, *state));
                assert_eq!(refused.count(), rejected as usize, "{}", self.at);
            }
            Ok(Settlement::GenerationLower { seen }) => {
                assert!(is_older, "{}: newer books were not heard", self.at);
                assert_eq!(seen, self.generation, "{}", self.at);
            }
            Ok(Settlement::OtherEpoch) => panic!("{}: it is this epoch", self.at),
        }
    }

    /// What a decision of the books does to an order; whether it took the units of a live one.
    fn decide(&mut self, order: OrderId, decision: Settled) -> bool {
        let Some(told) = self.told.get_mut(&order) else {
            return false;
        };
        match (told.state, decision) {
            (Found::Open | Found::Settled(Settled::Placed), Settled::Rejected) => {
                told.state = Found::Settled(Settled::Rejected);
                self.lost += u64::from(told.quantity);
                true
            }
            (Found::Open, Settled::Placed) => {
                told.state = Found::Settled(Settled::Placed);
                false
            }
            _ => false,
        }
    }

    async fn postpone(&mut self) {
        let ledger = self.bench.ledger();
        let limit = self.random.random_range(1..10);
        let due = match ledger.due(self.shard, limit).await {
            Ok(due) => due,
            Err(error) => {
                assert!(!self.is_open && error == Error::Fenced, "{}", self.at);
                return;
            }
        };
        assert!(due.holds.len() <= limit, "{}", self.at);
        let places: Vec<_> = due.holds.iter().map(OpenHold::place).collect();
        for Place { order, .. } in &places {
            assert_eq!(self.told[order].state, Found::Open, "{}: due, but not open", self.at);
        }
        // Someone else may have seen the same.
        for _ in 0..2 {
            ledger.postpone(self.shard, due.epoch, &places).await.expect("open a moment ago");
        }
        let again = ledger.due(self.shard, usize::MAX).await.expect("open a moment ago");
        let is_back = |place: &Place| again.holds.iter().any(|open| open.hold.order == place.order);
        assert!(!places.iter().any(is_back), "{}: put off and due at once", self.at);
        let all = ledger.holds(self.shard, None, usize::MAX).await.expect("open a moment ago");
        for place in places {
            let now = all.holds.iter().find(|open| open.hold.order == place.order);
            let attempts = now.map(|open| open.attempts);
            let once = (place.attempts + 1).min(ATTEMPTS_MAX);
            assert_eq!(attempts, Some(once), "{}: put off once", self.at);
        }
    }

    async fn pass(&mut self) {
        let by_s = self.random.random_range(1..600);
        let by = Duration::from_secs(by_s);
        if self.random.random_bool(0.25) {
            self.behind_s += by_s;
            self.bench.jump_back(by).await;
        } else {
            self.behind_s = self.behind_s.saturating_sub(by_s);
            self.bench.pass(by).await;
        }
    }

    async fn close(&mut self) {
        let mark = self.next_epoch();
        self.bench.ledger().close(self.shard, mark).await.expect("close");
        self.is_open = false;
    }

    async fn forget(&mut self) {
        let mark = self.next_epoch();
        let ledger = self.bench.ledger();
        ledger.close(self.shard, mark).await.expect("close");
        ledger.forget(self.shard, mark).await.expect("the mark is ours");
        self.is_open = false;
    }

    async fn restart(&mut self) {
        self.bench.restart_empty().await;
        self.is_open = false;
    }

    fn next_epoch(&mut self) -> Epoch {
        Epoch::new(self.random.random_range(2..i64::MAX)).expect("above 0")
    }

    /// What books do: some open holds reach them, the others never did; some orders are released.
    /// Now and then another sale begins.
    fn snapshot(&mut self) -> Vec<StagedOrder> {
        if self.random.random_bool(0.3) {
            self.told.clear();
        }
        let mut told: Vec<_> = self.told.drain().collect();
        told.sort_unstable_by_key(|(order, _)| *order);
        let mut staged = Vec::new();
        for (order, Told { user, quantity, state }) in told {
            let state = match state {
                Found::Open if self.random.random_bool(0.5) => Settled::Placed,
                Found::Settled(Settled::Placed) if self.random.random_bool(0.2) => {
                    Settled::Released
                }
                Found::Settled(state) => state,
                Found::Open | Found::Nothing | Found::Unsure => continue,
            };
            staged.push(StagedOrder { order, user, quantity, state });
        }
        staged
    }

    async fn load(&mut self) {
        let ledger = self.bench.ledger();
        let to = self.next_epoch();
        ledger.close(self.shard, to).await.expect("close");
        let identity = ledger.begin_staging(self.shard, to).await.expect("the mark is ours");
        let staged = self.snapshot();
        for part in staged.chunks(7) {
            ledger.stage(self.shard, to, &identity, part.to_vec()).await.expect("the mark is ours");
        }
        let placed = staged.iter().filter(|order| order.state == Settled::Placed);
        let sold: u32 = placed.map(|order| order.quantity).sum();
        let opens_ms = self.bench.now_ms();
        self.terms = Terms { opens_ms, closes_ms: opens_ms + WINDOW_MS, ..self.terms };
        let activation = Activation {
            to,
            identity,
            terms: self.terms,
            stock: TOTAL - sold,
            orders: staged.len() as u64,
            generation: self.generation,
            movement_watermark: 0,
        };
        ledger.activate(self.shard, activation).await.expect("staged in full");
        self.epoch = to;
        self.is_open = true;
        (self.lost, self.behind_s) = (0, 0);
        self.barred.clear();
        self.told = staged
            .into_iter()
            .map(|StagedOrder { order, user, quantity, state }| {
                (order, Told { user, quantity, state: Found::Settled(state) })
            })
            .collect();
    }

    /// After each step: the units, the limits, and what is known of each order.
    async fn judge(&self) {
        let ledger = self.bench.ledger();
        if !self.is_open {
            assert_eq!(ledger.count(self.shard).await, Err(Error::Fenced), "{}", self.at);
            return;
        }
        let count = ledger.count(self.shard).await.expect("it is open");
        let Count { stock, open_units, placed_units, user_units, user_units_max, .. } = count;
        let units = Units { stock, open: open_units, live: placed_units, unapplied: 0 };
        let verdicts = [
            law::no_oversell(TOTAL.into(), open_units + placed_units),
            law::nothing_leaks(u64::from(TOTAL) - self.lost, units),
            law::within_limit(LIMIT, user_units_max.into()),
        ];
        for verdict in verdicts {
            verdict.unwrap_or_else(|violation| panic!("{}: {violation}", self.at));
        }
        assert_eq!(user_units, open_units + placed_units, "{}", self.at);

        let told: Vec<_> = self.told.iter().collect();
        let orders: Vec<_> = told.iter().map(|(order, _)| **order).collect();
        let look = ledger.find(self.shard, self.epoch, false, &orders).await;
        if look == Err(Error::ClockBack) {
            assert!(self.behind_s > 1, "{}", self.at);
            return self.judge_pages().await;
        }
        let found = look.expect("it is open").found;
        for ((order, told), found) in told.into_iter().zip(found) {
            assert_eq!(told.state, found, "{}: {order}", self.at);
        }
        self.judge_pages().await;
    }

    async fn judge_pages(&self) {
        let mut seen = Vec::new();
        let mut last = None;
        loop {
            let page = self.bench.ledger().holds(self.shard, last.as_ref(), 5).await;
            let page = page.expect("it is open").holds;
            seen.extend(page.iter().map(|open| open.hold.order));
            if page.len() < 5 {
                break;
            }
            last = page.last().cloned();
        }
        seen.sort_unstable();
        let open = self.told.iter().filter(|(_, told)| told.state == Found::Open);
        let mut open: Vec<_> = open.map(|(order, _)| *order).collect();
        open.sort_unstable();
        assert_eq!(seen, open, "{}: pages", self.at);
    }
}
