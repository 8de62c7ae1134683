//! One attempt to load a shard, or to retire it: the pure core of protocol section 7. Both end an
//! epoch in the same way; then one brings the next, the other forgets the shard. It is told what
//! came of each step and says which one is next; it does no I/O, reads no clock and draws no random
//! numbers. It keeps I-2 (an epoch ends in the log only when no lease of it can still run), never
//! repeats a step that isn't idempotent, and loads no shard that is another item's in the books.
//! Attempts know nothing of each other: the log elects one, the catalog and the ledger's mark
//! refuse the rest.

use std::time::Duration;

use ids::{Epoch, ItemId};

/// What an attempt is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The attempt's id: fresh, random, never used again (law B).
    pub to: Epoch,
    /// Whose units they are, as the catalog has it.
    pub item: ItemId,
    /// The shard was never loaded, so the books must know it before it is claimed.
    pub is_opening: bool,
    /// The shard's sale is over: its last epoch ends and none follows, so the shard retires.
    pub is_over: bool,
    /// L of the protocol, from the shard's catalog row.
    pub lease: Duration,
    /// From then on nothing is tried again.
    pub give_up_at: Duration,
    /// How fast things are tried again.
    pub pace: Pace,
}

/// How fast things are tried again: each wait is twice the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pace {
    /// The first wait before a question is asked again.
    pub ask_first: Duration,
    /// The longest such wait.
    pub ask_most: Duration,
    /// The first wait before a command is sent again that the books don't show.
    pub send_first: Duration,
    /// The longest such wait.
    pub send_most: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing before this moment.
    Wait(Duration),
    /// Read the shard's row on the books' primary.
    ReadBooks,
    /// Append `ItemOpened` to the log.
    PublishItemOpened,
    /// Catalog: (LOADING, `to`) if the shard still is what was seen.
    Claim,
    /// Ledger: close the shard and leave the mark `to`.
    Close,
    /// Catalog: whether it is still (LOADING, `to`).
    CheckClaim,
    /// Whether the books know every open hold of `from` that the ledger can still show. Refused:
    /// not all of them, yet.
    CheckHolds {
        /// The epoch that is to end.
        from: Epoch,
    },
    /// Append every open hold of `from` that the ledger can still show to the log.
    PublishHolds {
        /// The epoch that is to end.
        from: Epoch,
    },
    /// Append `EpochChanged { from, to }` to the log.
    PublishChange {
        /// The epoch that it ends.
        from: Option<Epoch>,
    },
    /// Stage one snapshot of the books that itself shows `to` as the open epoch. Refused: it shows
    /// another one, or the ledger's mark is another attempt's.
    Stage,
    /// Ledger: make what was staged the shard's epoch. Sent once.
    Activate,
    /// Catalog: (OPEN, `to`) if it is still (LOADING, `to`).
    Open,
    /// Ledger: forget the shard, if the mark `to` is still there.
    Forget,
    /// Catalog: (RETIRED, `to`) if it is still (LOADING, `to`).
    Retire,
    /// Nothing any more.
    End(End),
}

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is done.
    Done,
    /// It isn't done and won't be: what it was conditional on isn't so.
    Refused,
    /// No answer: it may or may not be done.
    Silent,
    /// To [`Action::ReadBooks`]: the shard's row.
    Row {
        /// Whose units the books count there.
        item: ItemId,
        /// The shard's open epoch.
        open: Option<Epoch>,
    },
    /// To [`Action::ReadBooks`]: the books don't know the shard.
    NoRow,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The shard is open with this attempt's epoch.
    Opened,
    /// The shard is retired: the books alone answer for it.
    Retired,
    /// The catalog shows that someone else has taken over.
    Overtaken,
    /// The books know the shard's number as this item's, and not as the one that the catalog shows:
    /// that is a copy from before the number was given. No attempt can go on.
    Foreign(ItemId),
    /// Only an attempt with a new id can go on.
    StartOver(Why),
    /// Something didn't answer for too long.
    OutOfPatience,
}

/// Why an attempt can't go on with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Whether the catalog took the claim isn't known.
    ClaimUnknown,
    /// The log elected another attempt, or the books show an older copy.
    OtherElected,
    /// The snapshot shows another epoch, or the ledger has another attempt's mark.
    StagingRefused,
    /// The ledger has another attempt's mark where this one's should be forgotten.
    ForgetRefused,
    /// The ledger refused to activate.
    ActivateRefused,
    /// Whether the ledger has activated isn't known, and it must not be sent twice.
    ActivateUnknown,
    /// An answer that doesn't belong to the action, or an id that isn't fresh: a mistake in the
    /// shell.
    Confused,
}

/// An attempt and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    plan: Plan,
    step: Step,
    /// The step's action is due from then on.
    not_before: Duration,
    /// How often the step was answered with nothing new, as long as that makes the wait longer:
    /// states that will do the same are equal.
    tries: u32,
    /// The command that the books should come to show.
    sent: Sent,
}

/// How often a command was sent, counted like [`Attempt::tries`], and when it is due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
struct Sent {
    times: u32,
    again_at: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Read(Reading),
    PublishItemOpened(Reading),
    Claim,
    Close { from: Option<Epoch> },
    CheckClaim { from: Option<Epoch> },
    CheckHolds { from: Epoch },
    PublishHolds { from: Epoch },
    PublishChange { from: Option<Epoch> },
    Stage,
    Activate,
    Open,
    Forget,
    Retire,
    Ended(End),
}

/// What the books are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reading {
    /// Whether they know the shard at all.
    Guard,
    /// Which epoch is to end.
    From,
    /// Whether holds of `from` still count, before they are published.
    Holds { from: Epoch },
    /// Whether the change counts.
    Election { from: Option<Epoch> },
}

impl Attempt {
    /// An attempt that has done nothing yet.
    pub fn new(plan: Plan) -> Self {
        let step = if plan.is_opening { Step::Read(Reading::Guard) } else { Step::Claim };
        Self { plan, step, not_before: Duration::ZERO, tries: 0, sent: Sent::default() }
    }

    /// The attempt's id.
    pub fn to(&self) -> Epoch {
        self.plan.to
    }

    /// What to do at `now`. Changes nothing: asked again, it says the same.
    pub fn next(&self, now: Duration) -> Action {
        if let Step::Ended(end) = self.step {
            return Action::End(end);
        }
        if now < self.not_before {
            return Action::Wait(self.not_before);
        }
        match self.step {
            Step::Read(_) => Action::ReadBooks,
            Step::PublishItemOpened(_) => Action::PublishItemOpened,
            Step::Claim => Action::Claim,
            Step::Close { .. } => Action::Close,
            Step::CheckClaim { .. } => Action::CheckClaim,
            Step::CheckHolds { from } => Action::CheckHolds { from },
            Step::PublishHolds { from } => Action::PublishHolds { from },
            Step::PublishChange { from } => Action::PublishChange { from },
            Step::Stage => Action::Stage,
            Step::Activate => Action::Activate,
            Step::Open => Action::Open,
            Step::Forget => Action::Forget,
            Step::Retire => Action::Retire,
            Step::Ended(end) => Action::End(end),
        }
    }

    /// Takes the answer to the action that [`Attempt::next`] gave, as it arrived at `now`.
    pub fn answered(&mut self, answer: Answer, now: Duration) {
        use Answer::{Done, NoRow, Refused, Row, Silent};
        match (self.step, answer) {
            (Step::Ended(_), _) => {}

            // Whatever it is read for: the row's units, epoch and orders are another item's.
            (Step::Read(_), Row { item, .. }) if item != self.plan.item => {
                self.end(End::Foreign(item));
            }
            (Step::Read(reading), Row { open, .. }) => self.read(reading, open, now),
            (Step::Read(reading), NoRow) => self.no_row(reading, now),
            // Whatever came of it, the books will tell.
            (Step::PublishItemOpened(reading), Done | Refused | Silent) => {
                self.command_sent(Step::Read(reading), now);
            }

            // Before the ledger is closed, never after: an epoch that others elect and open while
            // this attempt is frozen would not be closed by it, nor its leases be waited for
            // (I-2).
            (Step::Claim, Done) => self.go(Step::Read(Reading::From)),
            (Step::Claim, Refused) => self.end(End::Overtaken),
            // Sent again it would be refused by what it did itself.
            (Step::Claim, Silent) => self.end(End::StartOver(Why::ClaimUnknown)),
            (Step::Close { from }, Done) => self.closed(from, now),
            (Step::CheckClaim { from }, Done) => {
                self.sent = Sent::default();
                self.go(end_of(from));
            }
            (Step::CheckClaim { .. }, Refused) => self.end(End::Overtaken),

            // Not before they are rows in the books (law C): an acknowledged hold may be lost with
            // the log's tail before the change is written, and after it no hold of `from` counts.
            (Step::CheckHolds { from }, Done) => self.go(Step::PublishChange { from: Some(from) }),
            (Step::CheckHolds { .. }, Refused) if now < self.sent.again_at => self.ask_again(now),
            (Step::CheckHolds { from }, Refused) => self.go(Step::Read(Reading::Holds { from })),
            (Step::PublishHolds { from }, Done | Refused | Silent) => {
                self.command_sent(Step::CheckHolds { from }, now);
            }
            (Step::PublishChange { from }, Done | Refused | Silent) => {
                self.command_sent(Step::Read(Reading::Election { from }), now);
            }

            (Step::Stage, Done) => self.go(Step::Activate),
            (Step::Stage, Refused) => self.end(End::StartOver(Why::StagingRefused)),
            (Step::Activate, Done) => self.go(Step::Open),
            (Step::Activate, Refused) => self.end(End::StartOver(Why::ActivateRefused)),
            (Step::Activate, Silent) => self.end(End::StartOver(Why::ActivateUnknown)),
            (Step::Open, Done) => self.end(End::Opened),
            (Step::Open, Refused) => self.end(End::Overtaken),
            (Step::Forget, Done) => self.go(Step::Retire),
            (Step::Forget, Refused) => self.end(End::StartOver(Why::ForgetRefused)),
            (Step::Retire, Done) => self.end(End::Retired),
            (Step::Retire, Refused) => self.end(End::Overtaken),

            // What is left may be asked or sent again: reads, close, staging, forgetting, and the
            // catalog's OPEN and RETIRED, which this attempt's id alone can make.
            (Step::Close { .. }, Refused) | (_, Silent) => self.ask_again(now),
            (_, Done | Refused | Row { .. } | NoRow) => self.end(End::StartOver(Why::Confused)),
        }
    }

    fn read(&mut self, reading: Reading, open: Option<Epoch>, now: Duration) {
        match reading {
            Reading::Guard => self.go(Step::Claim),
            // The id isn't fresh.
            Reading::From if open == Some(self.plan.to) => self.end(End::StartOver(Why::Confused)),
            Reading::From => self.go(Step::Close { from: open }),
            Reading::Holds { from } if open == Some(from) => self.go(Step::PublishHolds { from }),
            // The election alone ends an epoch for good; before it, what the ledger has may count.
            Reading::Election { .. } if open == Some(self.plan.to) => {
                self.go(if self.plan.is_over { Step::Forget } else { Step::Stage });
            }
            Reading::Election { from } if open == from => {
                // An acknowledged record may be lost with the log's tail (law C).
                if now < self.sent.again_at { self.ask_again(now) } else { self.go(end_of(from)) }
            }
            Reading::Holds { .. } | Reading::Election { .. } => {
                self.end(End::StartOver(Why::OtherElected));
            }
        }
    }

    fn closed(&mut self, from: Option<Epoch>, now: Duration) {
        self.go(Step::CheckClaim { from });
        // Epoch leases last L/2 and start before the shard was claimed; answers that say ACCEPTED
        // last L from within those. Without an epoch there is no lease.
        if from.is_some() {
            self.not_before = now + 2 * self.plan.lease;
        }
    }

    fn no_row(&mut self, reading: Reading, now: Duration) {
        match reading {
            Reading::Guard | Reading::From if now < self.sent.again_at => {
                self.ask_again(now);
            }
            Reading::Guard | Reading::From => self.go(Step::PublishItemOpened(reading)),
            // They had a row before.
            Reading::Holds { .. } | Reading::Election { .. } => {
                self.end(End::StartOver(Why::OtherElected));
            }
        }
    }

    fn command_sent(&mut self, then: Step, now: Duration) {
        let Pace { send_first, send_most, .. } = self.plan.pace;
        let wait = doubled(send_first, self.sent.times, send_most);
        let times = self.sent.times.saturating_add(u32::from(wait < send_most));
        self.sent = Sent { times, again_at: now + wait };
        self.go(then);
        self.ask_again(now);
    }

    fn ask_again(&mut self, now: Duration) {
        if now >= self.plan.give_up_at {
            return self.end(End::OutOfPatience);
        }
        let Pace { ask_first, ask_most, .. } = self.plan.pace;
        let wait = doubled(ask_first, self.tries, ask_most);
        self.not_before = now + wait;
        self.tries = self.tries.saturating_add(u32::from(wait < ask_most));
    }

    fn go(&mut self, step: Step) {
        (self.step, self.not_before, self.tries) = (step, Duration::ZERO, 0);
    }

    fn end(&mut self, end: End) {
        self.go(Step::Ended(end));
    }
}

/// The first step of ending an epoch: its holds come before the change. Without an epoch none can
/// count.
fn end_of(from: Option<Epoch>) -> Step {
    match from {
        Some(from) => Step::CheckHolds { from },
        None => Step::PublishChange { from: None },
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests;
