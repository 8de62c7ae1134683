//! Awaiting a condition instead of sleeping.

use std::time::Duration;

use chassis::status::reason_of;
use tonic::Status;

use super::PATIENCE;

/// Asks again every few milliseconds until the answer is `Some`.
///
/// # Panics
/// When `within` has passed, saying what was awaited.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    match tokio::time::timeout(within, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("awaited in vain for {within:?}: {what}"),
    }
}

/// Asks again while it is told OVERLOADED: many who come at once may be more than a busy machine
/// takes, and what the limits refuse they never let in.
pub(crate) async fn when_there_is_room<T>(
    ask: impl AsyncFn() -> Result<T, Status>,
) -> Result<T, Status> {
    eventually("there is room", PATIENCE, async || {
        Some(ask().await).filter(|answer| {
            let refusal = answer.as_ref().err().and_then(reason_of);
            refusal.is_none_or(|reason| reason != "OVERLOADED")
        })
    })
    .await
}
