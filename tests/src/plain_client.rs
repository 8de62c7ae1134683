//! What knows nothing but HTTP/1.1 and bytes, as curl and browsers do: JSON, gRPC-web framed by
//! hand, and a stream of events read line by line. A connection a request.

use prost::Message;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::house::PATIENCE;

/// See the module.
pub(crate) struct PlainClient {
    host: String,
}

impl PlainClient {
    /// Of the door at this URL.
    pub(crate) fn of(url: &str) -> Self {
        Self { host: url.trim_start_matches("http://").to_owned() }
    }

    /// The status and the JSON of an answer.
    pub(crate) async fn get(&self, path: &str, bearer: Option<&str>) -> (u16, Value) {
        self.json("GET", path, bearer, "").await
    }

    /// The same for a POST of this JSON.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        bearer: Option<&str>,
    ) -> (u16, Value) {
        self.json("POST", path, bearer, &body.to_string()).await
    }

    /// The message of a gRPC-web call that succeeds.
    pub(crate) async fn web<M: Message + Default>(
        &self,
        path: &str,
        message: &impl Message,
        bearer: Option<&str>,
    ) -> M {
        let message = message.encode_to_vec();
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len()).expect("short").to_be_bytes());
        frame.extend_from_slice(&message);
        let head = head("POST", path, bearer, "application/grpc-web+proto");
        let (status, body) = whole(self.begin(&head, &frame).await).await;
        assert_eq!(status, 200);
        assert_eq!(body.first(), Some(&0), "a message comes first: {body:?}");
        let length = u32::from_be_bytes(body[1..5].try_into().expect("four")) as usize;
        let (message, trailers) = body[5..].split_at(length);
        assert_eq!(trailers[0], 0x80, "trailers come last");
        assert!(String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"));
        M::decode(message).expect("the message of the method")
    }

    /// A stream of events, which must begin.
    pub(crate) async fn events(&self, path: &str, bearer: &str, ticket: &str) -> Events {
        let head = head("GET", path, Some(bearer), "") + &format!("seckill-ticket: {ticket}\r\n");
        let mut io = self.begin(&head, &[]).await;
        assert!(line(&mut io).await.starts_with("HTTP/1.1 200"));
        while !line(&mut io).await.is_empty() {}
        Events(io)
    }

    async fn json(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: &str,
    ) -> (u16, Value) {
        let head = head(method, path, bearer, "application/json");
        let (status, body) = whole(self.begin(&head, body.as_bytes()).await).await;
        (status, serde_json::from_slice(&body).expect("every answer is JSON"))
    }

    async fn begin(&self, head: &str, body: &[u8]) -> BufReader<TcpStream> {
        let (host, length) = (&self.host, body.len());
        let mut io = TcpStream::connect(host).await.expect("the house listens");
        let head = format!("{head}host: {host}\r\ncontent-length: {length}\r\n\r\n");
        io.write_all(head.as_bytes()).await.expect("it reads");
        io.write_all(body).await.expect("it reads");
        BufReader::new(io)
    }
}

/// An open stream of events.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    /// Name and data of the next event.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let line = line(&mut self.0).await;
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).expect("data is JSON"));
            }
        }
    }
}

fn head(method: &str, path: &str, bearer: Option<&str>, content_type: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if let Some(token) = bearer {
        head += &format!("authorization: Bearer {token}\r\n");
    }
    if !content_type.is_empty() {
        head += &format!("content-type: {content_type}\r\n");
    }
    head
}

/// Status and body, once the server has closed.
async fn whole(mut io: BufReader<TcpStream>) -> (u16, Vec<u8>) {
    let first = line(&mut io).await;
    let status = first.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    let mut is_chunked = false;
    loop {
        match line(&mut io).await.as_str() {
            "" => break,
            "transfer-encoding: chunked" => is_chunked = true,
            _ => {}
        }
    }
    let mut body = Vec::new();
    let read = async {
        if !is_chunked {
            io.read_to_end(&mut body).await.expect("the body comes");
            return;
        }
        loop {
            let length = usize::from_str_radix(&line(&mut io).await, 16).expect("a length");
            let mut part = vec![0; length + 2];
            io.read_exact(&mut part).await.expect("as long as was said");
            body.extend_from_slice(&part[..length]);
            if length == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the answer ends");
    (status, body)
}

async fn line(io: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, io.read_line(&mut line)).await;
    assert!(read.expect("a line comes").expect("it can be read") > 0, "the stream has ended");
    line.trim_end().to_owned()
}
