//! A thin client: one request on a connection of its own, with nothing done behind the test's back.

use std::fmt;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::document;
use crate::stage::{Buyer, PATIENCE, Stage};

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    pub(super) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).body("application/json", body.to_string())
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body, ..self }.header("content-type", content_type)
    }

    /// With the buyer's token.
    pub(super) fn by(self, buyer: &Buyer) -> Self {
        self.header("authorization", format!("Bearer {}", buyer.token))
    }

    /// The answer, which the document must describe.
    pub(super) async fn send(self, stage: &Stage) -> Answer {
        let (method, path) = (self.method, self.path.clone());
        let answer = self.send_unchecked(stage).await;
        document::check(stage, method, &path, &answer).await;
        answer
    }

    /// For what isn't JSON, or asks for no path of the document.
    pub(super) async fn send_unchecked(self, stage: &Stage) -> Answer {
        let mut io = self.begin(stage, "close").await;
        let (status, headers) = head(&mut io).await;
        let mut answer = Answer { status, headers, body: Vec::new() };
        let is_chunked = answer.header("transfer-encoding") == Some("chunked");
        let read = async {
            if is_chunked {
                while let Some(part) = chunk(&mut io).await {
                    answer.body.extend_from_slice(&part);
                }
            } else {
                io.read_to_end(&mut answer.body).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer ends");
        answer
    }

    /// A stream of events, which must begin.
    pub(super) async fn watch(self, stage: &Stage) -> Events {
        let mut io = self.begin(stage, "keep-alive").await;
        let (status, headers) = head(&mut io).await;
        let answer = Answer { status, headers, body: Vec::new() };
        assert_eq!(status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.header("cache-control"), Some("no-store, no-transform"));
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        Events { io, path: self.path, text: String::new() }
    }

    async fn begin(&self, stage: &Stage, connection: &str) -> BufReader<TcpStream> {
        let host = stage.url.strip_prefix("http://").unwrap();
        let Self { method, path, headers, body } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        text += &format!("connection: {connection}\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        let mut io = TcpStream::connect(host).await.unwrap();
        io.write_all(text.as_bytes()).await.unwrap();
        // A server may have refused by the head alone.
        let _ = io.write_all(body).await;
        BufReader::new(io)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (first, second) = (found.next(), found.next());
        assert!(second.is_none(), "{name} stands there twice");
        first.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and reason of a refusal, and its wait in the header.
    #[track_caller]
    pub(super) fn refused(&self) -> (u16, String, bool) {
        let reason = self.detail("ErrorInfo")["reason"].as_str().unwrap_or_default().to_owned();
        let waits = self.header("retry-after").is_some();
        let told = !self.detail("RetryInfo").is_null();
        assert_eq!(waits, told, "{self:?}");
        (self.status, reason, waits)
    }

    /// The field that a refusal names, and what it says of it.
    #[track_caller]
    pub(super) fn bad_field(&self) -> String {
        let violation = &self.detail("BadRequest")["fieldViolations"][0];
        let text = |field: &str| violation[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("field"), text("description"))
    }

    #[track_caller]
    fn detail(&self, name: &str) -> Value {
        let named = format!("type.googleapis.com/google.rpc.{name}");
        let body = self.json();
        let mut details = body["details"].as_array().expect("details").iter();
        details.find(|detail| detail["@type"] == named.as_str()).cloned().unwrap_or_default()
    }
}

/// An open stream of events.
pub(super) struct Events {
    io: BufReader<TcpStream>,
    path: String,
    text: String,
}

/// One event.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) data: Value,
}

impl Events {
    /// The next event; `None` at the end. What only sets the wait before the next stream, and
    /// comments, are no events.
    pub(super) async fn next(&mut self, stage: &Stage) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = block.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                let (name, id, data) = (field("event"), field("id"), field("data"));
                let event = data.map(|data| Event {
                    name: name.unwrap().to_owned(),
                    id: id.unwrap_or_default().to_owned(),
                    data: serde_json::from_str(data).unwrap(),
                });
                if event.is_none() {
                    let retry_ms: u64 = field("retry").unwrap().parse().unwrap();
                    assert!((1000..2000).contains(&retry_ms), "{retry_ms}");
                }
                self.text = rest.to_owned();
                if let Some(event) = event {
                    if event.name != "refusal" {
                        document::check_event(stage, &self.path, &event.data).await;
                    }
                    return Some(event);
                }
            }
            let part = tokio::time::timeout(PATIENCE, chunk(&mut self.io)).await;
            self.text += &String::from_utf8(part.expect("something comes")?).unwrap();
        }
    }
}

async fn line(io: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, io.read_line(&mut line)).await;
    read.expect("a line comes").unwrap();
    line.trim_end().to_owned()
}

async fn head(io: &mut BufReader<TcpStream>) -> (u16, Vec<(String, String)>) {
    let first = line(io).await;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.unwrap_or_else(|| panic!("no answer: {first:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line(io).await;
        let Some((name, value)) = line.split_once(": ") else { return (status, headers) };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

/// The next part of a chunked body; `None` at its end.
async fn chunk(io: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let length = usize::from_str_radix(&line(io).await, 16).unwrap();
    let mut part = vec![0; length + 2];
    io.read_exact(&mut part).await.unwrap();
    part.truncate(length);
    (length > 0).then_some(part)
}
