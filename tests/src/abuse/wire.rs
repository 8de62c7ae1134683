//! HTTP/2 by hand: frames that no library would send.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest frame that everybody takes.
const FRAME_LEN_MAX: usize = 16_384;
/// The answers to a hundred calls, at a time.
const READ_AHEAD: usize = 32 * 1024;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// The other networks of the loopback: an attacker's addresses, none of them the buyers'.
pub(super) fn hideout(number: usize) -> Ipv4Addr {
    let [.., high, low] = (number % 65_000).to_be_bytes();
    Ipv4Addr::new(127, high.wrapping_add(1), low, 1)
}

/// TCP from one of the attacker's addresses.
pub(super) async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // The port is chosen when the other end is known, or a crowd would run out of them.
    socket2::SockRef::from(&socket).set_reuse_address(true)?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// A connection that has said hello.
pub(super) struct Wire {
    pub(super) io: BufReader<TcpStream>,
    /// What the next call gets.
    pub(super) stream: u32,
}

impl Wire {
    /// Windows as large as they can be: we never stop to say that we have read.
    pub(super) async fn open(from: Ipv4Addr, to: SocketAddr) -> io::Result<Self> {
        Self::open_with(from, to, 0x7fff_ffff).await
    }

    /// The same, with so much to be sent on each stream before it is read.
    pub(super) async fn open_with(from: Ipv4Addr, to: SocketAddr, window: u32) -> io::Result<Self> {
        let mut io = connect(from, to).await?;
        let mut hello = PREFACE.to_vec();
        let mut setting = vec![0, 4];
        setting.extend(window.to_be_bytes());
        hello.extend(frame(SETTINGS, 0, 0, &setting));
        hello.extend(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
        io.write_all(&hello).await?;
        Ok(Self { io: BufReader::with_capacity(READ_AHEAD, io), stream: 1 })
    }

    /// The number of the next call.
    pub(super) fn next_stream(&mut self) -> u32 {
        let stream = self.stream;
        self.stream += 2;
        stream
    }

    /// Reads until so many streams have ended, and says which of them were told a message: those
    /// that were refused have nothing but heads.
    ///
    /// # Errors
    /// If the peer has closed before.
    pub(super) async fn until_ended(&mut self, streams: usize) -> io::Result<BTreeSet<u32>> {
        let (mut ended, mut told) = (0, BTreeSet::new());
        let mut payload = Vec::new();
        while ended < streams {
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            payload.resize(u32::from_be_bytes([0, a, b, c]) as usize, 0);
            self.io.read_exact(&mut payload).await?;
            if kind == DATA && !payload.is_empty() {
                told.insert(u32::from_be_bytes(stream));
            }
            let is_end = [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0;
            ended += usize::from(is_end || kind == RST_STREAM);
        }
        Ok(told)
    }
}

/// A frame, whatever sense it makes.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a call as HEADERS and what CONTINUATION it needs.
pub(super) fn head(stream: u32, flags: u8, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "shop"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in usual.iter().chain(more) {
        // Literal, not remembered: nothing to decode but lengths.
        block.push(0);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    let mut parts = block.chunks(FRAME_LEN_MAX).peekable();
    let mut frames = Vec::new();
    let mut kind = HEADERS;
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { END_HEADERS } else { 0 };
        let flags = if kind == HEADERS { flags | last } else { last };
        frames.extend(frame(kind, flags, stream, part));
        kind = CONTINUATION;
    }
    frames
}

/// An integer of HPACK with a prefix of seven bits.
fn length(mut len: usize, block: &mut Vec<u8>) {
    const PREFIX_MAX: usize = 127;
    let byte = |value: usize| u8::try_from(value).expect("below 256");
    if len < PREFIX_MAX {
        return block.push(byte(len));
    }
    block.push(127);
    len -= PREFIX_MAX;
    while len >= 128 {
        block.push(byte(len % 128 + 128));
        len /= 128;
    }
    block.push(byte(len));
}
