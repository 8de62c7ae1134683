//! The first bytes of a connection, by which we know what the peer speaks.
//!
//! HTTP/2 opens with a fixed preface; HTTP/1 differs from it in the first bytes. Nothing is kept
//! for a connection before it has said hello but its socket and a timer.

use std::io::{self, Cursor};

use tokio::io::{AsyncReadExt, Chain, Join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that has said hello; what it said is read once more.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) version: Version,
    pub(super) read: Chain<Cursor<Vec<u8>>, OwnedReadHalf>,
    pub(super) write: OwnedWriteHalf,
}

/// What a peer speaks, as far as the preface shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Or anything else that isn't HTTP/2.
    Http1,
    Http2,
}

impl Greeted {
    /// Reads until the version is clear, however long that takes.
    ///
    /// # Errors
    /// If the peer leaves before.
    pub(super) async fn by(mut io: TcpStream) -> io::Result<Self> {
        let mut said = [0; PREFACE.len()];
        let mut len = 0;
        let version = loop {
            if said[..len] != PREFACE[..len] {
                break Version::Http1;
            }
            if len == PREFACE.len() {
                break Version::Http2;
            }
            match io.read(&mut said[len..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                came => len += came,
            }
        };
        let (read, write) = io.into_split();
        let read = Cursor::new(said[..len].to_vec()).chain(read);
        Ok(Self { version, read, write })
    }

    pub(super) fn into_io(self) -> Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf> {
        tokio::io::join(self.read, self.write)
    }
}
