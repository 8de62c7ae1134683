//! Spans: what took how long, where in a trace.
//!
//! A span is recorded only if its trace is; otherwise it is a few words on the stack. It ends when
//! it is dropped, so that what a client's departure or a crash cut short shows too. Spans of the
//! past can be made as well: a batch gives each of its members one when it is over.

use std::{borrow::Cow, time::SystemTime};

use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{Link, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

pub use opentelemetry::trace::SpanKind;

use super::{context::TraceContext, export::Outlet};

/// The most links of a span: those to a batch's recorded members.
const LINKS_MAX: usize = 128;

/// What happens, at a place in a trace. Ends when dropped.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    recording: Option<Box<Recording>>,
}

#[derive(Debug)]
struct Recording {
    outlet: Outlet,
    data: SpanData,
    end: Option<SystemTime>,
}

impl Span {
    /// Nothing that anybody will see, at `context`.
    pub(super) fn unseen(context: TraceContext) -> Self {
        Self { context, recording: None }
    }

    /// A span at `context`, whose parent is `parent`.
    pub(super) fn recorded(
        outlet: &Outlet,
        kind: SpanKind,
        name: Cow<'static, str>,
        context: TraceContext,
        parent: Option<TraceContext>,
    ) -> Self {
        let now = wall_time();
        let data = SpanData {
            // Recorded is recorded, even if its trace as a whole isn't (errors).
            span_context: context.sampled(true).to_span_context(false),
            parent_span_id: parent
                .map_or(opentelemetry::trace::SpanId::INVALID, |parent| parent.span()),
            parent_span_is_remote: parent.is_some() && kind_is_of_caller(&kind),
            span_kind: kind,
            name,
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("chassis").build(),
        };
        let recording = Recording { outlet: outlet.clone(), data, end: None };
        Self { context, recording: Some(Box::new(recording)) }
    }

    /// Its place: for what happens inside of it.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Whether anybody will see it: what is costly to tell needn't be told otherwise.
    pub fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Tells something of it. No person, token or free text of a client belongs here.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(recording) = &mut self.recording {
            recording.data.attributes.push(KeyValue::new(name, value));
        }
    }

    /// It went wrong. `why` is of a fixed vocabulary.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(recording) = &mut self.recording {
            recording.data.status = Status::error(why);
        }
    }

    /// It has to do with what happens at `other`, in another trace perhaps.
    pub fn link(&mut self, other: TraceContext) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        let links = &mut recording.data.links;
        if links.links.len() < LINKS_MAX {
            links.links.push(Link::with_context(other.to_span_context(true)));
        } else {
            links.dropped_count += 1;
        }
    }

    /// It was a while ago.
    pub fn between(mut self, start: SystemTime, end: SystemTime) -> Self {
        if let Some(recording) = &mut self.recording {
            recording.data.start_time = start;
            recording.end = Some(end.max(start));
        }
        self
    }

    pub(super) fn rename(&mut self, name: String) {
        if let Some(recording) = &mut self.recording {
            recording.data.name = name.into();
        }
    }

    pub(super) fn began(&mut self, start: SystemTime) {
        if let Some(recording) = &mut self.recording {
            recording.data.start_time = start;
        }
    }
}

/// A server's or a consumer's parent is in another process.
fn kind_is_of_caller(kind: &SpanKind) -> bool {
    matches!(kind, SpanKind::Server | SpanKind::Consumer)
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.recording.take() {
            let Recording { outlet, mut data, end } = *recording;
            data.end_time = end.unwrap_or_else(wall_time);
            outlet.take(data);
        }
    }
}

/// The time by which spans are measured.
pub fn wall_time() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "spans of several machines are put side by side")]
    SystemTime::now()
}
