//! The one place where refusals and faults become statuses. A refusal is told precisely; a fault
//! is logged here, once, and the client learns only that it happened. STALE_EPOCH and FENCED have
//! no status: they never leave this service.

use std::{fmt::Display, sync::LazyLock, time::Duration};

use chassis::{Words, logs::Lasting, status::Refusal as Details};
use proto::{ERROR_DOMAIN, error::v1::ErrorReason, reason_text};
use rand::RngExt as _;
use tonic::{Code, Status};

use crate::{
    catalog,
    commands::{count::NotCounted, sales::Refused},
    domain::sale::Violation,
    upstream::operators::NotAnOperator,
};

/// Around the time that a loading takes; jittered, so that those who were sent away don't come
/// back together.
const RETRY_AFTER_MS: std::ops::Range<u64> = 500..1_500;

pub(crate) fn invalid(violations: Vec<Violation>) -> Status {
    let status = details(
        Code::InvalidArgument,
        ErrorReason::InvalidInput,
        "the request has fields that are not allowed",
    );
    let each = |status: Details, wrong: Violation| status.field(wrong.field, wrong.says);
    violations.into_iter().fold(status, each).into_status()
}

pub(crate) fn invalid_field(field: &str, says: impl Display) -> Status {
    invalid(vec![Violation { field: field.to_owned(), says: says.to_string() }])
}

pub(crate) fn not_found(what: &str) -> Status {
    details(Code::NotFound, ErrorReason::NotFound, format!("there is no such {what}")).into_status()
}

/// The shard is being loaded; nothing was done.
pub(crate) fn loading() -> Status {
    details(Code::Unavailable, ErrorReason::Loading, "the shard's stock is being loaded")
        .retry_after(retry_after())
        .into_status()
}

/// Whether the ledger has done it is not known, or it certainly hasn't; asking again is safe.
pub(crate) fn ledger_is_silent() -> Status {
    ours_is_silent("the ledger gave no answer; whether anything was done is not known")
}

/// Nothing was done: our own stores don't answer us. Those of another instance may.
pub(crate) fn not_ready() -> Status {
    ours_is_silent("this instance's own stores don't answer it")
}

fn ours_is_silent(says: &str) -> Status {
    details(Code::Unavailable, ErrorReason::UpstreamUnavailable, says)
        .of_this_instance()
        .retry_after(retry_after())
        .into_status()
}

pub(crate) fn not_counted(why: NotCounted) -> Status {
    match why {
        NotCounted::NotNow => loading(),
        NotCounted::NoSuchShard => not_found("shard"),
    }
}

pub(crate) fn too_many_streams() -> Status {
    details(Code::Unavailable, ErrorReason::Overloaded, "too many streams watch the stock")
        .retry_after(retry_after())
        .into_status()
}

pub(crate) fn not_an_operator(why: &NotAnOperator) -> Status {
    match why {
        NotAnOperator::Token(_) => details(
            Code::Unauthenticated,
            ErrorReason::Unauthenticated,
            "an operator token that holds is needed (authorization: Bearer …)",
        )
        .into_status(),
        NotAnOperator::Lacks(right) => details(
            Code::PermissionDenied,
            ErrorReason::PermissionDenied,
            "the operator's token lacks the right that this needs",
        )
        .meta("right", *right)
        .into_status(),
        NotAnOperator::NoKeys => details(
            Code::Unavailable,
            ErrorReason::UpstreamUnavailable,
            "no operator token can be checked until user-svc has been reached",
        )
        .retry_after(retry_after())
        .into_status(),
    }
}

pub(crate) fn of_sale(refused: Refused) -> Status {
    match refused {
        Refused::Invalid(violations) => invalid(violations),
        Refused::NotFound(what) => not_found(what),
        Refused::OtherWindow => details(
            Code::FailedPrecondition,
            ErrorReason::WrongState,
            "the sale has another window already, and windows don't change",
        )
        .meta("state", "SCHEDULED")
        .into_status(),
        Refused::Catalog(error) => of_catalog(&error),
        Refused::Books(silent) => {
            tracing::warn!(error = %silent, "no sale can be made");
            details(
                Code::Unavailable,
                ErrorReason::UpstreamUnavailable,
                "order-svc can't say which shard numbers were seen; nothing was made",
            )
            .retry_after(retry_after())
            .into_status()
        }
    }
}

pub(crate) fn of_catalog(error: &catalog::Error) -> Status {
    // Every caller meets it, and they are many.
    static CALLS: LazyLock<Lasting> = LazyLock::new(Lasting::default);
    if let Some(unsaid) = CALLS.again() {
        tracing::error!(%error, unsaid, "the catalog gave no answer; who asked is told so");
    }
    details(
        Code::Unavailable,
        ErrorReason::UpstreamUnavailable,
        "the catalog can't be reached; whether anything was done is not known",
    )
    .retry_after(retry_after())
    .into_status()
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

fn details(code: Code, reason: ErrorReason, message: impl Into<String>) -> Details {
    Details::new(code, reason_text(reason), ERROR_DOMAIN, message)
}

fn retry_after() -> Duration {
    Duration::from_millis(rand::rng().random_range(RETRY_AFTER_MS))
}
