//! What an error of Redis means for a call: whether it was done. Who can't tell says so; nobody
//! takes "perhaps" for "no" (I-2).

use redis::ServerError;

use crate::ledger::Error;

/// What an error of Redis means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was done: the library isn't there. It may be loaded and the call made again.
    NoLibrary,
    /// Nothing was done: this is no master. The connection is to be made anew.
    NoMaster,
    /// Nothing was done: Redis refused the whole call.
    Refused,
    /// It may have been done, in part even.
    Unclear,
}

impl Trouble {
    pub(super) fn of(error: &ServerError) -> Self {
        let detail = error.details().unwrap_or_default();
        // A command inside of the function failed, so those before it were done.
        if detail.contains("script: ") {
            return Self::Unclear;
        }
        match error.code() {
            "ERR" if detail.starts_with("Function not found") => Self::NoLibrary,
            "READONLY" => Self::NoMaster,
            // Redis loads its data, is full, can't write to its disk, has too few replicas, may not
            // do this for us, runs a function that takes too long, or is a replica without master.
            "LOADING" | "OOM" | "MISCONF" | "NOREPLICAS" | "NOPERM" | "NOAUTH" | "WRONGPASS"
            | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "TRYAGAIN" => Self::Refused,
            _ => Self::Unclear,
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoLibrary | Trouble::NoMaster | Trouble::Refused => Self::Unreachable,
            Trouble::Unclear => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
