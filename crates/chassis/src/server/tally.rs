//! What operators see of the connections of a server: how many are open, how many found no seat,
//! and how many were cut, by the reason for it. By service and listening address, since a service
//! may have a port for the public and one for operators.
//!
//! Peers that leave, a stop and a connection's age aren't counted: nothing is amiss then. No label
//! says anything of the peer.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::SocketAddr;

use h2::Reason;

use crate::metrics::{Counter, Counters, Gauge};
use crate::server::seats::Full;
use crate::telemetry::Telemetry;

/// The instruments of one listening address, over all cores. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    open: Gauge,
    core_full: Counter,
    address_full: Counter,
    cut: [Counter; Cut::ALL.len()],
    crowded_out: Counter,
}

/// Why a connection was ended by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its first bytes didn't come in time.
    HelloLate,
    /// It was idle while its core was crowded.
    Crowded,
    /// It answered no ping, didn't finish a head of HTTP/1 in time or came with none, or took
    /// nothing of what it was sent.
    Silent,
    /// More resets, empty or tiny frames than anybody needs who means it.
    Flood,
    /// What came is no HTTP.
    Malformed,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Gauge);

impl Tally {
    pub(super) fn new(telemetry: &Telemetry, addr: SocketAddr) -> Self {
        let (metrics, service) = (telemetry.metrics(), telemetry.service());
        let listener = addr.to_string();
        let place = || [Cow::from(service), Cow::from(listener.clone())];
        let turned_away = metrics.counters(
            "server_connections_turned_away",
            "Connections that found no seat, by what was full",
            ["service", "listener", "full"],
        );
        let cut = metrics.counters(
            "server_connections_cut",
            "Connections that were ended for what their peers did, or didn't",
            ["service", "listener", "reason"],
        );
        let with = |counters: &Counters<3>, what: &'static str| {
            let [service, listener] = place();
            counters.with([service, listener, what.into()])
        };
        Self {
            open: metrics
                .gauges(
                    "server_connections_open",
                    "Connections that are open",
                    ["service", "listener"],
                )
                .with(place()),
            core_full: with(&turned_away, "core"),
            address_full: with(&turned_away, "address"),
            cut: Cut::ALL.map(|reason| with(&cut, reason.name())),
            crowded_out: metrics
                .counters(
                    "server_requests_crowded_out",
                    "Requests that dawdled, and were refused as too many did",
                    ["service", "listener"],
                )
                .with(place()),
        }
    }

    pub(super) fn open(&self) -> Open {
        self.open.inc();
        Open(self.open.clone())
    }

    pub(super) fn turned_away(&self, full: Full) {
        match full {
            Full::Core => self.core_full.inc(),
            Full::Address => self.address_full.inc(),
        };
    }

    pub(super) fn cut(&self, reason: Cut) {
        self.cut[reason as usize].inc();
    }

    /// For requests that are refused since too many aren't all here.
    pub(super) fn crowded_out(&self) -> Counter {
        self.crowded_out.clone()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Cut {
    /// In the order of their declaration.
    const ALL: [Self; 5] =
        [Self::HelloLate, Self::Crowded, Self::Silent, Self::Flood, Self::Malformed];

    fn name(self) -> &'static str {
        match self {
            Self::HelloLate => "hello_late",
            Self::Crowded => "crowded",
            Self::Silent => "silent",
            Self::Flood => "flood",
            Self::Malformed => "malformed",
        }
    }

    /// What a connection ended with. `None` if the peer has left, or was told to.
    pub(super) fn by(error: &hyper::Error) -> Option<Self> {
        if error.is_timeout() {
            return Some(Self::Silent);
        }
        if error.is_parse() {
            return Some(Self::Malformed);
        }
        let io_timed_out = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<h2::Error>() {
                return match error.reason() {
                    None => error.get_io().is_some_and(io_timed_out).then_some(Self::Silent),
                    Some(_) if !error.is_library() => None,
                    Some(Reason::ENHANCE_YOUR_CALM) => Some(Self::Flood),
                    Some(_) => Some(Self::Malformed),
                };
            }
            if error.downcast_ref().is_some_and(io_timed_out) {
                return Some(Self::Silent);
            }
            cause = error.source();
        }
        None
    }
}
