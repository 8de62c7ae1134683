//! How watching becomes a stream: what is known now, then each change, to the final one or until
//! the end. However a stream ends, its watcher is forgotten with it.

use std::{hash::Hash, pin::Pin, time::Duration};

use chassis::Stopper;
use futures::{StreamExt as _, stream::BoxStream};
use tonic::Status;

use super::status::status;
use crate::{
    domain::refusal::Refusal,
    watch::{Full, News, Watching},
};

/// Streams last for minutes, and whoever has as many as they may has to close one first.
const COME_BACK_IN: Duration = Duration::from_secs(5);

/// Why a stream can't begin, of a holder of this kind.
pub(super) fn refusal(full: Full, whose: &'static str) -> Refusal {
    match full {
        Full::All => Refusal::FULL,
        Full::Holder => Refusal::RateLimited { whose, wait: COME_BACK_IN },
    }
}

/// When a stream is over though nothing final was told, and why.
pub(super) type End = Pin<Box<dyn Future<Output = Over> + Send + 'static>>;

/// Why a stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Its server goes away: its client is told so, and comes back to another.
    Stopping,
    /// It has lasted for long.
    Lasted,
}

/// With the server, or after `limit`.
pub(super) fn end(stopper: Stopper, limit: Duration) -> End {
    Box::pin(async move {
        tokio::select! {
            () = stopper.stopped() => Over::Stopping,
            () = tokio::time::sleep(limit) => Over::Lasted,
        }
    })
}

/// What is told, in the words of `say`.
pub(super) fn stream<K, N, H, T>(
    watching: Watching<K, N, H>,
    end: End,
    say: impl Fn(&N) -> T + Send + 'static,
) -> BoxStream<'static, Result<T, Status>>
where
    K: Eq + Hash + Send + 'static,
    N: News + Send + Sync + 'static,
    H: Eq + Hash + Send + 'static,
    T: Send + 'static,
{
    enum Step {
        First,
        Next,
        Over,
    }
    let begin = (watching, end, say, Step::First);
    let told = futures::stream::unfold(begin, async |(mut watching, mut end, say, step)| {
        let news = match step {
            Step::First => watching.now(),
            Step::Next => tokio::select! {
                biased;
                over = &mut end => match over {
                    Over::Stopping => {
                        let told = Err(status(Refusal::Stopping));
                        return Some((told, (watching, end, say, Step::Over)));
                    }
                    Over::Lasted => return None,
                },
                news = watching.change() => news,
            },
            Step::Over => return None,
        };
        let next = if news.is_final() { Step::Over } else { Step::Next };
        let answer = say(&news);
        Some((Ok(answer), (watching, end, say, next)))
    });
    told.boxed()
}
