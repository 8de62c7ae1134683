//! The interpreter of stories. A line is `call -> answer`; the answer is compared as text. Orders
//! and users have names (`a`, `u1`), epochs are `e1`, times are relative to the keeper's clock
//! (`ends=-1s`), shard 1 is meant unless the line starts with another (`@2`). What a hold stores is
//! compared behind the text: with the request when it is taken, with that when it comes back.
//!
//! ```text
//! load E stock=N [limit=N] [opens=T] [closes=T] [generation=N] [watermark=N]
//!        [ORDER USER N STATE; ...]
//! close E | begin E | stage E ORDER USER N STATE; ... | activate E orders=N stock=N ...
//! reserve E [paused] ORDER USER N [ends=T] [placed=T]; ...   settle E [gN] ORDER STATE; ...
//! find E [bars] ORDER ... | due N | postpone E ORDER ... | holds N [more] | peek | count |
//! known
//! forget E | pass T | back T | restart
//! ```

mod words;

use std::{collections::HashMap, time::Duration};

use ids::{Epoch, OrderId, ShardNo, UserId};

use self::words::{failed, found_text, list, refusal_text, said, settled_text, stage_error};
use super::Bench;
use crate::domain::PLACED_NOBODY_SAYS;
use crate::ledger::{
    ActivateError, Activation, EntryAnswer, Error, ForgetError, Hold, Holds, Identity, OpenHold,
    Peek, Place, ReserveEntry, Reserved, Settled, Settlement, StagedOrder, Terms,
};

/// Plays one story.
pub(super) async fn play(bench: &dyn Bench, name: &str, story: &str) {
    let mut script = Script {
        bench,
        shard: shard(1),
        names: HashMap::new(),
        stored: HashMap::new(),
        places: HashMap::new(),
        identity: Identity::new("none"),
        last: None,
    };
    for (number, line) in (1..).zip(story.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (call, wanted) = line.split_once("->").expect("a line is `call -> answer`");
        let got = script.step(call.trim()).await;
        assert_eq!(got, wanted.trim(), "story {name:?}, line {number}: {line}");
    }
}

struct Script<'a> {
    bench: &'a dyn Bench,
    shard: ShardNo,
    names: HashMap<OrderId, String>,
    /// What was held, by epoch too: an id may be taken again in another one.
    stored: HashMap<(Epoch, OrderId), Hold>,
    /// Where a hold was when it was taken or shown last; it may have been put off since.
    places: HashMap<OrderId, Place>,
    identity: Identity,
    last: Option<OpenHold>,
}

impl Script<'_> {
    async fn step(&mut self, call: &str) -> String {
        let (number, call) = match call.strip_prefix('@') {
            Some(call) => call.split_once(' ').expect("`@2 call`"),
            None => ("1", call),
        };
        self.shard = shard(number.parse().expect("a shard number"));
        let (verb, rest) = call.split_once(' ').unwrap_or((call, ""));
        match verb {
            "load" => self.load(rest).await,
            "close" => said(self.bench.ledger().close(self.shard, epoch(rest)).await),
            "forget" => match self.bench.ledger().forget(self.shard, epoch(rest)).await {
                Ok(()) => "ok".to_owned(),
                Err(ForgetError::MarkLost) => "mark lost".to_owned(),
                Err(ForgetError::Ledger(error)) => failed(error),
            },
            "begin" => self.begin(epoch(rest)).await,
            "stage" => self.stage(rest).await,
            "activate" => self.activate(rest).await,
            "reserve" => self.reserve(rest).await,
            "settle" => self.settle(rest).await,
            "find" => self.find(rest).await,
            "due" => {
                let limit = rest.parse().expect("a limit");
                let due = self.bench.ledger().due(self.shard, limit).await;
                self.holds(due)
            }
            "postpone" => self.postpone(rest).await,
            "holds" => self.page(rest).await,
            "peek" => self.peek().await,
            "count" => self.count().await,
            "known" => self.known().await,
            "pass" | "back" | "restart" => {
                self.happen(verb, rest).await;
                "ok".to_owned()
            }
            _ => panic!("no such call: {verb}"),
        }
    }

    async fn happen(&self, verb: &str, rest: &str) {
        match verb {
            "pass" => self.bench.pass(duration(rest)).await,
            "back" => self.bench.jump_back(duration(rest)).await,
            _ => self.bench.restart_empty().await,
        }
        let (from_ms, told_ms) = (self.bench.now_ms(), self.bench.ledger().now_ms().await);
        let told_ms = told_ms.expect("the time");
        assert!((from_ms..=self.bench.now_ms()).contains(&told_ms), "{told_ms}");
    }

    /// Close, stage and activate, as a loader does whose attempt goes well.
    async fn load(&mut self, rest: &str) -> String {
        let (to, rest) = rest.split_once(' ').expect("`load e1 ...`");
        let (options, orders): (Vec<_>, Vec<_>) =
            rest.split_whitespace().partition(|word| word.contains('='));
        let orders = orders.join(" ");
        let count = orders.split(';').filter(|order| !order.trim().is_empty()).count();
        self.bench.ledger().close(self.shard, epoch(to)).await.expect("close");
        let begun = self.begin(epoch(to)).await;
        if begun != "ok" {
            return begun;
        }
        let staged = self.stage(&format!("{to} {orders}")).await;
        assert_eq!(staged, "ok");
        self.activate(&format!("{to} orders={count} {}", options.join(" "))).await
    }

    async fn begin(&mut self, to: Epoch) -> String {
        match self.bench.ledger().begin_staging(self.shard, to).await {
            Ok(identity) => {
                self.identity = identity;
                "ok".to_owned()
            }
            Err(error) => stage_error(error),
        }
    }

    async fn stage(&mut self, rest: &str) -> String {
        let (to, rest) = rest.split_once(' ').expect("`stage e1 ...`");
        let lines = rest.split(';').filter(|order| !order.trim().is_empty());
        let orders = lines.map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [order, user_name, quantity, state] = words[..] else { panic!("staged: {line}") };
            StagedOrder {
                order: self.order(order),
                user: user(user_name),
                quantity: quantity.parse().expect("a quantity"),
                state: settled(state),
            }
        });
        let orders: Vec<_> = orders.collect();
        let ledger = self.bench.ledger();
        match ledger.stage(self.shard, epoch(to), &self.identity, orders).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => stage_error(error),
        }
    }

    async fn activate(&mut self, rest: &str) -> String {
        let (to, options) = rest.split_once(' ').expect("`activate e1 ...`");
        let number =
            |name| option(options, name).map(|text| text.parse::<u32>().expect("a number"));
        let time = |name, otherwise| {
            moment(self.bench.now_ms(), option(options, name).unwrap_or(otherwise))
        };
        let activation = Activation {
            to: epoch(to),
            identity: self.identity.clone(),
            terms: Terms {
                opens_ms: time("opens", "-1h"),
                closes_ms: time("closes", "+2h"),
                limit_per_user: number("limit").unwrap_or(2),
            },
            stock: number("stock").expect("a stock"),
            orders: number("orders").expect("a count of orders").into(),
            generation: number("generation").unwrap_or(0).into(),
            movement_watermark: number("watermark").unwrap_or(0).into(),
        };
        match self.bench.ledger().activate(self.shard, activation).await {
            Ok(()) => "ok".to_owned(),
            Err(ActivateError::MarkLost) => "mark lost".to_owned(),
            Err(ActivateError::IdentityChanged) => "identity changed".to_owned(),
            Err(ActivateError::AlreadyActive) => "already active".to_owned(),
            Err(ActivateError::Incomplete { staged }) => format!("incomplete: {staged}"),
            Err(ActivateError::Ledger(error)) => failed(error),
        }
    }

    async fn reserve(&mut self, rest: &str) -> String {
        let (in_epoch, rest) = rest.split_once(' ').expect("`reserve e1 ...`");
        let (paused, rest) = match rest.strip_prefix("paused ") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let entries: Vec<_> = rest.split(';').map(|line| self.entry(line)).collect();
        let (ledger, epoch) = (self.bench.ledger(), epoch(in_epoch));
        let from_ms = self.bench.now_ms();
        let reserved = ledger.reserve(self.shard, epoch, paused, entries.clone()).await;
        let Reserved { epoch: answered, left, version, answers, .. } = match reserved {
            Ok(reserved) => reserved,
            Err(error) => return failed(error),
        };
        assert_eq!(answered, epoch);
        assert_eq!(answers.len(), entries.len(), "one answer for each entry");
        let looked = ledger.peek(&[self.shard]).await.expect("peek");
        assert_eq!(looked, [Peek::Open { epoch, version, left }], "after a reserve");
        let mut says = Vec::new();
        for (entry, answer) in entries.into_iter().zip(answers) {
            says.push(self.answer(epoch, from_ms, entry, answer));
        }
        format!("{}, left {left}", says.join(", "))
    }

    fn entry(&mut self, line: &str) -> ReserveEntry {
        let mut words = line.split_whitespace();
        let mut word = || words.next().expect("`order user quantity`");
        let (order, user_name, quantity) = (word(), word(), word());
        let rest = words.collect::<Vec<_>>().join(" ");
        let ends = option(&rest, "ends").unwrap_or("+1h");
        let placed = option(&rest, "placed").map(|text| moment(self.bench.now_ms(), text) * 1000);
        ReserveEntry {
            order: self.order(order),
            user: user(user_name),
            quantity: quantity.parse().expect("a quantity"),
            unit_price: 4_999 + i64::try_from(self.stored.len()).expect("few"),
            ticket_expires_ms: moment(self.bench.now_ms(), ends),
            placed_us: placed.unwrap_or(PLACED_NOBODY_SAYS),
            traceparent: format!("trace of request {}", self.stored.len()),
        }
    }

    fn answer(
        &mut self,
        epoch: Epoch,
        from_ms: u64,
        entry: ReserveEntry,
        answer: EntryAnswer,
    ) -> String {
        let key = (epoch, entry.order);
        match answer {
            EntryAnswer::Held(hold) => {
                let ReserveEntry { order, user, quantity, unit_price, traceparent, .. } = entry;
                let taken_at_ms = hold.taken_at_ms;
                // A small step back of the clock is smoothed over.
                let until_ms = self.bench.now_ms() + 1_000;
                assert!((from_ms..=until_ms).contains(&taken_at_ms), "{taken_at_ms}");
                let asked = Hold { order, user, quantity, unit_price, taken_at_ms, traceparent };
                assert_eq!(hold, asked, "a hold is what was asked for");
                let place = Place { attempts: 0, since_ms: taken_at_ms, order };
                self.places.insert(order, place);
                let before = self.stored.insert(key, hold);
                assert_eq!(before, None, "an order id is held once in an epoch");
                "held".to_owned()
            }
            EntryAnswer::Open(hold) => {
                assert_eq!(Some(&hold), self.stored.get(&key), "what was stored comes back");
                "open".to_owned()
            }
            EntryAnswer::Settled(state) => settled_text(state).to_owned(),
            EntryAnswer::Refused(refusal) => refusal_text(refusal).to_owned(),
        }
    }

    async fn settle(&mut self, rest: &str) -> String {
        let (in_epoch, rest) = rest.split_once(' ').expect("`settle e1 ...`");
        let (generation, rest) = match rest.strip_prefix('g') {
            Some(rest) => {
                let (number, rest) = rest.split_once(' ').expect("`settle e1 g7 ...`");
                (Some(number.parse().expect("a generation")), rest)
            }
            None => (None, rest),
        };
        let decisions = rest.split(';').map(|line| {
            let (order, state) = line.trim().split_once(' ').expect("`order state`");
            (self.order(order), settled(state))
        });
        let decisions: Vec<_> = decisions.collect();
        let ledger = self.bench.ledger();
        match ledger.settle(self.shard, epoch(in_epoch), generation, &decisions).await {
            Ok(Settlement::Applied { rejected: 0 }) => "applied".to_owned(),
            Ok(Settlement::Applied { rejected }) => format!("applied, {rejected} rejected"),
            Ok(Settlement::GenerationLower { seen }) => format!("lower than {seen}"),
            Ok(Settlement::OtherEpoch) => "other epoch".to_owned(),
            Err(error) => failed(error),
        }
    }

    async fn find(&mut self, rest: &str) -> String {
        let (in_epoch, rest) = rest.split_once(' ').expect("`find e1 ...`");
        let (bars, rest) = match rest.strip_prefix("bars ") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let orders: Vec<_> = rest.split_whitespace().map(|name| self.order(name)).collect();
        match self.bench.ledger().find(self.shard, epoch(in_epoch), bars, &orders).await {
            Ok(look) => list(look.found.into_iter().map(found_text)),
            Err(error) => failed(error),
        }
    }

    async fn postpone(&mut self, rest: &str) -> String {
        let (in_epoch, rest) = rest.split_once(' ').expect("`postpone e1 ...`");
        let places = rest.split_whitespace().map(|name| {
            let order = self.order(name);
            let nowhere = Place { attempts: 0, since_ms: 0, order };
            self.places.get(&order).copied().unwrap_or(nowhere)
        });
        let places: Vec<_> = places.collect();
        said(self.bench.ledger().postpone(self.shard, epoch(in_epoch), &places).await)
    }

    async fn page(&mut self, rest: &str) -> String {
        let (limit, after) = match rest.strip_suffix(" more") {
            Some(limit) => (limit, self.last.take()),
            None => (rest, None),
        };
        let limit = limit.parse().expect("a limit");
        let page = self.bench.ledger().holds(self.shard, after.as_ref(), limit).await;
        if let Ok(page) = &page {
            self.last = page.holds.last().cloned();
        }
        self.holds(page)
    }

    /// `e1 g0: a b+1`, where +1 counts how often a hold was put off.
    fn holds(&mut self, holds: Result<Holds, Error>) -> String {
        let Holds { epoch, generation, holds } = match holds {
            Ok(holds) => holds,
            Err(error) => return failed(error),
        };
        let mut text = format!("e{epoch} g{generation}:");
        for open in holds {
            self.places.insert(open.hold.order, open.place());
            let OpenHold { hold, attempts, .. } = open;
            assert_eq!(Some(&hold), self.stored.get(&(epoch, hold.order)), "as it was stored");
            text = format!("{text} {}", self.names[&hold.order]);
            if attempts > 0 {
                text = format!("{text}+{attempts}");
            }
        }
        text
    }

    async fn peek(&self) -> String {
        match self.bench.ledger().peek(&[self.shard]).await.expect("peek")[..] {
            [Peek::Open { epoch, version, left }] => {
                format!("open e{epoch} v{version} left {left}")
            }
            [Peek::Closed { mark }] => format!("closed e{mark}"),
            [Peek::Fenced] => "fenced".to_owned(),
            _ => panic!("one look for one shard"),
        }
    }

    async fn count(&self) -> String {
        let count = match self.bench.ledger().count(self.shard).await {
            Ok(count) => count,
            Err(error) => return failed(error),
        };
        let age_s = count.oldest_open_ms / 1_000;
        format!(
            "e{} stock {}, open {}/{}, placed {}/{}, tombstones {}, users {}/{}, movement {}, \
             {age_s} s",
            count.epoch,
            count.stock,
            count.open_holds,
            count.open_units,
            count.placed_orders,
            count.placed_units,
            count.tombstones,
            count.user_units_max,
            count.user_units,
            count.movement_watermark,
        )
    }

    async fn known(&self) -> String {
        let known = match self.bench.ledger().known(self.shard).await {
            Ok(known) => known,
            Err(error) => return failed(error),
        };
        let mut orders: Vec<_> = known
            .orders
            .iter()
            .map(|known| {
                let units = known.units.map(|(_, units)| format!(" {units}")).unwrap_or_default();
                format!("{} {}{units}", self.names[&known.order], found_text(known.state))
            })
            .collect();
        orders.sort_unstable();
        format!("e{} limit {}: {}", known.epoch, known.limit_per_user, orders.join(", "))
            .trim_end()
            .to_owned()
    }

    fn order(&mut self, name: &str) -> OrderId {
        let mut hash = [0; 12];
        let bytes = name.as_bytes();
        hash[5..][..bytes.len()].copy_from_slice(bytes);
        let order = OrderId::mint(self.shard, hash);
        self.names.insert(order, name.to_owned());
        order
    }
}

fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).expect("shards start at 1")
}

fn epoch(name: &str) -> Epoch {
    let number = name.trim().strip_prefix('e').and_then(|number| number.parse().ok());
    number.and_then(|number| Epoch::new(number).ok()).unwrap_or_else(|| panic!("epoch: {name}"))
}

fn user(name: &str) -> UserId {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    UserId::from_bytes(bytes)
}

fn settled(text: &str) -> Settled {
    match text.trim() {
        "placed" => Settled::Placed,
        "rejected" => Settled::Rejected,
        "released" => Settled::Released,
        text => panic!("no such state: {text}"),
    }
}

/// The value of `name=value` among words.
fn option<'a>(words: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = words.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn moment(now_ms: u64, text: &str) -> u64 {
    let ms = |text| u64::try_from(duration(text).as_millis()).expect("not that long");
    match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(ago), _) => now_ms - ms(ago),
        (None, Some(ahead)) => now_ms + ms(ahead),
        (None, None) => panic!("a moment has a sign: {text}"),
    }
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().expect("a number before the unit");
    match unit {
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        "h" => Duration::from_secs(3_600 * number),
        _ => panic!("no such unit: {unit}"),
    }
}
