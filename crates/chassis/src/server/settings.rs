//! The knobs of a server, their defaults, and the reason of each number.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use tokio::sync::Semaphore;
use tower_http::cors::CorsLayer;

use crate::config::ConfigError;

/// No window of HTTP/2 is larger.
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// How a server treats its connections. The defaults suit calls between our own roles; the public
/// edge is stricter, in its own configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Calls at once on a connection. 1024: a gateway multiplexes all its buyers over one
    /// connection per core. The edge sets 100, as one client has no use for more.
    pub max_concurrent_streams: u32,
    /// Whether HTTP/1.1 is spoken as well, on the same port. Off: gRPC needs HTTP/2, and our own
    /// roles speak nothing else.
    pub http1: bool,
    /// Open connections per core; more are closed at once. Each takes a file descriptor,
    /// and the usual soft limit is 1024: the program starts with [`crate::open_files::raise`].
    /// 4096 on each of 100 cores stay below the usual hard limit of 524288, with room for stores.
    pub connections_per_core_max: usize,
    /// Above so many connections of a core those without a call under way are told to go, the
    /// longest idle first, as others come. 4096: not before the seats are taken.
    pub connections_idle_per_core_max: usize,
    /// Open connections from one address (IPv6: from one /64), over all cores; more are closed at
    /// once. Absent: no bound, as the peers of our own roles are few and known.
    pub connections_per_address_max: Option<usize>,
    /// Networks whose connections aren't counted by address: proxies and balancers, through which
    /// everybody comes. The own machine: nobody else can have such an address.
    pub connections_uncapped_from: Vec<IpNet>,
    /// A connection by whose first bytes it isn't clear by then whether it speaks HTTP/2 is
    /// closed. 10 s: a slow mobile handshake fits.
    pub hello_within_ms: u64,
    /// HTTP/1: the head of a request must be complete so long after its first byte. 10 s: it fits
    /// into a few packets. (On HTTP/2 a peer that doesn't finish a head can't answer pings.)
    pub header_read_ms: u64,
    /// HTTP/1: how long a connection may wait for its next request. 75 s: longer than balancers
    /// keep their side (60 s usually), or they would send into a connection that we are closing.
    pub http1_idle_ms: u64,
    /// A body of a request of which nothing comes for so long fails. 5 s: a lost packet is sent
    /// again three times by then.
    pub body_idle_ms: u64,
    /// Requests have at most so many bytes, and are taken whole before anything is done for them.
    /// Absent: their bodies flow while they are worked on, as our own roles' batches may.
    pub request_bytes_max: Option<usize>,
    /// So many of those requests per core may be awaited; of more, the one that dawdles longest is
    /// refused. Most aren't awaited at all, as their bodies come with their heads. 1024: some 5 MiB
    /// if little of each has come, 20 MiB if nearly all has.
    pub requests_awaited_per_core_max: usize,
    /// A connection whose peer takes nothing of what we send for so long is cut, by the kernel.
    /// 30 s: as long as a ping and its time-out take, which HTTP/1 doesn't have.
    pub send_idle_ms: u32,
    /// Idle time before a ping. 20 s: below the shortest idle time-outs of NATs and balancers.
    pub keepalive_interval_ms: u64,
    /// An unanswered ping ends the connection. 10 s: longer than a radio's hand-over.
    pub keepalive_timeout_ms: u64,
    /// Size of all headers of a call. 16 KiB: a token of 4 KiB and a trace context fit easily.
    pub header_list_bytes_max: u32,
    /// Resets that the peer's own errors cause before GOAWAY. 100: far above honest clients, far
    /// below what a reset flood needs.
    pub local_error_resets_max: usize,
    /// What a peer may send ahead on one call. 256 KiB: a whole batch without a round trip.
    pub stream_window_bytes: u32,
    /// What a peer may send ahead on all calls together. 1 MiB: bounds memory per connection.
    pub connection_window_bytes: u32,
    /// Age at which a connection is told to go (calls finish), so that a balancer can spread
    /// clients anew; give or take a tenth, so that those who came together don't all come back
    /// together. Absent: never.
    pub connection_age_max_ms: Option<u64>,
    /// How long after that calls may take to finish before the connection is cut. 30 s: as long
    /// as the longest deadline.
    pub connection_age_grace_ms: u64,
    /// The deadline of a call that names none. 10 s: nobody waits longer for one click.
    pub default_deadline_ms: u64,
    /// The longest deadline that a call gets, whatever it asks for. 30 s.
    pub max_deadline_ms: u64,
    /// What pages of other origins may do, in browsers. Absent: nothing. The role says so, since it
    /// knows what it offers; it is no knob here.
    #[serde(skip)]
    pub pages: Option<Arc<CorsLayer>>,
    /// TLS has its place here, and can't be set yet.
    pub tls: Option<Tls>,
}

/// TLS settings of a server. There is no value yet: a configuration that has some is refused, so
/// that nobody believes in encryption that isn't there.
#[derive(Clone, Debug)]
pub enum Tls {}

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom(
            "tls is not available yet: remove it, and terminate TLS in front of this role",
        ))
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 1024,
            http1: false,
            connections_per_core_max: 4096,
            connections_idle_per_core_max: 4096,
            connections_per_address_max: None,
            connections_uncapped_from: own_machine().into(),
            hello_within_ms: 10_000,
            header_read_ms: 10_000,
            http1_idle_ms: 75_000,
            body_idle_ms: 5_000,
            request_bytes_max: None,
            requests_awaited_per_core_max: 1024,
            send_idle_ms: 30_000,
            keepalive_interval_ms: 20_000,
            keepalive_timeout_ms: 10_000,
            header_list_bytes_max: 16 * 1024,
            local_error_resets_max: 100,
            stream_window_bytes: 256 * 1024,
            connection_window_bytes: 1024 * 1024,
            connection_age_max_ms: None,
            connection_age_grace_ms: 30_000,
            default_deadline_ms: 10_000,
            max_deadline_ms: 30_000,
            pages: None,
            tls: None,
        }
    }
}

impl ServerSettings {
    /// Checks what types can't say, for a configuration that has these settings under `server`.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |sentence: String| Err(ConfigError::new(sentence));
        for (knob, value) in [
            ("max_concurrent_streams", u64::from(self.max_concurrent_streams)),
            ("connections_per_core_max", self.connections_per_core_max as u64),
            ("requests_awaited_per_core_max", self.requests_awaited_per_core_max as u64),
            (
                "connections_per_address_max",
                self.connections_per_address_max.map_or(u64::MAX, |max| max as u64),
            ),
            ("hello_within_ms", self.hello_within_ms),
            ("header_read_ms", self.header_read_ms),
            ("http1_idle_ms", self.http1_idle_ms),
            ("body_idle_ms", self.body_idle_ms),
            ("send_idle_ms", u64::from(self.send_idle_ms)),
            ("keepalive_interval_ms", self.keepalive_interval_ms),
            ("keepalive_timeout_ms", self.keepalive_timeout_ms),
            ("header_list_bytes_max", u64::from(self.header_list_bytes_max)),
            ("local_error_resets_max", self.local_error_resets_max as u64),
            ("stream_window_bytes", u64::from(self.stream_window_bytes)),
            ("connection_window_bytes", u64::from(self.connection_window_bytes)),
            ("connection_age_max_ms", self.connection_age_max_ms.unwrap_or(u64::MAX)),
            ("default_deadline_ms", self.default_deadline_ms),
        ] {
            if value == 0 {
                return wrong(format!("server.{knob} must be above 0"));
            }
        }
        for (knob, bytes) in [
            ("stream_window_bytes", self.stream_window_bytes),
            ("connection_window_bytes", self.connection_window_bytes),
        ] {
            if bytes > WINDOW_BYTES_MAX {
                return wrong(format!("server.{knob} must be at most {WINDOW_BYTES_MAX}"));
            }
        }
        if self.connections_per_core_max > Semaphore::MAX_PERMITS {
            let max = Semaphore::MAX_PERMITS;
            return wrong(format!("server.connections_per_core_max must be at most {max}"));
        }
        if self.max_deadline_ms < self.default_deadline_ms {
            return wrong("server.max_deadline_ms is below server.default_deadline_ms".into());
        }
        Ok(())
    }

    pub(super) fn hello_within(&self) -> Duration {
        Duration::from_millis(self.hello_within_ms)
    }

    pub(super) fn header_read(&self) -> Duration {
        Duration::from_millis(self.header_read_ms)
    }

    pub(super) fn http1_idle(&self) -> Duration {
        Duration::from_millis(self.http1_idle_ms)
    }

    pub(super) fn body_idle(&self) -> Duration {
        Duration::from_millis(self.body_idle_ms)
    }

    pub(super) fn send_idle(&self) -> Duration {
        Duration::from_millis(self.send_idle_ms.into())
    }

    pub(super) fn keepalive_interval(&self) -> Duration {
        Duration::from_millis(self.keepalive_interval_ms)
    }

    pub(super) fn keepalive_timeout(&self) -> Duration {
        Duration::from_millis(self.keepalive_timeout_ms)
    }

    pub(super) fn connection_age_max(&self) -> Option<Duration> {
        self.connection_age_max_ms.map(Duration::from_millis)
    }

    pub(super) fn connection_age_grace(&self) -> Duration {
        Duration::from_millis(self.connection_age_grace_ms)
    }

    pub(super) fn default_deadline(&self) -> Duration {
        Duration::from_millis(self.default_deadline_ms)
    }

    pub(super) fn max_deadline(&self) -> Duration {
        Duration::from_millis(self.max_deadline_ms)
    }
}

fn own_machine() -> [IpNet; 2] {
    let of = |address, prefix| IpNet::new(address, prefix).expect("no longer than an address");
    [of(Ipv4Addr::LOCALHOST.into(), 8), of(Ipv6Addr::LOCALHOST.into(), 128)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_make_sense() {
        ServerSettings::default().check().expect("they do");
    }

    #[test]
    fn knobs_without_sense_are_named() {
        type Spoil = fn(&mut ServerSettings);
        let table: [(Spoil, &str); 9] = [
            (|server| server.default_deadline_ms = 0, "server.default_deadline_ms"),
            (|server| server.max_deadline_ms = 9_999, "server.max_deadline_ms"),
            (|server| server.max_concurrent_streams = 0, "server.max_concurrent_streams"),
            (|server| server.connections_per_core_max = 0, "server.connections_per_core_max"),
            (
                |server| server.connections_per_core_max = Semaphore::MAX_PERMITS + 1,
                "server.connections_per_core_max",
            ),
            (|server| server.stream_window_bytes = 1 << 31, "server.stream_window_bytes"),
            (
                |server| server.connections_per_address_max = Some(0),
                "server.connections_per_address_max",
            ),
            (|server| server.body_idle_ms = 0, "server.body_idle_ms"),
            (|server| server.connection_age_max_ms = Some(0), "server.connection_age_max_ms"),
        ];
        for (spoil, name) in table {
            let mut bad = ServerSettings::default();
            spoil(&mut bad);
            let sentence = bad.check().expect_err("it makes no sense").to_string();
            assert!(sentence.starts_with(name), "{sentence}");
        }
    }
}
