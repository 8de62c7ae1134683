//! The one place where refusals and faults become statuses. A refusal is told precisely; a fault
//! is logged here, once, and the client learns only that it happened.

use std::{error::Error, sync::LazyLock, time::Duration};

use chassis::{Words, logs::Lasting, status::Refusal as Details};
use proto::{ERROR_DOMAIN, error::v1::ErrorReason, reason_text};
use rand::RngExt as _;
use tonic::{Code, Status};

use crate::{
    accounts::AccountsError,
    commands::{Fault, NotDone, Refusal},
    domain::Violation,
    lockout::TooMany,
};

/// Around the time that a full queue takes to pass; jittered, so that those who were sent away
/// don't come back together.
const RETRY_AFTER_MS: std::ops::Range<u64> = 500..1_500;

pub(crate) fn of(not_done: NotDone) -> Status {
    match not_done {
        NotDone::Refused(refusal) => of_refusal(refusal),
        NotDone::Failed(fault) => of_fault(&fault),
    }
}

pub(crate) fn of_refusal(refusal: Refusal) -> Status {
    match refusal {
        Refusal::InvalidInput(violations) => invalid_input(violations),
        Refusal::EmailTaken => details(
            Code::AlreadyExists,
            ErrorReason::AlreadyExists,
            "the e-mail address has an account",
        )
        .into_status(),
        Refusal::BadCredentials => details(
            Code::Unauthenticated,
            ErrorReason::BadCredentials,
            "e-mail and password don't belong together",
        )
        .into_status(),
        Refusal::TooManyFailures(TooMany { wait }) => details(
            Code::ResourceExhausted,
            ErrorReason::RateLimited,
            "too many sign-ins have failed",
        )
        .retry_after(wait)
        .quota("sign_in", "sign-ins that fail make the next one wait, longer each time")
        .into_status(),
        Refusal::SessionEnded => details(
            Code::Unauthenticated,
            ErrorReason::SessionEnded,
            "the refresh token continues no session; sign in",
        )
        .into_status(),
        Refusal::Overloaded => details(
            Code::Unavailable,
            ErrorReason::Overloaded,
            "more work is waiting than can be done in time; nothing was done",
        )
        .retry_after(retry_after())
        .into_status(),
        Refusal::NotAnOperator => details(
            Code::Unauthenticated,
            ErrorReason::Unauthenticated,
            "an operator token that holds is needed (authorization: Bearer …)",
        )
        .into_status(),
        Refusal::Lacks(right) => details(
            Code::PermissionDenied,
            ErrorReason::PermissionDenied,
            "the operator's token lacks the right that this needs",
        )
        .meta("right", right.text())
        .into_status(),
        Refusal::TooManyRevoked => details(
            Code::FailedPrecondition,
            ErrorReason::WrongState,
            "too many names are revoked: revoke everyone's tokens of before a moment instead",
        )
        .meta("state", "TOO_MANY")
        .into_status(),
        Refusal::RehearsalsOff => details(
            Code::PermissionDenied,
            ErrorReason::PermissionDenied,
            "rehearsals are switched off here (rehearsal_allowed)",
        )
        .into_status(),
    }
}

fn invalid_input(violations: Vec<Violation>) -> Status {
    let message = "the request has fields that are not allowed";
    let refusal = details(Code::InvalidArgument, ErrorReason::InvalidInput, message);
    let fields = violations.into_iter();
    fields
        .fold(refusal, |refusal, broken| refusal.field(broken.field, broken.description))
        .into_status()
}

fn of_fault(fault: &Fault) -> Status {
    // Every caller meets a lost store, and they are many. All else is said each time: who met it is
    // told that the log says why.
    static CALLS: LazyLock<Lasting> = LazyLock::new(Lasting::default);
    let is_lost = matches!(fault, Fault::Accounts(AccountsError::Lost(_)));
    let unsaid = if is_lost { CALLS.again() } else { Some(0) };
    if let Some(unsaid) = unsaid {
        tracing::error!(error = fault as &dyn Error, unsaid, "a command failed");
    }
    match fault {
        Fault::Accounts(AccountsError::Lost(_)) => details(
            Code::Unavailable,
            ErrorReason::UpstreamUnavailable,
            "the accounts can't be reached; whether anything was done is not known",
        )
        .of_this_instance()
        .retry_after(retry_after())
        .into_status(),
        Fault::Accounts(
            AccountsError::Busy(_) | AccountsError::Failed(_) | AccountsError::Damaged(_),
        )
        | Fault::Password(_)
        | Fault::Signing(_) => Status::internal("the service failed; the log says why"),
    }
}

/// How malformed requests are refused before they come to a handler.
pub(crate) fn words() -> Words {
    Words {
        domain: ERROR_DOMAIN,
        invalid_input: reason_text(ErrorReason::InvalidInput),
        overloaded: reason_text(ErrorReason::Overloaded),
        unimplemented: reason_text(ErrorReason::Unimplemented),
        not_found: reason_text(ErrorReason::NotFound),
    }
}

fn details(code: Code, reason: ErrorReason, message: &str) -> Details {
    Details::new(code, reason_text(reason), ERROR_DOMAIN, message)
}

fn retry_after() -> Duration {
    Duration::from_millis(rand::rng().random_range(RETRY_AFTER_MS))
}
