//! One unary gRPC call over HTTP/2: its headers, its frame, and what came back. Knows no message;
//! a refusal is named by the reason in its details.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{AUTHORIZATION, CONTENT_TYPE, TE},
};
use prost::Message;
use tonic::{Extensions, Status, metadata::MetadataMap};

use crate::failure::{Failure, failed};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Refusals that are told apart without decoding their details again.
const REASONS_MAX: usize = 64;
/// The flag and the length before a message.
const PREFIX_LEN: usize = 5;

/// A call, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Nobody: a call without identity and deadline.
    pub(crate) caller: Option<Caller>,
    /// See [`framed`].
    pub(crate) body: Bytes,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    bearer: HeaderValue,
    address: HeaderValue,
}

impl Caller {
    /// A buyer with an address of its own. Both values are kept out of the connection's compression
    /// table, where they would only push others out.
    pub(crate) fn new(token: &str, number: u32) -> Result<Self, Failure> {
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let mut bearer = bearer.map_err(failed("a token that no header can carry"))?;
        bearer.set_sensitive(true);
        // Each in a network of its own, as buyers are.
        let [_, b, c, d] = number.to_be_bytes();
        let mut address = HeaderValue::try_from(format!("{}.{c}.{d}.1", 11 + b))
            .expect("digits and dots may stand in a header");
        address.set_sensitive(true);
        Ok(Self { bearer, address })
    }

    /// A call of this buyer's by a full client.
    pub(crate) fn request<T>(&self, message: T, within: Duration) -> tonic::Request<T> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.bearer.clone());
        headers.insert(FORWARDED_FOR, self.address.clone());
        let metadata = MetadataMap::from_headers(headers);
        let mut request = tonic::Request::from_parts(metadata, Extensions::new(), message);
        request.set_timeout(within);
        request
    }
}

/// A message as it stands in a body.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let len = message.encoded_len();
    let mut body = BytesMut::with_capacity(PREFIX_LEN + len);
    body.put_u8(0);
    body.put_u32(u32::try_from(len).expect("a message of this program is short"));
    message.encode(&mut body).expect("the buffer grows");
    body.freeze()
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A message, encoded.
    Message(Bytes),
    /// A status with a reason, or the name of its code.
    Refused(String),
    /// No answer.
    Lost(String),
}

/// Headers that all calls of a round have.
#[derive(Debug)]
pub(super) struct Path {
    uri: Uri,
}

impl Path {
    pub(super) fn new(address: SocketAddr, method: &str) -> Result<Self, Failure> {
        let uri = format!("http://{address}{method}");
        Ok(Self { uri: uri.parse().map_err(failed("no URL"))? })
    }

    fn request(&self, caller: Option<&Caller>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        headers.reserve(5);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(Caller { bearer, address }) = caller {
            headers.insert(TIMEOUT, HeaderValue::from_static("5S"));
            headers.insert(AUTHORIZATION, bearer.clone());
            headers.insert(FORWARDED_FOR, address.clone());
        }
        request
    }
}

/// A message, or the headers that say why there is none.
pub(super) type Sent = Result<Result<Bytes, HeaderMap>, h2::Error>;

pub(super) async fn send(connection: &SendRequest<Bytes>, path: &Path, call: &Call) -> Sent {
    let mut connection = connection.clone().ready().await?;
    let (answer, mut stream) =
        connection.send_request(path.request(call.caller.as_ref()), false)?;
    stream.send_data(call.body.clone(), true)?;
    let (head, mut body) = answer.await?.into_parts();
    if head.headers.contains_key(STATUS) {
        return Ok(Err(head.headers));
    }
    let message = collect(&mut body).await?;
    let trailers = body.trailers().await?.unwrap_or_default();
    let is_ok = trailers.get(STATUS).is_some_and(|status| status == "0");
    Ok(if is_ok { Ok(message) } else { Err(trailers) })
}

/// The message of a body that holds one.
async fn collect(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut whole = Bytes::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole = if whole.is_empty() { part } else { [whole, part].concat().into() };
    }
    Ok(whole.slice(PREFIX_LEN.min(whole.len())..))
}

/// Reasons of refusals, by the details that carry them.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    known: HashMap<HeaderValue, String>,
}

impl Reasons {
    pub(super) fn answer(&mut self, sent: Sent) -> Answer {
        match sent {
            Ok(Ok(message)) => Answer::Message(message),
            Ok(Err(headers)) => Answer::Refused(self.reason(&headers)),
            Err(error) => Answer::Lost(error.to_string()),
        }
    }

    fn reason(&mut self, headers: &HeaderMap) -> String {
        let details = headers.get(DETAILS);
        if let Some(reason) = details.and_then(|details| self.known.get(details)) {
            return reason.clone();
        }
        let reason = match Status::from_header_map(headers) {
            Some(status) => chassis::status::reason_of(&status)
                .unwrap_or_else(|| format!("{:?}: {}", status.code(), status.message())),
            None => "no status".to_owned(),
        };
        if let Some(details) = details.filter(|_| self.known.len() < REASONS_MAX) {
            self.known.insert(details.clone(), reason.clone());
        }
        reason
    }
}
