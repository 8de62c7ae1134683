//! The ledger in Redis 7: one function library, whose text is in `redis/library/*.lua`, does in one
//! atomic step per call what `memory.rs` does behind a lock. `fence`, missing keys and epochs are
//! looked at there, in every call, so that a Redis which lost anything admits nothing (I-1).
//!
//! Here is what is around it: which connection a call takes, its deadline, and what an error means
//! for who asked. What wasn't sent is [`Error::Unreachable`], what was sent and not answered is
//! [`Error::Unknown`]; nothing is sent a second time, but for a library that wasn't there.

mod address;
mod known;
mod lane;
mod library;
mod reply;
mod settings;
mod setup;
mod trouble;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::{Clock, Stopper, TaskOwner, logs::Lasting};
use futures::future;
use ids::{Epoch, OrderId, ShardNo};
use redis::{Cmd, ServerError, Value};
use tokio::{runtime::Handle, time::timeout};

pub use address::{BadAddress, check, check_files, shown};
pub use settings::RedisSettings;
pub use setup::SetupError;

use self::{
    address::Address,
    lane::{Info, Keeper, Lane},
    library::{LIBRARY, Library},
    reply::{Reply, Word},
    trouble::Trouble,
};
use super::{
    ActivateError, Activation, Count, Error, ForgetError, Holds, Identity, KnownOrders, Ledger,
    Look, OpenHold, Peek, Place, ReserveEntry, Reserved, Settled, Settlement, StageError,
    StagedOrder,
};

/// Orders in one call of those that may bring many: 2 ms, for which nobody else is served.
const PIECE: usize = 1_000;

/// Shards in one look: 0.3 ms, so that no purchase waits for longer behind one.
const LOOKED_AT: usize = 64;

/// See the module. Its connections are made again as long as it lives.
pub struct RedisLedger {
    library: Library,
    settings: RedisSettings,
    /// For calls that buyers wait for.
    admission: Vec<Lane>,
    turn: AtomicUsize,
    /// For looks at the stock, ten times a second, and at whether anybody answers.
    watch: Lane,
    /// For all others: what is large there is in no buyer's way.
    work: Lane,
    keeper: Arc<Keeper>,
    clock: Clock,
    /// Like `clock_back` never over: calls that work come between those that don't, and each of
    /// them would begin the trouble anew.
    refusals: Lasting,
    clock_back: Lasting,
    /// Ends the lanes' tasks when it is dropped.
    _owner: TaskOwner,
}

impl RedisLedger {
    /// The ledger at `url`, whose connections live on `runtime`. They are made from now on, and
    /// nobody has answered yet: see [`RedisLedger::connected`].
    ///
    /// # Errors
    /// If the URL or a file of the settings can't be used.
    pub fn connect(
        url: &str,
        settings: &RedisSettings,
        runtime: &Handle,
    ) -> Result<Self, BadAddress> {
        Self::with_library(LIBRARY, url, settings, runtime)
    }

    fn with_library(
        library: Library,
        url: &str,
        settings: &RedisSettings,
        runtime: &Handle,
    ) -> Result<Self, BadAddress> {
        let address = Arc::new(Address::new(url, settings)?);
        let place = (address, Arc::from(shown(url)));
        let owner = TaskOwner::new("ledger", Stopper::new());
        let tasks = owner.tasks();
        let keeper = Arc::new(Keeper::default());
        let lane = |name| {
            Lane::start(name, place.clone(), settings, Arc::clone(&keeper), (&tasks, runtime))
        };
        Ok(Self {
            library,
            settings: settings.clone(),
            admission: (0..settings.admission_connections).map(|_| lane("admission")).collect(),
            turn: AtomicUsize::new(0),
            watch: lane("watch"),
            work: lane("work"),
            keeper,
            clock: Clock::system(),
            refusals: Lasting::default(),
            clock_back: Lasting::default(),
            _owner: owner,
        })
    }

    /// Whether all connections are there, or come to be `within` that time.
    pub async fn connected(&self, within: Duration) -> bool {
        let lanes = self.admission.iter().chain([&self.watch, &self.work]);
        timeout(within, future::join_all(lanes.map(Lane::connected))).await.is_ok()
    }

    fn admission(&self) -> &Lane {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.admission.get(turn % self.admission.len().max(1)).unwrap_or(&self.work)
    }

    /// A call of a function that may write.
    fn writing(&self, function: &str, shard: ShardNo) -> Cmd {
        self.function("FCALL", function, shard)
    }

    /// A call of a function that is flagged no-writes.
    fn reading(&self, function: &str, shard: ShardNo) -> Cmd {
        self.function("FCALL_RO", function, shard)
    }

    fn function(&self, verb: &str, function: &str, shard: ShardNo) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(self.name(function)).arg(1).arg(head(shard));
        command
    }

    fn name(&self, function: &str) -> String {
        format!("{}{function}", self.library.prefix)
    }

    /// Calls a function, loading the library first if Redis lost it.
    async fn ask(
        &self,
        lane: &Lane,
        command: Cmd,
        within: Duration,
    ) -> Result<(Word, Reply), Error> {
        let until = self.clock.now() + within;
        let left = || until.saturating_sub(self.clock.now());
        let mut answer = lane.call(&command, within).await?;
        if trouble(&answer) == Some(Trouble::NoLibrary) {
            tracing::warn!(library = self.library.name, "redis has lost the library; loading it");
            // Whatever becomes of this, the call itself was not made.
            let loaded = lane.call(&self.library.load(), left()).await;
            let loaded = loaded.map_err(|_| Error::Unreachable)?;
            answer = match Library::is_there(&loaded) {
                true => lane.call(&command, left()).await?,
                false => loaded,
            };
        }
        if let Value::ServerError(error) = &answer {
            return Err(self.refused(lane, error));
        }
        match Reply::of(answer)? {
            (Word::Fenced, _) => Err(Error::Fenced),
            (Word::ClockBack, _) => {
                if let Some(unsaid) = self.clock_back.again() {
                    tracing::error!(
                        unsaid,
                        "redis' clock went back: set it right, or reload the shards"
                    );
                }
                Err(Error::ClockBack)
            }
            (Word::Stale, mut reply) => Err(Error::StaleEpoch { loaded: reply.epoch()? }),
            (Word::NoMaster, _) => {
                lane.doubt();
                Err(Error::Unreachable)
            }
            answer => Ok(answer),
        }
    }

    /// As [`RedisLedger::ask`] for what answers `ok` and nothing else but errors.
    async fn done(&self, lane: &Lane, command: Cmd) -> Result<Reply, Error> {
        match self.ask(lane, command, self.settings.call_max()).await? {
            (Word::Ok, reply) => Ok(reply),
            (word, _) => Err(reply::strange_word(word)),
        }
    }

    fn refused(&self, lane: &Lane, error: &ServerError) -> Error {
        let trouble = Trouble::of(error);
        if trouble == Trouble::NoMaster {
            lane.doubt();
        }
        if let Some(unsaid) = self.refusals.again() {
            tracing::warn!(%error, ?trouble, unsaid, "redis refuses calls");
        }
        trouble.into()
    }

    async fn peek_piece(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error> {
        let mut command = redis::cmd("FCALL_RO");
        command.arg(self.name("peek")).arg(shards.len());
        for shard in shards {
            command.arg(head(*shard));
        }
        self.done(&self.watch, command).await?.peeks(shards.len())
    }

    async fn time_ms(&self, lane: &Lane) -> Result<u64, Error> {
        let mut command = redis::cmd("FCALL_RO");
        command.arg(self.name("now")).arg(0);
        self.done(lane, command).await?.number()
    }

    async fn stage_piece(&self, command: Cmd) -> Result<Reply, StageError> {
        match self.ask(&self.work, command, self.settings.call_max()).await? {
            (Word::Ok, reply) => Ok(reply),
            (Word::MarkLost, _) => Err(StageError::MarkLost),
            (Word::IdentityChanged, _) => Err(StageError::IdentityChanged),
            (word, _) => Err(reply::strange_word(word).into()),
        }
    }

    async fn open_holds(&self, command: Cmd) -> Result<Holds, Error> {
        let mut reply = self.done(&self.work, command).await?;
        let (epoch, generation) = (reply.epoch()?, reply.number()?);
        Ok(Holds { epoch, generation, holds: reply.open_holds()? })
    }
}

fn trouble(answer: &Value) -> Option<Trouble> {
    match answer {
        Value::ServerError(error) => Some(Trouble::of(error)),
        _ => None,
    }
}

fn head(shard: ShardNo) -> String {
    format!("seckill:{{{shard}}}:head")
}

/// Redis counts in 64 bits with a sign, and nobody asks for more.
fn bounded(limit: usize) -> usize {
    limit.min(u32::MAX as usize)
}

#[async_trait::async_trait]
impl Ledger for RedisLedger {
    fn system(&self) -> &'static str {
        "redis"
    }

    async fn identity(&self) -> Result<Identity, Error> {
        let answer = self.work.call(&Info::question(), self.settings.call_max()).await?;
        if let Value::ServerError(error) = &answer {
            return Err(self.refused(&self.work, error));
        }
        match Info::read(answer).ok().and_then(|info| info.identity()) {
            Some(identity) => {
                self.keeper.met(&identity);
                Ok(identity)
            }
            None => {
                self.work.doubt();
                Err(Error::Unreachable)
            }
        }
    }

    async fn reserve(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        paused: bool,
        entries: Vec<ReserveEntry>,
    ) -> Result<Reserved, Error> {
        let mut command = self.writing("reserve", shard);
        command.arg(epoch.get()).arg(u8::from(paused));
        for entry in &entries {
            command.arg(reply::entry(entry));
        }
        let orders: Vec<_> = entries.into_iter().map(|entry| entry.order).collect();
        let mut reply = self.done(self.admission(), command).await?;
        let (left, version, now_us) = (reply.number()?, reply.number()?, reply.number()?);
        Ok(Reserved { epoch, left, version, now_us, answers: reply.answers(&orders)? })
    }

    async fn settle(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Result<Settlement, Error> {
        let generation = generation.map(|generation| generation.to_string()).unwrap_or_default();
        let mut rejected = 0;
        // What stops one piece stops all that follow; those before it are decided all the same.
        for piece in pieces(decisions) {
            let mut command = self.writing("settle", shard);
            command.arg(epoch.get()).arg(&generation);
            for decision in piece {
                command.arg(reply::decision(decision));
            }
            match self.ask(&self.work, command, self.settings.call_max()).await? {
                (Word::Ok, mut reply) => rejected += reply.number::<u32>()?,
                (Word::Lower, mut reply) => {
                    return Ok(Settlement::GenerationLower { seen: reply.number()? });
                }
                (Word::OtherEpoch, _) => return Ok(Settlement::OtherEpoch),
                (word, _) => return Err(reply::strange_word(word)),
            }
        }
        Ok(Settlement::Applied { rejected })
    }

    async fn close(&self, shard: ShardNo, mark: Epoch) -> Result<(), Error> {
        let mut command = self.writing("close", shard);
        command.arg(mark.get());
        self.done(&self.work, command).await.map(drop)
    }

    async fn begin_staging(&self, shard: ShardNo, to: Epoch) -> Result<Identity, StageError> {
        let mut command = self.writing("begin_staging", shard);
        command.arg(to.get());
        let identity = self.stage_piece(command).await?.text()?;
        Ok(Identity::new(&identity))
    }

    async fn stage(
        &self,
        shard: ShardNo,
        to: Epoch,
        identity: &Identity,
        orders: Vec<StagedOrder>,
    ) -> Result<(), StageError> {
        for piece in pieces(&orders) {
            let mut command = self.writing("stage", shard);
            command.arg(to.get()).arg(identity.as_str());
            for order in piece {
                command.arg(reply::staged(order));
            }
            self.stage_piece(command).await?;
        }
        Ok(())
    }

    async fn activate(&self, shard: ShardNo, activation: Activation) -> Result<(), ActivateError> {
        let Activation { to, identity, terms, stock, orders, generation, movement_watermark } =
            activation;
        let mut command = self.writing("activate", shard);
        command.arg(to.get()).arg(identity.as_str()).arg(orders);
        command.arg(terms.opens_ms).arg(terms.closes_ms).arg(terms.limit_per_user);
        command.arg(stock).arg(generation).arg(movement_watermark);
        match self.ask(&self.work, command, self.settings.call_max()).await? {
            (Word::Ok, _) => Ok(()),
            (Word::MarkLost, _) => Err(ActivateError::MarkLost),
            (Word::IdentityChanged, _) => Err(ActivateError::IdentityChanged),
            (Word::AlreadyActive, _) => Err(ActivateError::AlreadyActive),
            (Word::Incomplete, mut reply) => {
                Err(ActivateError::Incomplete { staged: reply.number()? })
            }
            (word, _) => Err(reply::strange_word(word).into()),
        }
    }

    async fn forget(&self, shard: ShardNo, mark: Epoch) -> Result<(), ForgetError> {
        let mut command = self.writing("forget", shard);
        command.arg(mark.get());
        match self.ask(&self.work, command, self.settings.call_max()).await? {
            (Word::Ok, _) => Ok(()),
            (Word::MarkLost, _) => Err(ForgetError::MarkLost),
            (word, _) => Err(reply::strange_word(word).into()),
        }
    }

    async fn now_ms(&self) -> Result<u64, Error> {
        self.time_ms(&self.work).await
    }

    async fn ping(&self) -> Result<(), Error> {
        let mut command = redis::cmd("FCALL");
        command.arg(self.name("ready")).arg(0);
        self.done(&self.watch, command).await.map(drop)
    }

    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error> {
        let pieces = shards.chunks(LOOKED_AT).map(|piece| self.peek_piece(piece));
        Ok(future::try_join_all(pieces).await?.concat())
    }

    async fn find(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        bars: bool,
        orders: &[OrderId],
    ) -> Result<Look, Error> {
        let mut look = Look { now_us: 0, found: Vec::with_capacity(orders.len()) };
        for piece in pieces(orders) {
            let mut command = self.reading("find", shard);
            command.arg(epoch.get()).arg(u8::from(bars));
            for order in piece {
                command.arg(order.as_bytes());
            }
            let mut reply = self.done(self.admission(), command).await?;
            look.now_us = reply.number()?;
            look.found.extend(reply.found(piece.len())?);
        }
        Ok(look)
    }

    async fn due(&self, shard: ShardNo, limit: usize) -> Result<Holds, Error> {
        let mut command = self.reading("due", shard);
        command.arg(bounded(limit));
        self.open_holds(command).await
    }

    async fn postpone(&self, shard: ShardNo, epoch: Epoch, places: &[Place]) -> Result<(), Error> {
        for piece in pieces(places) {
            let mut command = self.writing("postpone", shard);
            command.arg(epoch.get());
            for place in piece {
                command.arg(reply::score(place)).arg(place.order.as_bytes());
            }
            self.done(&self.work, command).await?;
        }
        Ok(())
    }

    async fn holds(
        &self,
        shard: ShardNo,
        after: Option<&OpenHold>,
        limit: usize,
    ) -> Result<Holds, Error> {
        let mut command = self.reading("holds", shard);
        command.arg(bounded(limit));
        if let Some(after) = after {
            command.arg(reply::score(&after.place())).arg(after.hold.order.as_bytes());
        }
        self.open_holds(command).await
    }

    async fn count(&self, shard: ShardNo) -> Result<Count, Error> {
        let command = self.reading("count", shard);
        match self.ask(&self.work, command, self.settings.count_max()).await? {
            (Word::Ok, reply) => reply.count(),
            (word, _) => Err(reply::strange_word(word)),
        }
    }

    async fn known(&self, shard: ShardNo) -> Result<KnownOrders, Error> {
        known::known(self, shard).await
    }
}

/// In groups of [`PIECE`]; at least one, so that an empty call is made too.
fn pieces<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    let none = all.is_empty().then_some(all);
    all.chunks(PIECE).chain(none)
}

#[cfg(test)]
mod tests;
