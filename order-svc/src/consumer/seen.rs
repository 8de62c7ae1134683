//! What is seen of a transaction: how long it took and what it held, and in the trace of each order
//! that is recorded, its row in the books.

use std::time::SystemTime;

use chassis::telemetry::{Members, Span, SpanKind, TraceContext, Tracer, names, wall_time};
use journal::Command;
use law::OrderState;

use crate::{
    fold::{Entry, Outcome},
    metrics::Instruments,
};

/// How transactions are seen. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) tracer: Tracer,
    pub(crate) instruments: Instruments,
}

/// A transaction, from its beginning.
pub(super) struct Seen<'a> {
    sight: &'a Sight,
    orders: Members,
    span: Span,
    since: SystemTime,
}

impl Sight {
    /// A transaction of `batch` begins. `appended` says of records where they were appended.
    pub(super) fn begin(&self, batch: &[Entry], appended: &[(u64, TraceContext)]) -> Seen<'_> {
        let is_here = |offset| batch.iter().any(|entry| entry.offset == offset);
        let places = appended.iter().filter(|(offset, _)| is_here(*offset));
        let producers = Members::at(places.map(|(_, place)| *place));
        let mut span = producers.batch(&self.tracer, SpanKind::Consumer, "process");
        span.set(names::MESSAGING_SYSTEM, "kafka");
        span.set(names::MESSAGING_OPERATION_NAME, "process");
        span.set(names::MESSAGING_BATCH_MESSAGE_COUNT, i64::try_from(batch.len()).unwrap_or(0));
        let holds =
            batch.iter().filter_map(|entry| entry.decoded.as_ref().ok()).flat_map(|record| {
                match &record.command {
                    Command::HoldsPlaced { holds, .. } => holds.as_slice(),
                    Command::ItemOpened(_) | Command::EpochChanged { .. } => &[],
                }
            });
        let orders = Members::of(holds.map(|hold| hold.traceparent.as_str()));
        Seen { sight: self, orders, span, since: wall_time() }
    }
}

impl Seen<'_> {
    /// Its place, for what happens in it.
    pub(super) fn place(&self) -> TraceContext {
        self.span.context()
    }

    /// It is in the books, which `system` keeps.
    pub(super) fn committed(self, system: &'static str, outcome: &Outcome) {
        let Self { sight: Sight { tracer, instruments }, orders, span, since } = self;
        let now = wall_time();
        instruments.commit.observe_time(now.duration_since(since).unwrap_or_default());
        count(instruments, outcome);
        let commit = |parent| {
            let mut span = tracer.span(SpanKind::Client, "commit", parent).between(since, now);
            span.set(names::DB_SYSTEM_NAME, system);
            span.set(names::DB_OPERATION_NAME, "COMMIT");
        };
        let batch = span.context();
        commit(batch);
        orders.tell(tracer, SpanKind::Consumer, "record order", (batch, since), |span| {
            let place = span.context();
            commit(place);
            place.enter(|| tracing::debug!("an order is in the books"));
        });
    }

    /// Nothing was done, or nobody knows.
    pub(super) fn failed(mut self, why: &'static str) {
        self.span.fail(why);
    }
}

fn count(instruments: &Instruments, outcome: &Outcome) {
    let decisions = || outcome.settles.values().flatten();
    instruments.batch_holds.observe_size(decisions().count());
    let rejected = decisions().filter(|told| told.state == OrderState::Rejected).count();
    let placed = decisions().count() - rejected;
    for (decision, count) in [("placed", placed), ("rejected", rejected)] {
        if count > 0 {
            instruments.decided.with([decision]).inc_by(count as u64);
        }
    }
    for alarm in &outcome.alarms {
        instruments.refused.with([alarm.refusal.word()]).inc();
    }
    instruments.dead_letters.inc_by(outcome.dead_letters.len() as u64);
}
