//! Waiting for a condition, with an end.

use std::time::Duration;

use tokio::time;

/// How often a condition is asked. 10 ms: a store that is ready isn't noticed much later.
const STEP: Duration = Duration::from_millis(10);

/// Asks `condition` again and again until it has an answer; `None` after `patience`.
pub(crate) async fn until<T>(
    patience: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let asking = async {
        loop {
            if let Some(answer) = condition().await {
                return answer;
            }
            time::sleep(STEP).await;
        }
    };
    time::timeout(patience, asking).await.ok()
}
