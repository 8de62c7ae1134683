//! Every status that this service answers with, but for those of the chassis.

use std::{sync::LazyLock, time::Duration};

use chassis::{Words, job::jittered, logs::Lasting, status::Refusal};
use ids::Epoch;
use proto::error::v1::ErrorReason;
use tonic::{Code, Status};

use crate::books;

/// How malformed requests are refused before they come to a handler.
pub(crate) fn words() -> Words {
    Words {
        domain: proto::ERROR_DOMAIN,
        invalid_input: proto::reason_text(ErrorReason::InvalidInput),
        overloaded: proto::reason_text(ErrorReason::Overloaded),
        unimplemented: proto::reason_text(ErrorReason::Unimplemented),
        not_found: proto::reason_text(ErrorReason::NotFound),
    }
}

pub(super) fn refusal(code: Code, reason: ErrorReason, message: impl Into<String>) -> Refusal {
    Refusal::new(code, proto::reason_text(reason), proto::ERROR_DOMAIN, message)
}

pub(super) fn not_found(message: &str) -> Status {
    refusal(Code::NotFound, ErrorReason::NotFound, message).into_status()
}

/// A snapshot of an epoch that isn't the open one.
pub(super) fn other_epoch(open: Option<Epoch>) -> Status {
    let message = match open {
        None => "no epoch is open yet",
        Some(_) => "another epoch is open",
    };
    refusal(Code::FailedPrecondition, ErrorReason::WrongState, message)
        .meta("state", message)
        .meta("open_epoch", Epoch::to_wire(open).to_string())
        .into_status()
}

pub(super) fn overloaded(message: &str) -> Status {
    refusal(Code::Unavailable, ErrorReason::Overloaded, message)
        .retry_after(jittered(Duration::from_secs(1)))
        .into_status()
}

/// What was asked for can't be said yet, or not without the journal.
pub(super) fn behind(message: &str) -> Status {
    refusal(Code::Unavailable, ErrorReason::UpstreamUnavailable, message)
        .retry_after(jittered(Duration::from_millis(500)))
        .into_status()
}

/// The books could not be read. What they said is logged and stays here.
pub(super) fn unanswered(error: books::Error) -> Status {
    // Every reader meets books that don't answer, and they are many. A defect is said each time,
    // since it may be of one row, and would go unsaid beside them.
    static READS: LazyLock<Lasting> = LazyLock::new(Lasting::default);
    let is_silence = matches!(error, books::Error::Lost(_) | books::Error::Busy(_));
    let unsaid = if is_silence { READS.again() } else { Some(0) };
    if let Some(unsaid) = unsaid {
        tracing::warn!(%error, unsaid, "the books could not be read; who asked is told so");
    }
    let is_lost = matches!(error, books::Error::Lost(_));
    let (code, reason, message) = match error {
        books::Error::Busy(_) | books::Error::Lost(_) => {
            (Code::Unavailable, ErrorReason::UpstreamUnavailable, "the books do not answer")
        }
        books::Error::Damaged(_) | books::Error::Failed(_) => {
            return Status::internal("the books can't be read");
        }
    };
    let wait = jittered(Duration::from_millis(500));
    let refusal = refusal(code, reason, message).retry_after(wait);
    // Who is lost to us may be there for another instance; who is busy isn't.
    if is_lost { refusal.of_this_instance().into_status() } else { refusal.into_status() }
}
