//! How a command ends when it doesn't end well: one sentence for the user and an exit code by
//! `sysexits.h`, so that a script can tell "the law is broken" from "nobody answered".

use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An invariant doesn't hold. What and where has been printed already.
    #[error("{0}")]
    Broken(String),
    /// The command line or a configuration file is wrong.
    #[error("{0}")]
    Usage(String),
    /// A service could not be asked.
    #[error("{0}")]
    Unavailable(String),
    /// The machine refused something: a file, a port, a thread.
    #[error("{0}")]
    Machine(String),
    /// The question has no answer yet; asking later may give one.
    #[error("{0}")]
    Undecided(String),
}

impl Failure {
    /// 1 broken law, 64 usage, 69 unavailable, 71 machine, 75 ask again later.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Broken(_) => 1,
            Self::Usage(_) => 64,
            Self::Unavailable(_) => 69,
            Self::Machine(_) => 71,
            Self::Undecided(_) => 75,
        })
    }
}
