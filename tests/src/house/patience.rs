//! Awaiting a condition instead of sleeping.

use std::time::Duration;

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
