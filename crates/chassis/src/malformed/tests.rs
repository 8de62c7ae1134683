//! Malformed requests to a real server, and what must pass unchanged.

use tokio::runtime::Handle;
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::channel::{ChannelSettings, connect_lazy};
use crate::cores::Cores;
use crate::server::ServerSettings;
use crate::server::bakery::{Bakery, WORDS};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// The answer of a real server to a request with this body and, if it isn't empty, `grpc-timeout`.
async fn asked(frame: &str, grpc_timeout: &str) -> Status {
    let header = (!grpc_timeout.is_empty()).then_some(("grpc-timeout", grpc_timeout));
    asked_at(CHECK, frame, header).await
}

async fn asked_at(path: &str, frame: &str, header: Option<(&str, &str)>) -> Status {
    let cores = Cores::start(1).expect("a core");
    let (_owner, addr) = Bakery::new().open(&cores, &ServerSettings::default());
    let settings = ChannelSettings::default();
    let url = format!("http://{addr}");
    let channel = connect_lazy(&Handle::current(), &url, &settings).expect("a URL");
    let mut request = http::Request::post(path).header("content-type", "application/grpc");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let request = request.body(Body::new(frame.to_owned())).expect("a request");
    let answer = channel.oneshot(request).await.expect("an answer");
    Status::from_header_map(answer.headers()).expect("headers alone")
}

/// Field and description of the violation that a status names.
#[track_caller]
fn violation(status: &Status) -> (String, String) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((&*info.domain, &*info.reason), (WORDS.domain, WORDS.invalid_input));
    let mut violations = status.get_details_bad_request().expect("a BadRequest").field_violations;
    let one = violations.pop().expect("a violation");
    assert!(violations.is_empty());
    (one.field, one.description)
}

#[tokio::test]
async fn malformed_messages_are_invalid_and_told_why() {
    let table = [
        // Field 1 has 127 bytes, but there are none.
        ("\0\0\0\0\x02\x0a\x7f", "can't be decoded: "),
        ("\0\0\x7f\0\0", "must have at most 4194304 bytes, not 8323072"),
        ("", "must be one whole gRPC frame"),
        ("\0\0\0\0\x02\x0a", "must be one whole gRPC frame"),
        ("\x07\0\0\0\0", "must be one whole gRPC frame"),
    ];
    for (frame, expected) in table {
        let (field, description) = violation(&asked(frame, "").await);
        assert_eq!(field, "message");
        assert!(description.starts_with(expected), "{frame:?}: {description}");
    }
}

#[tokio::test]
async fn malformed_timeout_is_invalid_and_told_its_form() {
    let (field, description) = violation(&asked("\0\0\0\0\0", "soon").await);
    assert_eq!(field, "grpc-timeout");
    assert!(description.contains("1 to 8 digits"), "{description}");
}

/// The reason of a refusal, and its code.
fn reason(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, WORDS.domain);
    (status.code(), info.reason)
}

#[tokio::test]
async fn methods_and_codings_that_are_not_here_have_a_reason() {
    for path in ["/bakery.v1.Cakes/Bake", "/grpc.health.v1.Health/Heal"] {
        let refused = asked_at(path, "\0\0\0\0\0", None).await;
        assert_eq!(reason(&refused), (Code::Unimplemented, WORDS.unimplemented.to_owned()));
    }
    let refused = asked_at(CHECK, "\0\0\0\0\0", Some(("grpc-encoding", "gzip"))).await;
    assert_eq!(reason(&refused), (Code::Unimplemented, WORDS.unimplemented.to_owned()));
    let codings = refused.metadata().get("grpc-accept-encoding").expect("what would do");
    assert_eq!(codings, "identity");
}

#[tokio::test]
async fn handlers_own_refusal_passes() {
    let refused = asked("\0\0\0\0\x05\x0a\x03rye", "").await;
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "no such wish: rye"));
    assert!(refused.details().is_empty());
    let panicked = asked("\0\0\0\0\x07\x0a\x05panic", "").await;
    assert_eq!(panicked.code(), Code::Internal);
    // What gRPC itself lays down.
    assert_eq!(asked("\x01\0\0\0\0", "").await.code(), Code::Internal);
}

#[test]
fn only_the_words_of_tonic_are_faults() {
    let decode = "failed to decode Protobuf message: Loaf.weight: invalid varint";
    let long = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
    let table = [
        (Status::internal(decode), Some(Fault::Undecodable("Loaf.weight: invalid varint"))),
        (Status::out_of_range(long), Some(Fault::TooLong { found: "9", limit: "8" })),
        (Status::unimplemented(""), Some(Fault::Method)),
        (Status::unimplemented("no cakes on Mondays"), None),
        (Status::not_found("no such cake"), None),
        (Status::internal("the oven is cold"), None),
        (Status::internal(format!("the oven {decode}")), None),
        (Status::unknown(decode), None),
        (Status::internal(long), None),
        (Status::out_of_range("loaf 9 of 8"), None),
        (Status::invalid_argument(decode), None),
        (Status::with_details(Code::Internal, decode, vec![1].into()), None),
    ];
    for (status, fault) in &table {
        assert_eq!(Fault::of(status), *fault, "{status:?}");
    }
}

#[test]
fn answers_with_a_message_pass() {
    let mut answer = Response::new(Body::empty());
    answer.headers_mut().insert("x-bread", http::HeaderValue::from_static("rye"));
    let passed = explained(WORDS, answer);
    assert_eq!(passed.headers().len(), 1);
}
