//! How connections are kept. Each default stands here with its reason; a service's configuration
//! names only what it wants otherwise.

use std::path::PathBuf;

/// How connections are kept.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Connections that read. 4: reads are short, and SQLite's readers don't disturb its writer.
    pub readers_max: u32,
    /// How long a caller waits for a connection. 2 s: whoever waits longer has given up.
    pub acquire_ms_max: u64,
    /// Prepared statements that a connection keeps. 100: more than any service of ours has.
    pub statements_max: usize,

    /// SQLite: how long a statement waits for a lock of another process. 5 s: longer than any
    /// transaction.
    pub busy_ms_max: u64,
    /// SQLite: what the writer keeps of the file, in KiB. 2 MiB, as SQLite has it by itself: whose
    /// trees are larger and grow at any place wants more. Taken only as it is used.
    pub writer_cache_kib: u32,
    /// SQLite: what each reader keeps of the file, in KiB. 512, a quarter of what SQLite has by
    /// itself: the upper pages of its trees. The system keeps the file's pages anyway, once for all
    /// readers; what each keeps for itself grows with the file until it is full.
    pub reader_cache_kib: u32,

    /// MySQL: connections that write. 16: one for each partition of the journal. They are opened
    /// when they are needed.
    pub writers_max: u32,
    /// MySQL: how long a statement waits for a row that another transaction has locked, in seconds.
    /// 3 and not the server's 50: no transaction of ours takes as long, and a partition would stand
    /// still meanwhile.
    pub lock_wait_s_max: u32,
    /// MySQL: how long a call may take from its first statement to its last. 10 s: a wait for a
    /// lock and the largest batch take less. Without it, a server that vanished would be waited for
    /// until the network gives up, after a quarter of an hour.
    pub call_ms_max: u64,
    /// MySQL: after how long the server ends a connection that it doesn't hear of, in seconds. 30,
    /// and not 8 hours: rows that a vanished client has locked are free again by then. Unused
    /// connections are closed here before that.
    pub idle_s_max: u32,
    /// MySQL: a file with the password, and nothing else but a line break at its end, which others
    /// can't read (`chassis::secret_file`). None: the one in the URL, if there is one.
    pub password_file: Option<PathBuf>,
    /// MySQL: whether connections are encrypted. Preferred: what the server offers is used, so that
    /// a server on this machine needs no certificate.
    pub tls: Tls,
    /// MySQL: the PEM file of the authority that `tls = "verify"` trusts. None: the public ones.
    pub tls_ca_file: Option<PathBuf>,
}

/// Whether connections to a server are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Never.
    Off,
    /// If the server can; whoever it is.
    Preferred,
    /// Always; whoever the server is.
    Required,
    /// Always, and only with the server that the URL names.
    Verify,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            readers_max: 4,
            acquire_ms_max: 2_000,
            statements_max: 100,
            busy_ms_max: 5_000,
            writer_cache_kib: 2_048,
            reader_cache_kib: 512,
            writers_max: 16,
            lock_wait_s_max: 3,
            call_ms_max: 10_000,
            idle_s_max: 30,
            password_file: None,
            tls: Tls::Preferred,
            tls_ca_file: None,
        }
    }
}
