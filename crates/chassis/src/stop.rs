//! One way to ask something to stop, and to hear of it.
//!
//! A [`Stopper`] only says that the end was asked for. Who hears of it finishes what it has begun;
//! that nothing goes on for ever is the promise of [`crate::tasks`].

use tokio_util::sync::CancellationToken;
use tonic::Extensions;

/// Asks for a stop, and is asked whether there was one. Clones are the same stopper.
#[derive(Clone, Debug, Default)]
pub struct Stopper {
    token: CancellationToken,
}

impl Stopper {
    /// A stopper that nobody has stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stopper of a call's server, from the extensions of its request: a handler whose stream
    /// has no end of its own ends it then. It never stops if no [`crate::serve`] is in front.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Asks all clones and children to stop. Final, and idempotent.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Whether a stop was asked for.
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once a stop was asked for. Cancel safe.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// A stopper that stops with this one, and can be stopped without it.
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token() }
    }

    /// As [`Stopper::stopped`], for streams that outlive the handler which made them.
    pub(crate) fn into_stopped(self) -> impl Future<Output = ()> + Send + 'static {
        self.token.cancelled_owned()
    }

    pub(crate) fn child_token(&self) -> CancellationToken {
        self.token.child_token()
    }
}
