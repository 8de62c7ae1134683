//! The one header of a record: `traceparent`, the place in a trace where it was appended. It is for
//! those who look on; the books never see it, and a record without it is as good.

use chassis::TraceContext;
use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};

const TRACEPARENT: &str = "traceparent";

/// The headers of a record that is appended where the current task works.
pub(crate) fn here() -> Option<OwnedHeaders> {
    let place = TraceContext::current().filter(TraceContext::is_sampled)?.to_string();
    let header = Header { key: TRACEPARENT, value: Some(&place) };
    Some(OwnedHeaders::new_with_capacity(1).insert(header))
}

/// What the headers of a record say.
pub(crate) fn read(message: &impl Message) -> Option<TraceContext> {
    let headers = message.headers()?;
    let value = headers.iter().find(|header| header.key == TRACEPARENT)?.value?;
    TraceContext::parse(std::str::from_utf8(value).ok()?)
}
