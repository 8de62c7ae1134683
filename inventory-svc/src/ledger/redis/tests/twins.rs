//! The same seeded list of operations on a Redis and on the pure keeper of a shard, whose every
//! answer must be the same: admission, settling, loads by several attempts, back-off and pages,
//! over restarts with and without data, with a clock that stands, passes and jumps back.

mod operation;

use std::{collections::HashMap, time::Duration};

use ids::{Epoch, OrderId, ShardNo, UserId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use self::operation::Operation;
use super::{bench::OwnRedis, shop::healed};
use crate::{
    domain::{ATTEMPT_LASTS_US, PLACED_NOBODY_SAYS, ShardKeeper},
    ledger::{
        Activation, Identity, Ledger as _, OpenHold, Peek, Place, ReserveEntry, Settled,
        StagedOrder, Terms, contract::Bench as _,
    },
};

const SEEDS: [u64; 4] = [1, 2, 3, 4];
const STEPS: usize = 2_500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_and_the_pure_keeper_answer_alike() {
    let mut heard = HashMap::new();
    for seed in SEEDS {
        Twins::start(seed).await.walk(&mut heard).await;
    }
    // A walk that never gets anywhere would compare refusals only.
    let hardly = WORDS.iter().filter(|(word, least)| heard.get(word).is_none_or(|n| n < least));
    assert_eq!(hardly.count(), 0, "hardly ever heard: {heard:?}");
}

/// What the walks should hear, and how often at least.
const WORDS: [(&str, usize); 20] = [
    ("Held", 100),
    ("Open(", 100),
    ("SoldOut", 100),
    ("LimitReached", 100),
    ("TicketExpired", 100),
    ("NotOpen", 50),
    ("Closed", 50),
    ("Paused", 50),
    ("TooLate", 50),
    ("ClockBack", 20),
    ("Fenced", 100),
    ("StaleEpoch", 20),
    ("MarkLost", 20),
    ("IdentityChanged", 20),
    ("AlreadyActive", 20),
    ("Incomplete", 10),
    ("GenerationLower", 20),
    ("OtherEpoch", 20),
    ("rejected: 1", 20),
    ("attempts: 6", 5),
];

/// Both keepers, and what the next operation is made of.
struct Twins {
    seed: u64,
    random: StdRng,
    redis: OwnRedis,
    /// The other one: a shard that isn't there is absent.
    shards: HashMap<ShardNo, ShardKeeper>,
    me: Identity,
    /// Identities that were answered when staging began, and one that never was.
    identities: Vec<Identity>,
    epochs: Vec<Epoch>,
    generation: u64,
    /// Holds that a page has shown once: places to go on from, whatever became of them.
    shown: Vec<OpenHold>,
}

impl Twins {
    async fn start(seed: u64) -> Self {
        let redis = OwnRedis::start().await;
        let me = redis.ledger.identity().await.expect("it is connected");
        Self {
            seed,
            random: StdRng::seed_from_u64(seed),
            redis,
            shards: HashMap::new(),
            identities: vec![Identity::new("nobody"), me.clone()],
            me,
            epochs: vec![Epoch::new(i64::MAX).expect("above 0")],
            generation: u64::MAX - 1_000_000,
            shown: Vec::new(),
        }
    }

    async fn walk(mut self, heard: &mut HashMap<&'static str, usize>) {
        for step in 0..STEPS {
            match self.random.random_range(0..1_000) {
                0..150 => self.move_time().await,
                150..153 => self.restart().await,
                153..156 => {
                    self.redis.ask(&["FUNCTION", "FLUSH"]).await;
                    self.shards.values_mut().for_each(ShardKeeper::lose_attempts);
                }
                _ => {
                    for operation in self.operations() {
                        let now_ms = self.redis.now_ms();
                        let told = operation.on_redis(&self.redis.ledger).await;
                        let wanted = operation.on_twin(&mut self.shards, &self.me, now_ms);
                        let seed = self.seed;
                        let at = || format!("seed {seed}, step {step}: {operation:?}");
                        assert_eq!(told.text, wanted.text, "{}", at());
                        self.remember(told.shown);
                        for (word, _) in WORDS {
                            *heard.entry(word).or_default() +=
                                usize::from(told.text.contains(word));
                        }
                    }
                }
            }
        }
    }

    fn remember(&mut self, shown: Vec<OpenHold>) {
        self.shown.extend(shown);
        let surplus = self.shown.len().saturating_sub(50);
        self.shown.drain(..surplus);
    }

    async fn move_time(&mut self) {
        let by_ms = match self.random.random_range(0..10) {
            0..4 => 1,
            4..7 => self.random.random_range(0..6_000),
            7..9 => self.random.random_range(0..400_000),
            _ => self.random.random_range(0..4_000_000),
        };
        let by = Duration::from_millis(by_ms);
        if self.random.random_bool(0.3) {
            // Mostly a step that is smoothed over: after a longer one little can be compared.
            let is_step = self.random.random_bool(0.8);
            self.redis.jump_back(if is_step { by.min(Duration::from_secs(1)) } else { by }).await;
        } else {
            self.redis.pass(by).await;
        }
    }

    /// The process is another one; its data may be there.
    async fn restart(&mut self) {
        if self.random.random_bool(0.5) {
            self.redis.restart_empty().await;
            self.shards.clear();
        } else {
            let mut redis = self.redis.redis.lock().await;
            // Killed, it could lose what the disk was too slow for.
            redis.stop().await;
            redis.start_again().await;
            drop(redis);
            healed(&self.redis.ledger).await;
        }
        self.me = self.redis.ledger.identity().await.expect("it is connected");
        self.identities.push(self.me.clone());
    }

    /// Mostly one; a load is several.
    fn operations(&mut self) -> Vec<Operation> {
        let shard = self.shard();
        let epoch = self.epoch(shard);
        if !self.is_open(shard) && self.random.random_bool(0.3) {
            return self.load(shard);
        }
        let operation = match self.random.random_range(0..100) {
            0..36 => Operation::Reserve {
                shard,
                epoch,
                paused: self.random.random_bool(0.1),
                entries: self.some(8, Self::entry),
            },
            36..52 => self.settle(shard, epoch),
            52..53 => Operation::Close { shard, mark: self.mark(shard) },
            53..55 => Operation::Begin { shard, to: self.mark(shard) },
            55..57 => {
                let identity = self.identity();
                let orders = self.some(8, Self::staged);
                Operation::Stage { shard, to: self.mark(shard), identity, orders }
            }
            57..60 => {
                let (to, orders) = (self.mark(shard), self.random.random_range(0..4));
                Operation::Activate { shard, activation: self.activation(to, orders) }
            }
            60..63 => return self.load(shard),
            63 => Operation::Forget { shard, mark: self.mark(shard) },
            64..67 => Operation::Peek { shards: (1..=3).map(shard_no).collect() },
            67..71 => {
                let bars = self.random.random_bool(0.5);
                Operation::Find { shard, epoch, bars, orders: self.some(8, Self::order) }
            }
            71..79 => Operation::Due { shard, limit: self.random.random_range(0..30) },
            79..91 => {
                let places = self.some(80, |twins| twins.waits(shard));
                Operation::Postpone { shard, epoch, places }
            }
            91..97 => Operation::Holds {
                shard,
                after: self.place(),
                limit: self.random.random_range(0..12),
            },
            97..99 => Operation::Count { shard },
            _ => Operation::Known { shard },
        };
        vec![operation]
    }

    fn load(&mut self, shard: ShardNo) -> Vec<Operation> {
        let to = Epoch::from_random_bits(self.random.random());
        self.epochs.push(to);
        let mut orders = self.some(20, Self::staged);
        orders.sort_unstable_by_key(|staged| staged.order);
        orders.dedup_by_key(|staged| staged.order);
        let identity = self.me.clone();
        let activation =
            Activation { identity: identity.clone(), ..self.activation(to, orders.len() as u64) };
        let mut load = vec![
            Operation::Close { shard, mark: to },
            Operation::Begin { shard, to },
            Operation::Stage { shard, to, identity, orders },
            Operation::Activate { shard, activation },
        ];
        // Attempts die before any of their steps, or forget one.
        if self.random.random_bool(0.2) {
            load.truncate(self.random.random_range(1..4));
        } else if self.random.random_bool(0.1) {
            load.remove(self.random.random_range(0..3));
        }
        load
    }

    fn settle(&mut self, shard: ShardNo, epoch: Epoch) -> Operation {
        let generation = match self.random.random_range(0..20) {
            0..8 => None,
            8 => Some(self.random.random_range(0..self.generation)),
            9 => Some(self.generation - 1),
            10..15 => Some(self.generation),
            _ => {
                self.generation += 1;
                Some(self.generation)
            }
        };
        let decisions = self.some(10, |twins| {
            let states = [Settled::Placed, Settled::Placed, Settled::Rejected, Settled::Released];
            (twins.order(), states[twins.random.random_range(0..states.len())])
        });
        Operation::Settle { shard, epoch, generation, decisions }
    }

    fn some<T>(&mut self, most: usize, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.random.random_range(0..=most)).map(|_| one(self)).collect()
    }

    fn shard(&mut self) -> ShardNo {
        shard_no(if self.random.random_bool(0.8) { 1 } else { 2 })
    }

    fn peek(&self, shard: ShardNo) -> Option<Peek> {
        self.shards.get(&shard).map(|shard| shard.peek(&self.me))
    }

    fn is_open(&self, shard: ShardNo) -> bool {
        matches!(self.peek(shard), Some(Peek::Open { .. }))
    }

    /// Mostly the one that is loaded.
    fn epoch(&mut self, shard: ShardNo) -> Epoch {
        match self.peek(shard) {
            Some(Peek::Open { epoch, .. }) if self.random.random_bool(0.95) => epoch,
            _ => self.known_epoch(),
        }
    }

    /// Mostly the one that has closed the shard, perhaps one that was used, perhaps a new one.
    fn mark(&mut self, shard: ShardNo) -> Epoch {
        match (self.peek(shard), self.random.random_range(0..10)) {
            (Some(Peek::Closed { mark }), 0..7) => mark,
            (Some(Peek::Open { epoch, .. }), 0..3) => epoch,
            (_, 9) => Epoch::from_random_bits(self.random.random()),
            _ => self.known_epoch(),
        }
    }

    fn known_epoch(&mut self) -> Epoch {
        let last = self.epochs.len().min(4);
        self.epochs[self.epochs.len() - self.random.random_range(1..=last)]
    }

    fn identity(&mut self) -> Identity {
        if self.random.random_bool(0.7) {
            return self.me.clone();
        }
        self.identities[self.random.random_range(0..self.identities.len())].clone()
    }

    fn order(&mut self) -> OrderId {
        let mut hash = [0xff; 12];
        hash[0] = self.random.random_range(0..80);
        OrderId::mint(shard_no(1), hash)
    }

    fn user(&mut self) -> UserId {
        UserId::from_bytes([self.random.random_range(250..=255); 16])
    }

    fn entry(&mut self) -> ReserveEntry {
        let now_ms = self.redis.now_ms();
        let ends = [now_ms, now_ms + 1, now_ms + 3_600_000, u64::MAX, now_ms + 7_200_000, u64::MAX];
        let now_us = now_ms * 1000;
        let placed = [0, 1, 500_000, 5_000_000, ATTEMPT_LASTS_US - 1, ATTEMPT_LASTS_US];
        ReserveEntry {
            order: self.order(),
            user: self.user(),
            quantity: if self.random.random_bool(0.01) {
                u32::MAX
            } else {
                self.random.random_range(1..5)
            },
            unit_price: self.random.random(),
            ticket_expires_ms: ends[self.random.random_range(0..ends.len())],
            placed_us: match self.random.random_range(0..12) {
                at @ 0..6 => now_us - placed[at],
                _ => PLACED_NOBODY_SAYS,
            },
            traceparent: "tr\u{e4}ce".repeat(self.random.random_range(0..9)),
        }
    }

    fn staged(&mut self) -> StagedOrder {
        let states = [Settled::Placed, Settled::Placed, Settled::Rejected, Settled::Released];
        StagedOrder {
            order: self.order(),
            user: self.user(),
            quantity: self.random.random_range(1..4),
            state: states[self.random.random_range(0..states.len())],
        }
    }

    fn activation(&mut self, to: Epoch, orders: u64) -> Activation {
        let now_ms = self.redis.now_ms();
        let (opens_ms, closes_ms) = match self.random.random_range(0..10) {
            0 => (now_ms + 2_000_000, u64::MAX),
            1 => (0, now_ms),
            2 => (now_ms, now_ms + 1),
            _ => (now_ms - 1_000, now_ms + 10_000_000),
        };
        Activation {
            to,
            identity: self.identity(),
            terms: Terms { opens_ms, closes_ms, limit_per_user: self.random.random_range(1..40) },
            stock: if self.random.random_bool(0.05) {
                u32::MAX
            } else {
                self.random.random_range(0..60)
            },
            orders,
            generation: self.generation,
            movement_watermark: self.random.random(),
        }
    }

    /// Where a hold of the shard waits, or where some hold did.
    fn waits(&mut self, shard: ShardNo) -> Place {
        let page = self.shards.get(&shard).and_then(|shard| shard.holds(&self.me, None, 100).ok());
        let open = page.map(|page| page.holds).unwrap_or_default();
        let from =
            if open.is_empty() || self.random.random_bool(0.3) { &self.shown } else { &open };
        match from.len() {
            0 => Place { attempts: 0, since_ms: 0, order: self.order() },
            count => from[self.random.random_range(0..count)].place(),
        }
    }

    fn place(&mut self) -> Option<OpenHold> {
        if self.shown.is_empty() || self.random.random_bool(0.4) {
            return None;
        }
        Some(self.shown[self.random.random_range(0..self.shown.len())].clone())
    }
}

fn shard_no(number: u32) -> ShardNo {
    ShardNo::new(number).expect("above 0")
}
