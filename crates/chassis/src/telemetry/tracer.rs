//! Who decides which traces are recorded, and makes spans of those.
//!
//! The edge takes a client's trace id and decides by itself: a share of all calls, by chance and
//! not by the id, which the client chooses. Inside, the caller's decision stands. A call that fails
//! is recorded in any case, by the service where it does (`serving.rs`), so many a second.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use rand::RngExt as _;

use super::{
    context::TraceContext,
    export::Outlet,
    span::{Span, SpanKind},
};
use crate::clock::boot_time;

/// Of calls that failed and weren't to be recorded, so many a second are. 20: enough to see what it
/// is, and no second flood when a store is gone.
const FAILURES_PER_SECOND_MAX: u64 = 20;

/// Makes spans for one service. Clones are the same; without an outlet it records nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    outlet: Option<Outlet>,
    ratio: f64,
    is_edge: bool,
    failures: Arc<Budget>,
}

impl Tracer {
    pub(super) fn new(outlet: Option<Outlet>, ratio: f64) -> Self {
        Self { outlet, ratio, is_edge: false, failures: Arc::default() }
    }

    /// The same, for calls of the public.
    pub(super) fn at_the_edge(&self) -> Self {
        Self { is_edge: true, ..self.clone() }
    }

    /// Where a call begins whose caller is at `caller`, if the caller says so.
    pub(super) fn admit(&self, caller: Option<TraceContext>) -> TraceContext {
        match caller {
            Some(caller) if !self.is_edge => caller.child(),
            Some(caller) => caller.child().sampled(self.chance()),
            None => TraceContext::begin(self.chance()),
        }
    }

    fn chance(&self) -> bool {
        self.outlet.is_some() && self.ratio > 0.0 && rand::rng().random::<f64>() < self.ratio
    }

    /// A span inside of what happens at `parent`.
    pub fn span(
        &self,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        parent: TraceContext,
    ) -> Span {
        match &self.outlet {
            Some(outlet) if parent.is_sampled() => {
                Span::recorded(outlet, kind, name.into(), parent.child(), Some(parent))
            }
            Some(_) | None => Span::unseen(parent),
        }
    }

    /// The same for what happens where the current task works; unseen outside of a trace.
    pub fn span_here(&self, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Span {
        match TraceContext::current() {
            Some(parent) => self.span(kind, name, parent),
            None => Span::unseen(TraceContext::begin(false)),
        }
    }

    /// Work on behalf of several that are recorded, in a trace of its own and linked to theirs;
    /// not recorded if there are none.
    pub(super) fn batch(
        &self,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        members: &[TraceContext],
    ) -> Span {
        let context = TraceContext::begin(!members.is_empty());
        match &self.outlet {
            Some(outlet) if context.is_sampled() => {
                let mut span = Span::recorded(outlet, kind, name.into(), context, None);
                members.iter().for_each(|member| span.link(*member));
                span
            }
            Some(_) | None => Span::unseen(context),
        }
    }

    /// The span of a call at `context`, which was admitted.
    pub(super) fn call(
        &self,
        name: &str,
        context: TraceContext,
        caller: Option<TraceContext>,
    ) -> Span {
        match &self.outlet {
            Some(outlet) if context.is_sampled() => {
                let name = Cow::Owned(name.to_owned());
                Span::recorded(outlet, SpanKind::Server, name, context, caller)
            }
            Some(_) | None => Span::unseen(context),
        }
    }

    /// The span of a call that has failed and wasn't to be recorded, while there is room for such.
    pub(super) fn failed_call(
        &self,
        name: &str,
        context: TraceContext,
        caller: Option<TraceContext>,
        start: SystemTime,
    ) -> Option<Span> {
        let outlet = self.outlet.as_ref().filter(|_| self.failures.take())?;
        let name = Cow::Owned(name.to_owned());
        let mut span = Span::recorded(outlet, SpanKind::Server, name, context, caller);
        span.began(start);
        Some(span)
    }
}

/// So many a second: the second in the upper half, what was taken in it in the lower.
#[derive(Debug, Default)]
struct Budget(AtomicU64);

impl Budget {
    fn take(&self) -> bool {
        let second = boot_time().as_secs() << 32;
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let state = if state >> 32 << 32 == second { state } else { second };
            (state - second < FAILURES_PER_SECOND_MAX).then_some(state + 1)
        });
        taken.is_ok()
    }
}
