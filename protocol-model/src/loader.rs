//! Loads, one for each inventory-svc at a time. Which step follows is the code's own [`Attempt`],
//! and whether a load is wanted its own `is_wanted`; here are the stores' answers, and the calls
//! that are lost or late. Between any two steps a loader may be frozen, die, or be taken for dead.
//! The attempt's pace is zero, so the only wait that it knows is the one for the leases.

use std::{sync::Arc, time::Duration};

use ids::{Epoch, ItemId};
use inventory_svc::{
    domain::{Activation, Identity, Peek, sale::Phase},
    loading::{
        Cause, Why,
        attempt::{Action, Answer, Attempt, End, Pace, Plan},
        loader::is_wanted,
    },
};
use journal::Command;

use crate::{
    books::Snapshot,
    catalog::Row,
    names::{self, TERMS, epoch},
    settings::{Fault, Removed, Settings},
    world::{Twin, World},
};

mod calls;

use calls::Call;
pub(crate) use calls::{Late, has_twins};

/// Any length: it is waited for by an event.
const LEASE: Duration = Duration::from_secs(2);

const PACE: Pace = Pace {
    ask_first: Duration::ZERO,
    ask_most: Duration::ZERO,
    send_first: Duration::ZERO,
    send_most: Duration::ZERO,
};

/// No epoch of this world.
const NO_EPOCH: u8 = u8::MAX;

/// A load: a row of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Load {
    cause: Cause,
    /// The ids of its attempts.
    mine: Vec<Epoch>,
    run: Option<Run>,
}

/// The attempt that is going on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Run {
    attempt: Attempt,
    item: ItemId,
    /// What the catalog showed before the claim; none once that is made.
    seen: Option<Row>,
    now: Duration,
    /// The books' transaction, read before it is staged.
    snapshot: Option<Arc<Snapshot>>,
    /// Who had the shard when staging began.
    staged_on: Option<Identity>,
    past: Past,
}

/// What only a removal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Past {
    has_closed: bool,
    has_sent_change: bool,
    has_sent_holds: bool,
}

impl Load {
    fn owns(&self, epoch: Option<Epoch>) -> bool {
        epoch.is_some_and(|epoch| self.mine.contains(&epoch))
    }

    /// What the loader would do now.
    pub(crate) fn next(&self) -> Option<Action> {
        self.run.as_ref().map(|run| run.attempt.next(run.now))
    }
}

impl World {
    /// Why this inventory-svc would start a load, and whether that takes a fault.
    pub(crate) fn causes(&self, settings: &Settings, index: usize) -> Vec<(Cause, Option<Fault>)> {
        let row = self.catalog.row();
        if index >= usize::from(settings.loaders) || self.services[index].load.is_some() {
            return Vec::new();
        }
        let mut causes = Vec::new();
        match row.phase {
            Phase::New => causes.push((Cause::Opening, None)),
            Phase::Loading => {
                let mut loads = self.services.iter().filter_map(|service| service.load.as_ref());
                let is_alive = loads.any(|load| load.owns(row.epoch));
                let may_freeze = self.faults.has(Fault::TakeOver);
                if settings.is_removed(Removed::DeadLoaderTakenOver) {
                } else if !is_alive {
                    causes.push((Cause::Abandoned, None));
                } else if may_freeze {
                    causes.push((Cause::Abandoned, Some(Fault::TakeOver)));
                }
            }
            Phase::Open => {
                let Some(open) = row.epoch else { return causes };
                if settings.is_over {
                    causes.push((Cause::Over, None));
                }
                if let Some(why) = self.sickness(settings, index, open) {
                    causes.push((Cause::Requested(why), None));
                } else if self.faults.has(Fault::Reload) {
                    let why = Why::IdentityChanged(open);
                    causes.push((Cause::Requested(why), Some(Fault::Reload)));
                }
            }
            Phase::Retired => {}
        }
        causes.retain(|(cause, _)| is_wanted(row.phase, row.epoch, *cause, &[]));
        causes
    }

    /// What an inventory-svc can see that is wrong with an epoch that is OPEN.
    fn sickness(&self, settings: &Settings, index: usize, open: Epoch) -> Option<Why> {
        let process = self.redis.at(self.services[index].connection);
        let looks_away = settings.is_removed(Removed::LoadFromStaleEpoch);
        match process.shard().peek(&process.me) {
            Peek::Fenced | Peek::Closed { .. } => return Some(Why::Fenced(open)),
            Peek::Open { epoch, .. } if epoch != open && !looks_away => {
                return Some(Why::StaleEpoch(open));
            }
            Peek::Open { .. } => {}
        }
        if self.requests.rejected == Some(open) {
            return Some(Why::Rejected(open));
        }
        if self.requests.older_books == Some(open) {
            return Some(Why::LowerGeneration(open));
        }
        let guard = self.books.pages.guard.as_ref();
        let is_foreign = guard.is_some_and(|guard| guard.item != self.catalog.row().item);
        if is_foreign && !settings.is_removed(Removed::ItemOfTheGuard) {
            return Some(Why::OtherItem(open));
        }
        let is_other = self.books.pages.open_epoch() != Some(open) && !looks_away;
        is_other.then_some(Why::NotInBooks(open))
    }

    pub(crate) fn begin(&mut self, settings: &Settings, index: usize, cause: Cause) -> Option<()> {
        let causes = self.causes(settings, index);
        let (_, fault) = causes.into_iter().find(|(known, _)| *known == cause)?;
        if let Some(fault) = fault {
            self.faults.spend(fault);
        }
        match cause {
            Cause::Requested(Why::Rejected(_)) => self.requests.rejected = None,
            Cause::Requested(Why::LowerGeneration(_)) => self.requests.older_books = None,
            _ => {}
        }
        let mine = Vec::new();
        let load = Load { cause, mine, run: None };
        self.services[index].load = Some(self.with_run(settings, load)?);
        Some(())
    }

    /// The next attempt of a load, or its end.
    pub(crate) fn again(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let load = self.services[index].load.take_if(|load| load.run.is_none())?;
        let row = self.catalog.row();
        if is_wanted(row.phase, row.epoch, load.cause, &load.mine) {
            self.services[index].load = Some(self.with_run(settings, load)?);
        }
        Some(())
    }

    fn with_run(&mut self, settings: &Settings, mut load: Load) -> Option<Load> {
        let seen = self.catalog.row();
        let used = seen.epoch.filter(|_| settings.is_removed(Removed::FreshId));
        let to = match used {
            Some(used) => used,
            None => {
                let bound = settings.attempts_max;
                self.epochs.is_counted = bound.is_some();
                self.epochs.count += 1;
                if bound.is_some_and(|most| self.epochs.count > most) {
                    return None;
                }
                epoch(self.epochs.count)
            }
        };
        let plan = Plan {
            to,
            item: seen.item,
            is_opening: seen.phase == Phase::New,
            is_over: match load.cause {
                Cause::Over | Cause::Abandoned => settings.is_over && seen.phase != Phase::New,
                Cause::Opening | Cause::Requested(_) => false,
            },
            lease: LEASE,
            give_up_at: Duration::MAX,
            pace: PACE,
        };
        // Of the older ones only those matter that the catalog may still show.
        load.mine.retain(|epoch| self.may_show(*epoch));
        load.mine.push(to);
        load.run = Some(Run {
            attempt: Attempt::new(plan),
            item: seen.item,
            seen: Some(seen),
            now: Duration::ZERO,
            snapshot: None,
            staged_on: None,
            past: Past::default(),
        });
        Some(load)
    }

    /// Whether the catalog shows this epoch, or may come to by a copy or a late call.
    fn may_show(&self, epoch: Epoch) -> bool {
        let shows = |row: &Row| row.epoch == Some(epoch);
        shows(&self.catalog.row()) || self.catalog.copies().iter().any(shows) || self.late.is_some()
    }

    pub(crate) fn wait_over(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let run = self.services[index].load.as_mut()?.run.as_mut()?;
        let Action::Wait(until) = run.attempt.next(run.now) else { return None };
        run.now = until;
        if settings.is_removed(Removed::LoadersWait) {
            self.forget_loader(index);
        } else {
            self.leases_end(settings, index);
        }
        Some(())
    }

    pub(crate) fn loader_dies(&mut self, index: usize) -> Option<()> {
        self.services[index].load.take()?;
        self.faults.spend(Fault::LoaderDeath);
        self.forget_loader(index);
        Some(())
    }

    /// The loader's next step.
    pub(crate) fn load(&mut self, settings: &Settings, index: usize, twin: Twin) -> Option<()> {
        let mut load = self.services[index].load.take()?;
        let mut run = load.run.take()?;
        let action = run.attempt.next(run.now);
        if matches!(action, Action::Wait(_) | Action::End(_)) {
            return None;
        }
        let closes_early = settings.is_removed(Removed::LookBeforeClosing)
            && action == Action::ReadBooks
            && !run.past.has_closed;
        if closes_early {
            let mut call = self.call(settings, index, &run, Action::Close);
            self.perform(settings, &mut call);
            self.loader_has_closed(index);
            run.past.has_closed = true;
        } else if action == Action::Stage && run.snapshot.is_none() {
            // What is staged was read from the books some time before.
            self.read_snapshot(settings, index, &mut run, twin)?;
        } else {
            let answer = self.make(settings, index, &mut run, action, twin);
            let is_sent_again = action == Action::Activate
                && answer == Answer::Silent
                && settings.is_removed(Removed::ActivateOnce);
            if !is_sent_again {
                self.answer(&mut run, index, action, answer);
            }
        }
        forget(settings, &mut run);
        self.go_on(index, load, run);
        Some(())
    }

    /// Makes a call, or loses it, or leaves it to be done later.
    fn make(
        &mut self,
        settings: &Settings,
        index: usize,
        run: &mut Run,
        action: Action,
        twin: Twin,
    ) -> Answer {
        let mut call = self.call(settings, index, run, action);
        let answer = match twin {
            // It was closed before.
            Twin::Answered if action == Action::Close && run.past.has_closed => Answer::Done,
            Twin::Answered => self.perform(settings, &mut call),
            Twin::Silent => {
                self.faults.spend(Fault::Silence);
                self.perform(settings, &mut call);
                Answer::Silent
            }
            Twin::Late => {
                self.faults.spend(Fault::LateCall);
                self.late = Some(Late::Call(call.clone()));
                Answer::Silent
            }
        };
        run.staged_on = call.staged_on;
        run.past.has_sent_change |= matches!(action, Action::PublishChange { .. });
        run.past.has_sent_holds |= matches!(action, Action::PublishHolds { .. });
        answer
    }

    fn answer(&mut self, run: &mut Run, index: usize, action: Action, answer: Answer) {
        match (action, answer) {
            (Action::Close, Answer::Done) if !run.past.has_closed => self.loader_has_closed(index),
            (Action::Claim, Answer::Done) => run.seen = None,
            (Action::Stage, Answer::Refused | Answer::Silent) => run.snapshot = None,
            _ => {}
        }
        run.attempt.answered(answer, run.now);
    }

    /// Puts the load back, or ends the attempt or the load.
    fn go_on(&mut self, index: usize, mut load: Load, run: Run) {
        match run.attempt.next(run.now) {
            Action::End(end) => {
                self.forget_loader(index);
                match end {
                    End::Opened | End::Retired | End::Overtaken | End::Foreign(_) => {}
                    End::StartOver(_) | End::OutOfPatience => {
                        self.services[index].load = Some(load);
                    }
                }
            }
            _ => {
                load.run = Some(run);
                self.services[index].load = Some(load);
            }
        }
    }

    /// The first half of staging. A refusal ends it.
    fn read_snapshot(
        &mut self,
        settings: &Settings,
        index: usize,
        run: &mut Run,
        twin: Twin,
    ) -> Option<()> {
        let pages = &self.books.pages;
        let is_shown = pages.open_epoch() == Some(run.attempt.to())
            || settings.is_removed(Removed::SnapshotShowsTo);
        let has_tombstones = !settings.is_removed(Removed::RejectedTombstones);
        match pages.snapshot(has_tombstones).filter(|_| is_shown) {
            // Whether a read is answered is no fault of its own: it is made again.
            _ if twin != Twin::Answered => return None,
            Some(snapshot) => run.snapshot = Some(Arc::new(snapshot)),
            None => self.answer(run, index, Action::Stage, Answer::Refused),
        }
        Some(())
    }

    fn call(&self, settings: &Settings, index: usize, run: &Run, action: Action) -> Call {
        let has_sent = match action {
            Action::PublishChange { .. } => run.past.has_sent_change,
            Action::CheckHolds { .. } => run.past.has_sent_holds,
            Action::ReadBooks => run.past.has_sent_change,
            _ => false,
        };
        Call {
            action,
            to: run.attempt.to(),
            item: run.item,
            seen: run.seen,
            snapshot: run.snapshot.clone(),
            staged_on: run.staged_on.clone(),
            process: self.redis.at(self.services[index].connection).me.clone(),
            has_sent,
            total: settings.total,
        }
    }
}

/// Drops what plays no part any more.
fn forget(settings: &Settings, run: &mut Run) {
    if settings.removed.is_empty() {
        run.past = Past::default();
    }
    if run.attempt.next(run.now) == Action::Open {
        (run.snapshot, run.staged_on) = (None, None);
    }
}
