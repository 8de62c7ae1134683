//! Those on whose behalf a batch works, as far as their traces are recorded.
//!
//! A batch is done once for all of them, in a trace of its own; who looks up one member's trace
//! shall find there what happened all the same. So each gets spans of the past, with the batch's
//! times and a link to it.

use std::{borrow::Cow, time::SystemTime};

use super::{
    context::TraceContext,
    span::{Span, SpanKind, wall_time},
    tracer::Tracer,
};

/// See the module. Of a batch without recorded members it is empty, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Members {
    places: Vec<TraceContext>,
}

impl Members {
    /// Those of `traceparents` that are recorded. Others, and texts that are none, are left out.
    pub fn of<'a>(traceparents: impl IntoIterator<Item = &'a str>) -> Self {
        let recorded = |text| TraceContext::parse(text).filter(TraceContext::is_sampled);
        Self { places: traceparents.into_iter().filter_map(recorded).collect() }
    }

    /// Those of `places` that are recorded.
    pub fn at(places: impl IntoIterator<Item = TraceContext>) -> Self {
        Self { places: places.into_iter().filter(TraceContext::is_sampled).collect() }
    }

    /// The work on behalf of them, from now on: in a trace of its own, linked to theirs, and
    /// recorded if there are any.
    pub fn batch(
        &self,
        tracer: &Tracer,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
    ) -> Span {
        tracer.batch(kind, name, &self.places)
    }

    /// What the batch at `batch` has done between `since` and now: a span in the trace of each of
    /// them, of which `describe` tells the rest.
    pub fn tell(
        &self,
        tracer: &Tracer,
        kind: SpanKind,
        name: &'static str,
        (batch, since): (TraceContext, SystemTime),
        describe: impl Fn(&mut Span),
    ) {
        if self.places.is_empty() {
            return;
        }
        let now = wall_time();
        for place in &self.places {
            let mut span = tracer.span(kind.clone(), name, *place).between(since, now);
            span.link(batch);
            describe(&mut span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::export::Outlet;

    #[test]
    fn each_recorded_member_sees_the_work_and_the_batch_sees_them() {
        let (outlet, mut spans) = Outlet::for_tests();
        let tracer = Tracer::new(Some(outlet), 0.0);
        let (seen, unseen) = (TraceContext::begin(true), TraceContext::begin(false));
        let texts = [seen.to_string(), unseen.to_string(), String::new()];
        let members = Members::of(texts.iter().map(String::as_str));
        let since = wall_time();
        let batch = members.batch(&tracer, SpanKind::Internal, "oven");
        let place = batch.context();
        members.tell(&tracer, SpanKind::Internal, "bake", (place, since), |_| {});
        drop(batch);

        let bake = spans.try_recv().expect("the member's");
        assert_eq!(bake.span_context.trace_id().to_string(), seen.trace_id().to_string());
        assert_eq!(bake.parent_span_id.to_string(), seen.span_id().to_string());
        assert_eq!(bake.start_time, since);
        assert_eq!(bake.links[0].span_context.span_id().to_string(), place.span_id().to_string());
        let oven = spans.try_recv().expect("the batch's");
        assert_ne!(oven.span_context.trace_id(), bake.span_context.trace_id());
        assert_eq!(oven.links.len(), 1);
        assert_eq!(oven.links[0].span_context.span_id().to_string(), seen.span_id().to_string());
        assert!(spans.try_recv().is_err());
    }

    #[test]
    fn a_batch_of_nobody_is_not_recorded() {
        let (outlet, mut spans) = Outlet::for_tests();
        let tracer = Tracer::new(Some(outlet), 1.0);
        let unseen = TraceContext::begin(false).to_string();
        let batch = Members::of([unseen.as_str()]).batch(&tracer, SpanKind::Internal, "oven");
        assert!(!batch.context().is_sampled(), "callees must not record it either");
        drop(batch);
        assert!(spans.try_recv().is_err());
    }
}
