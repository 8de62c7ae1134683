//! SIGINT and SIGTERM: the first asks for a graceful end, the second for an immediate one.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Both signals, from now on taken from the system's own handling.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::Machine(format!("can't hear signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Returns with the next one of either. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ends the process without waiting for anything, with the code of an interrupted one.
pub(crate) fn end_at_once() -> ! {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user has asked twice, and waits for nothing"
    )]
    std::process::exit(130)
}
