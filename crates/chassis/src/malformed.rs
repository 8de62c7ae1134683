//! Requests that can't be read are INVALID_ARGUMENT with details, like all other bad input.
//!
//! tonic refuses them before a handler is asked, by a bare INTERNAL or OUT_OF_RANGE. Those answers,
//! and no others, are replaced: they are headers alone, without details, and say word for word what
//! tonic 0.14.9 says. Whatever a handler fails with passes unchanged. A compressed message without
//! `grpc-encoding` stays INTERNAL, as gRPC demands.

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::deadline;
use crate::status::Refusal;

/// What a server calls malformed input in its ErrorInfo.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The domain of all its refusals.
    pub domain: &'static str,
    /// The reason of those that bad input causes.
    pub invalid_input: &'static str,
    /// The reason of those for which there is no room now.
    pub overloaded: &'static str,
}

/// The same answer, or if it refuses a malformed request, one that says in `words` what is wrong.
pub(crate) fn explained(words: Words, answer: Response<Body>) -> Response<Body> {
    // Nearly all refusals are our own, which have details: reading one whole costs a microsecond.
    if answer.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return answer;
    }
    let refused = Status::from_header_map(answer.headers());
    let Some(fault) = refused.as_ref().and_then(Fault::of) else { return answer };
    let (field, description) = fault.told();
    let message = format!("the request can't be read: {field} {description}");
    Refusal::new(Code::InvalidArgument, words.invalid_input, words.domain, message)
        .field(field, description)
        .into_status()
        .into_http()
}

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq)]
enum Fault<'a> {
    /// No message of its type: where and why.
    Undecodable(&'a str),
    /// Longer than the method takes, both in bytes.
    TooLong { found: &'a str, limit: &'a str },
    /// Not framed as gRPC frames a message.
    Frame,
    /// gRPC-web's text that isn't one.
    Base64,
    /// The header isn't one.
    Timeout,
}

impl<'a> Fault<'a> {
    /// `None` if the status isn't about a malformed request.
    fn of(status: &'a Status) -> Option<Self> {
        if !status.details().is_empty() {
            return None;
        }
        let message = status.message();
        match status.code() {
            Code::Internal => match message {
                "Missing request message." | "Unexpected EOF decoding stream." => Some(Self::Frame),
                _ if is_flag_refused(message) => Some(Self::Frame),
                _ if is_base64_refused(message) => Some(Self::Base64),
                _ => message
                    .strip_prefix("failed to decode Protobuf message: ")
                    .map(Self::Undecodable),
            },
            Code::OutOfRange => {
                let sizes = message
                    .strip_prefix("Error, decoded message length too large: found ")?
                    .strip_suffix(" bytes")?;
                let (found, limit) = sizes.split_once(" bytes, the limit is: ")?;
                Some(Self::TooLong { found, limit })
            }
            Code::InvalidArgument if message == deadline::MALFORMED => Some(Self::Timeout),
            _ => None,
        }
    }

    /// The field of the violation, and its description.
    fn told(&self) -> (&'static str, String) {
        match self {
            Self::Undecodable(why) => ("message", format!("can't be decoded: {why}")),
            Self::TooLong { found, limit } => {
                ("message", format!("must have at most {limit} bytes, not {found}"))
            }
            Self::Frame => ("message", "must be one whole gRPC frame".to_owned()),
            Self::Base64 => {
                ("message", "must be gRPC frames in base64, and nothing else".to_owned())
            }
            Self::Timeout => {
                let form = "must be 1 to 8 digits and one of the units H M S m u n";
                ("grpc-timeout", form.to_owned())
            }
        }
    }
}

fn is_flag_refused(message: &str) -> bool {
    message.starts_with("protocol error: received message with invalid compression flag: ")
        && message.ends_with(", while sending request")
}

/// By tonic-web, or by what it decodes with.
fn is_base64_refused(message: &str) -> bool {
    let why = message.strip_prefix("tonic-web: ");
    why.is_some_and(|why| why.starts_with("malformed base64") || why.starts_with("Invalid "))
}

#[cfg(test)]
mod tests;
