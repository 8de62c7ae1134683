//! Why something could not be measured, in one sentence. A figure that is worse than hoped is no
//! failure; a promise of the shop that was broken on the way is one.

use std::fmt::Display;

use tonic::Status;

/// See the module.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(pub(crate) String);

/// Says `what` went wrong, with its cause.
pub(crate) fn failed<E: Display>(what: impl Display) -> impl FnOnce(E) -> Failure {
    move |error| Failure(format!("{what}: {error}"))
}

/// The same of a call's status, without its metadata.
pub(crate) fn refused(what: &'static str) -> impl FnOnce(Status) -> Failure {
    move |status| Failure(format!("{what}: {}: {}", status.code(), status.message()))
}
