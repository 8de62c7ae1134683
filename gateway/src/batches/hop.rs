//! A call that a batch makes elsewhere: how long it took, for everybody, and in the trace of each
//! member that is recorded.

use std::time::{Duration, SystemTime};

use chassis::{
    TraceContext,
    metrics::Histogram,
    telemetry::{Members, Span, SpanKind, wall_time},
};

use super::Road;

pub(super) struct Hop {
    kind: SpanKind,
    name: &'static str,
    began: Duration,
    since: SystemTime,
}

impl Hop {
    /// It begins now.
    pub(super) fn begin(road: &Road, kind: SpanKind, name: &'static str) -> Self {
        Self { kind, name, began: road.clock.now(), since: wall_time() }
    }

    /// It is over; `describe` tells the rest of each span.
    pub(super) fn end(
        self,
        road: &Road,
        took: &Histogram,
        members: &Members,
        describe: impl Fn(&mut Span),
    ) {
        let Self { kind, name, began, since } = self;
        took.observe_time(road.clock.now().saturating_sub(began));
        let Some(batch) = TraceContext::current() else {
            return;
        };
        let mut span = road.tracer.span(kind.clone(), name, batch).between(since, wall_time());
        describe(&mut span);
        members.tell(&road.tracer, kind, name, (batch, since), describe);
    }
}
