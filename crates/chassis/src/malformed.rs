//! Requests that can't be read, and those for what isn't here, are refused with details like all
//! other bad input.
//!
//! tonic refuses them before a handler is asked, by a bare INTERNAL, OUT_OF_RANGE or UNIMPLEMENTED.
//! Those answers, and no others, are replaced: they are headers alone, without details, and say
//! word for word what tonic 0.14.9 says, or [`crate::deadline`] and [`crate::health`] do. Whatever
//! else a handler fails with passes unchanged. A compressed message without `grpc-encoding` stays
//! INTERNAL, as gRPC demands.

use http::{HeaderName, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::deadline;
use crate::health;
use crate::plain_http::HttpStatus;
use crate::status::Refusal;

const ACCEPTED_CODINGS: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What a server calls malformed input in its ErrorInfo.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The domain of all its refusals.
    pub domain: &'static str,
    /// The reason of those that bad input causes.
    pub invalid_input: &'static str,
    /// The reason of those for which there is no room now.
    pub overloaded: &'static str,
    /// The reason of those for a method that isn't here, or in a coding that isn't understood.
    pub unimplemented: &'static str,
    /// The reason of those for a thing that isn't here.
    pub not_found: &'static str,
}

/// The same answer, or if it refuses a malformed request, one that says in `words` what is wrong.
pub(crate) fn explained(words: Words, answer: Response<Body>) -> Response<Body> {
    // Nearly all refusals are our own, which have details: reading one whole costs a microsecond.
    if answer.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return answer;
    }
    let refused = Status::from_header_map(answer.headers());
    let Some(fault) = refused.as_ref().and_then(Fault::of) else { return answer };
    let mut told = fault.refused(words).into_status().into_http();
    // By it a client finds a coding that is understood.
    if let Some(codings) = answer.headers().get(ACCEPTED_CODINGS) {
        told.headers_mut().insert(ACCEPTED_CODINGS, codings.clone());
    }
    if let Fault::TooLong { .. } = fault {
        told.extensions_mut().insert(HttpStatus(StatusCode::PAYLOAD_TOO_LARGE));
    }
    told
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
    /// The method isn't here, or its service.
    Method,
    /// Compressed in a way that isn't understood.
    Compressed,
    /// Whose health is asked isn't here.
    Service,
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
            Code::Unimplemented if message.is_empty() => Some(Self::Method),
            Code::Unimplemented => {
                let compressed = message.strip_prefix("Content is compressed with `")?;
                compressed.strip_suffix("` which isn't supported")?;
                Some(Self::Compressed)
            }
            Code::NotFound if message == health::UNKNOWN => Some(Self::Service),
            _ => None,
        }
    }

    fn refused(&self, words: Words) -> Refusal {
        let Words { domain, invalid_input, unimplemented, not_found, .. } = words;
        let invalid = |field: &str, description: String| {
            let message = format!("the request can't be read: {field} {description}");
            Refusal::new(Code::InvalidArgument, invalid_input, domain, message)
                .field(field, description)
        };
        let unimplemented =
            |message| Refusal::new(Code::Unimplemented, unimplemented, domain, message);
        match self {
            Self::Undecodable(why) => invalid("message", format!("can't be decoded: {why}")),
            Self::TooLong { found, limit } => {
                invalid("message", format!("must have at most {limit} bytes, not {found}"))
            }
            Self::Frame => invalid("message", "must be one whole gRPC frame".to_owned()),
            Self::Base64 => {
                let form = "must be gRPC frames in base64, and nothing else";
                invalid("message", form.to_owned())
            }
            Self::Timeout => {
                let form = "must be 1 to 8 digits and one of the units H M S m u n";
                invalid("grpc-timeout", form.to_owned())
            }
            Self::Method => unimplemented("there is no such method here"),
            Self::Compressed => {
                unimplemented("messages may be compressed as grpc-accept-encoding says, not so")
            }
            Self::Service => Refusal::new(Code::NotFound, not_found, domain, health::UNKNOWN),
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
