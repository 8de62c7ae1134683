//! The services behind the door: their wire types end here. Every call has a time limit that the
//! other side is told of. A read that can't be answered is [`ReadError::Unavailable`]; what the
//! caller makes of that is the caller's business.

pub(crate) mod inventory;
pub(crate) mod office;
pub(crate) mod orders;
pub(crate) mod users;

use std::{future::Future, time::Duration};

use chassis::Clock;
use tonic::{Code, Request, Response, Status};

pub(crate) use inventory::Inventory;
pub(crate) use office::Office;
pub(crate) use orders::Orders;
pub(crate) use users::Users;

/// Why a read has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadError {
    NotFound,
    /// The other side refused what we passed on; a bad page token is the only way.
    BadInput,
    /// It can't be reached, has no time, or its answer makes no sense.
    Unavailable,
}

/// When an answer is worth nothing any more, by the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until(Duration);

impl Until {
    /// So long from now.
    pub(crate) fn within(clock: &Clock, limit: Duration) -> Self {
        Self(clock.now() + limit)
    }

    pub(crate) fn left(self, clock: &Clock) -> Duration {
        self.0.saturating_sub(clock.now())
    }
}

/// Calls with a limit that travels in `grpc-timeout` and also covers connecting.
async fn call<Q, A, F>(
    limit: Duration,
    message: Q,
    rpc: impl FnOnce(Request<Q>) -> F,
) -> Result<A, Status>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    forward(limit, Request::new(message), rpc).await
}

/// The same for a call whose head says more.
async fn forward<Q, A, F>(
    limit: Duration,
    mut request: Request<Q>,
    rpc: impl FnOnce(Request<Q>) -> F,
) -> Result<A, Status>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    if limit.is_zero() {
        return Err(Status::deadline_exceeded("no time is left to ask"));
    }
    request.set_timeout(limit);
    match tokio::time::timeout(limit, rpc(request)).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_elapsed) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

/// What a status means for a read. An outage is told to every buyer who asks, so it is no news in
/// the log.
fn read_error(service: &'static str, status: &Status) -> ReadError {
    match status.code() {
        Code::NotFound => ReadError::NotFound,
        Code::InvalidArgument => ReadError::BadInput,
        code => {
            tracing::debug!(service, ?code, "a read was not answered");
            ReadError::Unavailable
        }
    }
}

/// For answers that break the contract between the services.
fn nonsense(service: &'static str, what: &'static str) -> ReadError {
    tracing::error!(service, what, "an answer makes no sense");
    ReadError::Unavailable
}

fn millis(time: &prost_types::Timestamp) -> Option<u64> {
    let whole = u64::try_from(time.seconds).ok()?.checked_mul(1000)?;
    let part = u64::try_from(time.nanos).ok()? / 1_000_000;
    whole.checked_add(part)
}
