//! Performs what the core of an attempt asks for. Each step ends in one of the core's answers; an
//! error is "no answer" unless the room says that nothing was or will be done.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::logs::Lasting;
use ids::{CommandId, Epoch, ShardNo};
use journal::{Command, ItemOpened, Record};

use super::{
    attempt::{Action, Answer},
    loader::Rooms,
};
use crate::{
    catalog::{Claim, Seen},
    domain::{
        Hold, OpenHold, Terms,
        sale::{Item, Schedule, Shard},
    },
    ledger::{ActivateError, Activation, Error, ForgetError, Identity, Ledger, StageError},
    roll_forward,
    upstream::books::{GuardRow, SnapshotError, SnapshotHead},
};

/// As many as the books tell about in one question.
const HOLDS_ASKED: usize = 4_096;

/// What this process's loads get no answer to. Each is said when it begins and now and then while
/// it lasts, however many shards meet it: an hour without books is some lines and not a thousand
/// for each shard.
#[derive(Default)]
pub(super) struct Silences(Mutex<BTreeMap<&'static str, Lasting>>);

impl Silences {
    fn again(&self, message: &'static str) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(message).or_default().again()
    }

    /// A load came to its end.
    pub(super) fn over(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// One attempt's view of its shard, and what it carries from step to step.
pub(super) struct Steps<'a> {
    pub(super) rooms: &'a Rooms,
    pub(super) shard: Shard,
    pub(super) item: Item,
    pub(super) schedule: Schedule,
    pub(super) seen: Seen,
    pub(super) to: Epoch,
    pub(super) loader_lease: Duration,
    pub(super) ledger_address: &'a str,
    pub(super) silences: &'a Silences,
    /// Whoever sends a command again sends the same id.
    opened_id: CommandId,
    changed_id: CommandId,
    staged: Option<(Identity, SnapshotHead)>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        rooms: &'a Rooms,
        plan: (Shard, Item, Schedule),
        to: Epoch,
        loader_lease: Duration,
        ledger_address: &'a str,
        silences: &'a Silences,
    ) -> Self {
        let (shard, item, schedule) = plan;
        let Shard { no, phase, epoch, .. } = shard;
        let seen = Seen { shard: no, item: item.id, phase, epoch };
        Self {
            rooms,
            shard,
            item,
            schedule,
            seen,
            to,
            loader_lease,
            ledger_address,
            silences,
            opened_id: CommandId::random(),
            changed_id: CommandId::random(),
            staged: None,
        }
    }

    /// Performs one action. Not for those that end an attempt or let it wait.
    pub(super) async fn perform(&mut self, action: Action) -> Answer {
        let Rooms { catalog, ledger, .. } = self.rooms;
        let shard = self.shard.no;
        match action {
            // The loop around this sees to both.
            Action::Wait(_) | Action::End(_) => Answer::Done,
            Action::ReadBooks => self.read_books().await,
            Action::PublishItemOpened => {
                let opened = Command::ItemOpened(self.item_opened());
                self.append(self.opened_id, opened).await
            }
            Action::PublishChange { from } => {
                let changed = Command::EpochChanged { from, to: self.to };
                self.append(self.changed_id, changed).await
            }
            Action::CheckHolds { from } => self.check_holds(from).await,
            Action::PublishHolds { from } => self.publish_holds(from).await,
            Action::Claim => {
                let (to, lasts) = (self.to, self.loader_lease);
                let claim = Claim { to, lasts, ledger_address: self.ledger_address };
                self.set(catalog.begin_loading(self.seen, claim).await)
            }
            Action::CheckClaim => self.set(catalog.still_loading(shard, self.to).await),
            Action::Open => self.set(catalog.open(shard, self.to).await),
            Action::Close => match ledger.close(shard, self.to).await {
                Ok(()) => Answer::Done,
                Err(error) => self.silent("the ledger was not closed", &error),
            },
            Action::Stage => self.stage().await,
            Action::Activate => self.activate().await,
            Action::Forget => match ledger.forget(shard, self.to).await {
                Ok(()) => Answer::Done,
                Err(ForgetError::MarkLost) => Answer::Refused,
                Err(ForgetError::Ledger(error)) => {
                    self.silent("whether the ledger has forgotten the shard isn't known", &error)
                }
            },
            Action::Retire => self.set(catalog.retire(shard, self.to).await),
        }
    }

    async fn read_books(&self) -> Answer {
        match self.rooms.books.shard(self.shard.no).await {
            Ok(Some(GuardRow { item, open, .. })) => Answer::Row { item, open },
            Ok(None) => Answer::NoRow,
            Err(error) => self.silent("the books' row was not read", &error),
        }
    }

    fn item_opened(&self) -> ItemOpened {
        let item = &self.item;
        ItemOpened {
            sale: item.sale,
            item: item.id,
            total: self.shard.total_units,
            limit_per_user: item.limit_per_user,
            unit_price: item.unit_price,
            currency: item.currency.clone(),
            pay_within_s: item.pay_within_s,
        }
    }

    async fn append(&self, command_id: CommandId, command: Command) -> Answer {
        let record = Record { command_id, shard: self.shard.no, command };
        match self.rooms.journal.append(self.shard.partition, &record).await {
            Ok(_) => Answer::Done,
            Err(error) => self.silent("a command was not acknowledged", &error),
        }
    }

    /// Whether the books know all open holds of `from`; one question to them for each page.
    async fn check_holds(&self, from: Epoch) -> Answer {
        let mut pages = self.open_holds(from);
        loop {
            let holds = match pages.next(HOLDS_ASKED).await {
                Ok(Some(holds)) => holds,
                Ok(None) => return Answer::Done,
                Err(error) => return self.silent("the open holds were not read", &error),
            };
            let orders: Vec<_> = holds.iter().map(|hold| hold.order).collect();
            match self.rooms.books.find(&orders).await {
                Ok(known) if known.decided.len() == orders.len() => {}
                Ok(_) => return Answer::Refused,
                Err(error) => return self.silent("the books were not asked for holds", &error),
            }
        }
    }

    async fn publish_holds(&self, from: Epoch) -> Answer {
        let mut pages = self.open_holds(from);
        loop {
            let holds = match pages.next(roll_forward::RECORD_HOLDS).await {
                Ok(Some(holds)) => holds,
                Ok(None) => return Answer::Done,
                Err(error) => return self.silent("the open holds were not read", &error),
            };
            // There may be more than the embedded broker keeps of what the books haven't read.
            if !self.rooms.journal.has_room(self.shard.partition) {
                return self.silent("open holds wait", &"the shard's partition has no room");
            }
            let (id, shard) = (CommandId::random(), self.shard.no);
            let record = roll_forward::record(id, shard, from, &holds);
            let append = self.rooms.journal.append(self.shard.partition, &record);
            if let Err(error) = append.await {
                return self.silent("open holds were not acknowledged", &error);
            }
        }
    }

    fn open_holds(&self, from: Epoch) -> Pages<'_> {
        Pages { ledger: &*self.rooms.ledger, shard: self.shard.no, from, next: Next::First }
    }

    async fn stage(&mut self) -> Answer {
        let (shard, ledger) = (self.shard.no, &self.rooms.ledger);
        let mut snapshot = match self.rooms.books.snapshot(shard, self.to).await {
            Ok(snapshot) => snapshot,
            Err(SnapshotError::OtherEpoch) => return Answer::Refused,
            Err(SnapshotError::Busy) => return Answer::Silent,
            Err(error) => return self.silent("the books gave no snapshot", &error),
        };
        let identity = match ledger.begin_staging(shard, self.to).await {
            Ok(identity) => identity,
            Err(error) => return self.not_staged(&error),
        };
        loop {
            match snapshot.next_orders().await {
                Ok(Some(orders)) => {
                    if let Err(error) = ledger.stage(shard, self.to, &identity, orders).await {
                        return self.not_staged(&error);
                    }
                }
                Ok(None) => break,
                Err(error) => return self.silent("the snapshot broke off", &error),
            }
        }
        self.staged = Some((identity, snapshot.head));
        Answer::Done
    }

    fn not_staged(&self, error: &StageError) -> Answer {
        match error {
            StageError::MarkLost | StageError::IdentityChanged => Answer::Refused,
            StageError::Ledger(error) => self.silent("the ledger staged nothing", error),
        }
    }

    async fn activate(&mut self) -> Answer {
        // Taken out: what was staged is activated once.
        let Some((identity, head)) = self.staged.take() else { return Answer::Refused };
        // Can't be: the books' guard forbids it. Selling nothing is the safe answer.
        if let Err(violation) = law::no_oversell(head.total, head.sold) {
            tracing::error!(%violation, shard = %self.shard.no, "the books are damaged");
        }
        let stock = head.total.saturating_sub(head.sold);
        let activation = Activation {
            to: self.to,
            identity,
            terms: Terms {
                opens_ms: self.schedule.opens_ms,
                closes_ms: self.schedule.closes_ms,
                limit_per_user: self.item.limit_per_user,
            },
            stock: u32::try_from(stock).unwrap_or(u32::MAX),
            orders: head.orders,
            generation: head.generation,
            movement_watermark: head.movement_watermark,
        };
        match self.rooms.ledger.activate(self.shard.no, activation).await {
            Ok(()) => Answer::Done,
            Err(ActivateError::Ledger(error)) => {
                self.silent("whether the ledger has activated isn't known", &error)
            }
            Err(error) => {
                tracing::info!(shard = %self.shard.no, %error, "the ledger refused to activate");
                Answer::Refused
            }
        }
    }

    fn set(&self, answer: Result<bool, crate::catalog::Error>) -> Answer {
        match answer {
            Ok(true) => Answer::Done,
            Ok(false) => Answer::Refused,
            Err(error) => self.silent("the catalog gave no answer", &error),
        }
    }

    fn silent(&self, message: &'static str, error: &dyn std::fmt::Display) -> Answer {
        let (shard, to) = (self.shard.no, self.to);
        match self.silences.again(message) {
            Some(unsaid) => {
                tracing::warn!(
                    %shard, %to, %error, unsaid,
                    "loading: {message}; buyers of the shard hear LOADING until it is"
                );
            }
            None => tracing::debug!(%shard, %to, %error, "loading: {message}"),
        }
        Answer::Silent
    }
}

/// The open holds of one epoch, as far as the ledger can still show them.
struct Pages<'a> {
    ledger: &'a dyn Ledger,
    shard: ShardNo,
    from: Epoch,
    next: Next,
}

enum Next {
    First,
    After(OpenHold),
    Nothing,
}

impl Pages<'_> {
    /// At most `count` more; none at the end.
    async fn next(&mut self, count: usize) -> Result<Option<Vec<Hold>>, Error> {
        let after = match &self.next {
            Next::First => None,
            Next::After(last) => Some(last),
            Next::Nothing => return Ok(None),
        };
        let page = match self.ledger.holds(self.shard, after, count).await {
            Ok(page) => page,
            // The keeper was lost, and with it what could be read.
            Err(Error::Fenced) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Holds of any other epoch don't count, whatever is done about them.
        if page.epoch != self.from || page.holds.is_empty() {
            return Ok(None);
        }
        self.next = match page.holds.last() {
            Some(last) if page.holds.len() == count => Next::After(last.clone()),
            Some(_) | None => Next::Nothing,
        };
        Ok(Some(page.holds.into_iter().map(|open| open.hold).collect()))
    }
}
