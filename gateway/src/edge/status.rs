//! The one place where a refusal becomes a status: its code, its reason, its details, and a
//! sentence for people. Nothing of what the caller sent comes back in it.

use std::{sync::LazyLock, time::Duration};

use chassis::{Words, status::Refusal as Detailed};
use proto::{
    ERROR_DOMAIN,
    error::v1::ErrorReason::{self, *},
    reason_text,
};
use rand::RngExt as _;
use tonic::{Code, Status};

use crate::domain::refusal::{BadField, Refusal};

/// About how long a load or a fail-over takes at best.
const LOADING_WAIT: Duration = Duration::from_millis(500);
/// An operator's pause lasts longer than a load.
const PAUSED_WAIT: Duration = Duration::from_secs(2);
/// A balancer has turned to another server by then; those whose streams end together shall not come
/// back together.
const STOPPING_WAIT: Duration = Duration::from_secs(1);
/// Those who were refused together for their rate come back within about this.
const RATE_SPREAD: Duration = Duration::from_millis(200);

/// How malformed requests are refused before they come to a handler.
pub(crate) fn words() -> Words {
    Words {
        domain: ERROR_DOMAIN,
        invalid_input: reason_text(InvalidInput),
        overloaded: reason_text(Overloaded),
        unimplemented: reason_text(Unimplemented),
        not_found: reason_text(NotFound),
    }
}

/// What most calls of a rush are told; making it costs as much as finding out. It is always the
/// same, so it is made once.
static SOLD_OUT: LazyLock<Status> = LazyLock::new(|| detailed(Refusal::SoldOut).into_status());

/// The same for what most calls are told when there are too many, by how long they are to wait, in
/// steps.
static OVERLOADED: LazyLock<Vec<Status>> = LazyLock::new(|| {
    let waits = (0..=OVERLOADED_STEPS).map(|steps| OVERLOADED_STEP * steps);
    waits.map(|wait| detailed(Refusal::Overloaded { wait }).into_status()).collect()
});
const OVERLOADED_STEP: Duration = Duration::from_millis(50);
/// Five seconds; nobody is told a longer one.
const OVERLOADED_STEPS: u32 = 100;

/// The status of a refusal.
pub(crate) fn status(refusal: Refusal) -> Status {
    told(refusal).1
}

/// The reason of a refusal as programs read it, and its status.
pub(crate) fn told(refusal: Refusal) -> (&'static str, Status) {
    match refusal {
        Refusal::SoldOut => return (reason_text(SoldOut), SOLD_OUT.clone()),
        Refusal::Overloaded { wait } => return (reason_text(Overloaded), overloaded(wait)),
        _ => {}
    }
    let told = detailed(refusal);
    (told.reason(), told.into_status())
}

fn overloaded(wait: Duration) -> Status {
    let steps = jittered(wait).as_secs_f64() / OVERLOADED_STEP.as_secs_f64();
    // Within the bounds of a usize: an `as` from a float is cut off there.
    OVERLOADED[(steps as usize).min(OVERLOADED.len() - 1)].clone()
}

/// The status of a request of which this part can't be accepted.
pub(super) fn invalid(field: impl Into<String>, says: impl Into<String>) -> Status {
    let (field, says) = (field.into(), says.into());
    let message = format!("{field} {says}");
    Detailed::new(Code::InvalidArgument, reason_text(InvalidInput), ERROR_DOMAIN, message)
        .field(field, says)
        .into_status()
}

fn detailed(refusal: Refusal) -> Detailed {
    let says = |code, reason: ErrorReason, message: &str| {
        Detailed::new(code, reason_text(reason), ERROR_DOMAIN, message)
    };
    let precondition = |reason, message| says(Code::FailedPrecondition, reason, message);
    let later = |reason, message, wait| {
        says(Code::Unavailable, reason, message).retry_after(jittered(wait))
    };
    match refusal {
        Refusal::Unauthenticated(why) => says(Code::Unauthenticated, Unauthenticated, why),
        Refusal::PermissionDenied(why) => says(Code::PermissionDenied, PermissionDenied, why),
        Refusal::LacksRight(right) => {
            let message = "the operator's token lacks the right that this needs";
            says(Code::PermissionDenied, PermissionDenied, message).meta("right", right)
        }
        Refusal::InvalidInput(BadField { field, says: description }) => {
            let message = format!("{field} {description}");
            says(Code::InvalidArgument, InvalidInput, &message).field(field, description)
        }
        Refusal::TicketInvalid => {
            let message = "the ticket isn't one that was signed for this buyer";
            says(Code::InvalidArgument, TicketInvalid, message).field("ticket", message)
        }
        Refusal::NotFound(what) => {
            says(Code::NotFound, NotFound, &format!("there is no such {what}"))
        }
        Refusal::NotOpen { opens_ms } => {
            let opens_at = timestamp(opens_ms).to_string();
            precondition(NotOpen, "the sale isn't open yet").meta("opens_at", opens_at)
        }
        Refusal::Closed => precondition(Closed, "the sale is over"),
        Refusal::TicketExpired => precondition(TicketExpired, "the ticket's end has passed"),
        Refusal::LimitReached { limit } => {
            let message = "the buyer would have more units than the item's limit per user";
            precondition(LimitReached, message).meta("limit", limit.to_string())
        }
        Refusal::SoldOut => precondition(SoldOut, "fewer units are left than the ticket asks for"),
        Refusal::Rejected => precondition(Rejected, "the order was refused or given back"),
        Refusal::Loading => later(Loading, "the item's stock is being loaded", LOADING_WAIT),
        Refusal::Paused => later(Paused, "the sale is paused", PAUSED_WAIT),
        Refusal::Overloaded { wait } => {
            let message = "more work is waiting than can be done in time";
            says(Code::Unavailable, Overloaded, message).retry_after(wait)
        }
        Refusal::RateLimited { whose, wait } => {
            let message = format!("the allowance of calls of this {whose} is used up");
            says(Code::ResourceExhausted, RateLimited, &message)
                .quota(whose, "more calls than it may make in this time")
                // Not before there is some of it again.
                .retry_after(wait + jittered(RATE_SPREAD))
        }
        Refusal::Stopping => {
            let message = "this server is stopping; another one has the stream";
            later(Stopping, message, STOPPING_WAIT)
        }
        Refusal::UpstreamUnavailable { wait } => {
            later(UpstreamUnavailable, "a service behind the door can't answer", wait)
        }
    }
}

/// Those who were refused together shall not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..1.5))
}

/// The wire form of a time.
pub(crate) fn timestamp(ms: u64) -> prost_types::Timestamp {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(ms % 1000).expect("below 1000") * 1_000_000;
    prost_types::Timestamp { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use chassis::status::{meta_of, reason_of, retry_after_of};

    use super::*;

    #[test]
    fn every_refusal_has_its_code_and_reason() {
        use Code::{
            FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, ResourceExhausted,
            Unauthenticated, Unavailable,
        };
        let table = [
            (Refusal::Unauthenticated("why"), Unauthenticated, "UNAUTHENTICATED"),
            (Refusal::PermissionDenied("why"), PermissionDenied, "PERMISSION_DENIED"),
            (Refusal::LacksRight("READ"), PermissionDenied, "PERMISSION_DENIED"),
            (Refusal::field("quantity", "must be 1"), InvalidArgument, "INVALID_INPUT"),
            (Refusal::TicketInvalid, InvalidArgument, "TICKET_INVALID"),
            (Refusal::NotFound("item"), NotFound, "NOT_FOUND"),
            (Refusal::NotOpen { opens_ms: 1 }, FailedPrecondition, "NOT_OPEN"),
            (Refusal::Closed, FailedPrecondition, "CLOSED"),
            (Refusal::TicketExpired, FailedPrecondition, "TICKET_EXPIRED"),
            (Refusal::LimitReached { limit: 2 }, FailedPrecondition, "LIMIT_REACHED"),
            (Refusal::SoldOut, FailedPrecondition, "SOLD_OUT"),
            (Refusal::Rejected, FailedPrecondition, "REJECTED"),
            (Refusal::Loading, Unavailable, "LOADING"),
            (Refusal::Paused, Unavailable, "PAUSED"),
            (Refusal::FULL, Unavailable, "OVERLOADED"),
            (Refusal::Stopping, Unavailable, "STOPPING"),
            (Refusal::NO_ANSWER, Unavailable, "UPSTREAM_UNAVAILABLE"),
            (rate_limited(), ResourceExhausted, "RATE_LIMITED"),
        ];
        for (refusal, code, reason) in table {
            let status = status(refusal);
            assert_eq!((status.code(), reason_of(&status).as_deref()), (code, Some(reason)));
            let waits = retry_after_of(&status).is_some();
            assert_eq!(
                waits,
                matches!(code, Unavailable | ResourceExhausted),
                "{reason}: only what passes says when"
            );
        }
    }

    fn rate_limited() -> Refusal {
        Refusal::RateLimited { whose: "network", wait: Duration::from_secs(3) }
    }

    #[test]
    fn details_say_what_a_client_needs() {
        let not_open = status(Refusal::NotOpen { opens_ms: 1_767_268_800_500 });
        assert_eq!(meta_of(&not_open, "opens_at").as_deref(), Some("2026-01-01T12:00:00.500Z"));
        let limit = status(Refusal::LimitReached { limit: 2 });
        assert_eq!(meta_of(&limit, "limit").as_deref(), Some("2"));
        let lacks = status(Refusal::LacksRight("RUN_SALES"));
        assert_eq!(meta_of(&lacks, "right").as_deref(), Some("RUN_SALES"));
        let field = status(Refusal::field("quantity", "must be 1 to 2"));
        let details = tonic_types::StatusExt::get_details_bad_request(&field).unwrap();
        assert_eq!(details.field_violations[0].field, "quantity");
        assert_eq!(field.message(), "quantity must be 1 to 2");
        let often = status(rate_limited());
        assert!(retry_after_of(&often).unwrap() >= Duration::from_secs(3));
        let quota = tonic_types::StatusExt::get_details_quota_failure(&often).unwrap();
        assert_eq!(quota.violations[0].subject, "network");
    }

    #[test]
    fn who_is_turned_away_is_told_about_how_long() {
        for wait in [300, 1_000, 3_000].map(Duration::from_millis) {
            let told = || retry_after_of(&status(Refusal::Overloaded { wait })).unwrap();
            let told: Vec<_> = (0..200).map(|_| told()).collect();
            assert!(told.iter().all(|told| *told + OVERLOADED_STEP > wait / 2));
            assert!(told.iter().all(|told| *told < wait * 3 / 2));
            let mean = told.iter().sum::<Duration>() / 200;
            assert!(mean.abs_diff(wait) < wait / 5, "{mean:?} of {wait:?}");
        }
        let day = status(Refusal::Overloaded { wait: Duration::from_secs(86_400) });
        assert_eq!(retry_after_of(&day), Some(Duration::from_secs(5)), "nobody waits for longer");
    }

    #[test]
    fn waits_are_spread() {
        let waits: Vec<_> = (0..200).map(|_| jittered(LOADING_WAIT)).collect();
        let (min, max) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*min >= LOADING_WAIT / 2 && *max < LOADING_WAIT * 3 / 2);
        assert!(*max - *min > LOADING_WAIT / 2, "{min:?} to {max:?}");
    }
}
