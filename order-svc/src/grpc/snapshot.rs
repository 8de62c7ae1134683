//! A snapshot on its way out. The transaction is held by a task of its own with a deadline, since a
//! client that stops reading would hold it for ever; and a stream that didn't reach its end says
//! so, since a load from half the orders would sell units twice.

use std::time::Duration;

use futures::{StreamExt, stream, stream::BoxStream};
use proto::order::v1::ShardSnapshotResponse;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::{answer, refusal};
use crate::books::{Error, SnapshotOrder};

type Answer = Result<ShardSnapshotResponse, Status>;

/// What the task tells the stream.
enum Step {
    Answer(Answer),
    /// All pages were sent. A channel that closes without it was cut off.
    End,
}

/// The task that reads `pages` and holds `permit`, and the stream of what it reads, a page ahead.
pub(super) fn pipe(
    head: ShardSnapshotResponse,
    pages: BoxStream<'static, Result<Vec<SnapshotOrder>, Error>>,
    permit: OwnedSemaphorePermit,
    deadline: Duration,
) -> (impl Future<Output = ()> + Send + 'static, BoxStream<'static, Answer>) {
    let (steps, received) = mpsc::channel(1);
    let sending = async move {
        let _permit = permit;
        if tokio::time::timeout(deadline, send_all(pages, &steps)).await.is_err() {
            tracing::warn!("a snapshot was not read in time and is cut off");
        }
    };
    let answers = stream::unfold(Some(received), |received| async move {
        let mut received = received?;
        match received.recv().await {
            Some(Step::Answer(Ok(answer))) => Some((Ok(answer), Some(received))),
            Some(Step::Answer(Err(status))) => Some((Err(status), None)),
            Some(Step::End) => None,
            None => Some((Err(cut_off()), None)),
        }
    });
    let answers = stream::once(std::future::ready(Ok(head))).chain(answers);
    (sending, answers.boxed())
}

async fn send_all(
    mut pages: BoxStream<'static, Result<Vec<SnapshotOrder>, Error>>,
    steps: &mpsc::Sender<Step>,
) {
    while let Some(page) = pages.next().await {
        let answer = page.map(|page| answer::snapshot_page(&page)).map_err(refusal::unanswered);
        // An error means that the client has gone.
        if steps.send(Step::Answer(answer)).await.is_err() {
            return;
        }
    }
    let _ = steps.send(Step::End).await;
}

fn cut_off() -> Status {
    Status::deadline_exceeded("the snapshot was not read in time; start it again")
}

#[cfg(test)]
mod tests;
