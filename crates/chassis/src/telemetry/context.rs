//! Where in which trace something happens, as W3C's `traceparent` says it.
//!
//! A context is a plain value. The one in which a task works just now is its thread's
//! ([`TraceContext::current`]), set for each poll by [`InTrace`], so it costs nothing to carry: log
//! lines, exemplars and outgoing calls find it there.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use pin_project_lite::pin_project;
use rand::RngExt as _;

/// The length of a `traceparent` of version 00.
const LEN: usize = 55;

/// Where in a trace something happens: the trace, the span, and whether the trace is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    is_sampled: bool,
}

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

impl TraceContext {
    /// The beginning of a new trace.
    pub fn begin(is_sampled: bool) -> Self {
        // Zero is no id; a random one is it as good as never.
        let trace = TraceId::from_bytes(rand::rng().random::<u128>().max(1).to_be_bytes());
        Self { trace, span: new_span_id(), is_sampled }
    }

    /// A new place in the same trace.
    pub fn child(self) -> Self {
        Self { span: new_span_id(), ..self }
    }

    /// The same place, in a trace that is recorded or isn't.
    pub fn sampled(self, is_sampled: bool) -> Self {
        Self { is_sampled, ..self }
    }

    /// What a `traceparent` says; `None` if it isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_known = bytes.len() == LEN && bytes.starts_with(b"00");
        // A later version may say more after another dash; what we know stays where it is.
        let is_later = bytes.len() >= LEN
            && !bytes.starts_with(b"00")
            && !bytes.starts_with(b"ff")
            && bytes.get(LEN).is_none_or(|after| *after == b'-');
        let has_dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        let is_hex =
            |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !(is_known || is_later) || !has_dashes {
            return None;
        }
        text.get(..2).filter(is_hex)?;
        let trace = text.get(3..35).filter(is_hex).and_then(|hex| TraceId::from_hex(hex).ok())?;
        let span = text.get(36..52).filter(is_hex).and_then(|hex| SpanId::from_hex(hex).ok())?;
        let flags = text.get(53..55).filter(is_hex)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let is_real = trace != TraceId::INVALID && span != SpanId::INVALID;
        is_real.then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }

    /// The place where the current task works, if it is in a trace.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The id of the trace, 32 digits.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        self.trace
    }

    /// The id of the span, 16 digits.
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        self.span
    }

    /// Does `work` in this place.
    pub fn enter<T>(self, work: impl FnOnce() -> T) -> T {
        let _back = Entered(CURRENT.replace(Some(self)));
        work()
    }

    pub(super) fn span(&self) -> SpanId {
        self.span
    }

    pub(super) fn to_span_context(self, is_remote: bool) -> SpanContext {
        let flags = if self.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        SpanContext::new(self.trace, self.span, flags, is_remote, TraceState::NONE)
    }
}

fn new_span_id() -> SpanId {
    SpanId::from_bytes(rand::rng().random::<u64>().max(1).to_be_bytes())
}

/// The `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, is_sampled } = self;
        write!(f, "00-{trace}-{span}-0{}", u8::from(*is_sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Puts the former place back, also after a panic.
struct Entered(Option<TraceContext>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Gives futures a place in a trace.
pub trait Traced: Future + Sized {
    /// The future, which works at `context`.
    fn at(self, context: TraceContext) -> InTrace<Self> {
        InTrace { future: self, context }
    }
}

impl<F: Future> Traced for F {}

pin_project! {
    /// A future that works at a place in a trace.
    #[derive(Debug)]
    pub struct InTrace<F> {
        #[pin]
        future: F,
        context: TraceContext,
    }
}

impl<F: Future> Future for InTrace<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.context.enter(|| this.future.poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let context = TraceContext::parse(HEADER).expect("it is one");
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), HEADER);
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        let quiet = context.sampled(false).to_string();
        assert_eq!(quiet, HEADER.replace("-01", "-00"));
        let later = format!("cc{}-more", &HEADER[2..]);
        assert_eq!(TraceContext::parse(&later), Some(context));
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let zero = "00000000000000000000000000000000";
        for text in [
            "",
            "trace",
            &HEADER[..54],
            &format!("{HEADER}-more"),
            &format!("{HEADER}00"),
            &HEADER.to_uppercase(),
            &HEADER.replacen("00-", "ff-", 1),
            &HEADER.replace("0af7651916cd43dd8448eb211c80319c", zero),
            &HEADER.replace("b7ad6b7169203331", &zero[..16]),
            &HEADER.replace("-01", "-+1"),
            &format!("00-{}", "\u{e4}".repeat(26)),
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_child_is_another_place_in_the_same_trace() {
        let parent = TraceContext::begin(true);
        let child = parent.child();
        assert_eq!(parent.trace_id().to_string(), child.trace_id().to_string());
        assert_ne!(parent.span_id().to_string(), child.span_id().to_string());
        assert!(child.is_sampled());
        assert_eq!(TraceContext::parse(&child.to_string()), Some(child));
    }

    #[tokio::test]
    async fn tasks_on_one_thread_keep_their_places_apart() {
        let (one, other) = (TraceContext::begin(true), TraceContext::begin(false));
        let look_twice = async || {
            let first = TraceContext::current();
            tokio::task::yield_now().await;
            (first, TraceContext::current())
        };
        let (one_saw, other_saw) = tokio::join!(look_twice().at(one), look_twice().at(other));
        assert_eq!(one_saw, (Some(one), Some(one)));
        assert_eq!(other_saw, (Some(other), Some(other)));
        assert_eq!(TraceContext::current(), None);
    }
}
