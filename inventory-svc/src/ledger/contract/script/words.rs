//! Answers of a keeper, as the stories write them.

use std::fmt::Display;

use crate::ledger::{Error, Found, Refusal, Settled, StageError};

pub(super) fn found_text(found: Found) -> &'static str {
    match found {
        Found::Open => "open",
        Found::Settled(state) => settled_text(state),
        Found::Nothing => "nothing",
        Found::Unsure => "unsure",
    }
}

pub(super) fn settled_text(state: Settled) -> &'static str {
    match state {
        Settled::Placed => "placed",
        Settled::Rejected => "rejected",
        Settled::Released => "released",
    }
}

pub(super) fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotOpen => "not open",
        Refusal::Closed => "closed",
        Refusal::TicketExpired => "ticket expired",
        Refusal::Paused => "paused",
        Refusal::LimitReached => "limit reached",
        Refusal::SoldOut => "sold out",
        Refusal::TooLate => "too late",
    }
}

pub(super) fn failed(error: Error) -> String {
    match error {
        Error::Fenced => "fenced".to_owned(),
        Error::StaleEpoch { loaded } => format!("stale, e{loaded} is loaded"),
        Error::ClockBack => "clock back".to_owned(),
        Error::Unreachable => "unreachable".to_owned(),
        Error::Unknown => "unknown".to_owned(),
    }
}

pub(super) fn stage_error(error: StageError) -> String {
    match error {
        StageError::MarkLost => "mark lost".to_owned(),
        StageError::IdentityChanged => "identity changed".to_owned(),
        StageError::Ledger(error) => failed(error),
    }
}

pub(super) fn said(result: Result<(), Error>) -> String {
    result.map_or_else(failed, |()| "ok".to_owned())
}

pub(super) fn list(words: impl Iterator<Item = impl Display>) -> String {
    words.map(|word| word.to_string()).collect::<Vec<_>>().join(", ")
}
