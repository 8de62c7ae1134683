//! One way to ask something to stop, and to hear of it.
//!
//! A [`Stopper`] only says that the end was asked for. Who hears of it finishes what it has begun;
//! that nothing goes on for ever is the promise of [`crate::tasks`]. Before a stop there may be a
//! leave: work goes on, and those who can go elsewhere are told to.

use tokio_util::sync::CancellationToken;
use tonic::Extensions;

/// Asks for a stop, and is asked whether there was one. Clones are the same stopper.
#[derive(Clone, Debug, Default)]
pub struct Stopper {
    token: CancellationToken,
    /// Cancelled by a stop as well.
    leaving: CancellationToken,
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

    /// Says to all clones and children that a stop will follow. Final, and idempotent.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// Asks all clones and children to stop. Final, and idempotent.
    pub fn stop(&self) {
        self.leaving.cancel();
        self.token.cancel();
    }

    /// Returns once a stop is to follow, or was asked for. Cancel safe.
    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// For something that others offer as well: stops once this one leaves; if it has left already,
    /// only when it stops, since whoever came all the same found nobody else.
    pub fn of_leaving(&self) -> Self {
        let Self { token, leaving } = self;
        let ends = if leaving.is_cancelled() { token } else { leaving };
        Self { token: ends.child_token(), leaving: leaving.child_token() }
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
        Self { token: self.token.child_token(), leaving: self.leaving.child_token() }
    }

    /// As [`Stopper::stopped`], for streams that outlive the handler which made them.
    pub(crate) fn into_stopped(self) -> impl Future<Output = ()> + Send + 'static {
        self.token.cancelled_owned()
    }

    pub(crate) fn child_token(&self) -> CancellationToken {
        self.token.child_token()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_leave_is_heard_and_stops_only_what_others_offer_as_well() {
        let stopper = Stopper::new();
        let (child, stream) = (stopper.child(), stopper.of_leaving());
        stopper.leave();
        assert!(child.leaving().now_or_never().is_some() && stream.is_stopped());
        assert!(!stopper.is_stopped() && !child.is_stopped());
        let late = stopper.of_leaving();
        assert!(!late.is_stopped(), "there was nowhere else to go");
        stopper.stop();
        assert!(child.is_stopped() && late.is_stopped());
    }

    #[test]
    fn a_stop_is_a_leave_too() {
        let stopper = Stopper::new();
        stopper.stop();
        assert!(stopper.child().leaving().now_or_never().is_some());
    }
}
