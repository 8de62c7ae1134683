//! Places where a test can hold a running process, to kill it exactly there.
//!
//! Without a test there are none ([`PausePoints::default`]), and reaching one is a look at a null
//! pointer. An armed point holds everyone who reaches it until it is released.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The points of one App. The default has none, and can't be armed.
#[derive(Clone, Debug, Default)]
pub struct PausePoints {
    points: Option<Arc<Mutex<Points>>>,
}

type Points = HashMap<String, Arc<Point>>;

/// One armed point. Dropping the handle releases it.
#[derive(Debug)]
#[must_use = "the point is released when its handle is dropped"]
pub struct PauseHandle {
    point: Arc<Point>,
}

#[derive(Debug)]
struct Point {
    hits: watch::Sender<usize>,
    is_released: watch::Sender<bool>,
}

impl PausePoints {
    /// Points that a test can arm.
    pub fn armed() -> Self {
        Self { points: Some(Arc::default()) }
    }

    /// Arms `name`: everyone who reaches it waits, from now until the handle releases it. Arming
    /// again leaves those who wait at the first handle with that one.
    ///
    /// # Panics
    /// On points that can't be armed.
    pub fn arm(&self, name: &str) -> PauseHandle {
        let points = self.points.as_ref().expect("only PausePoints::armed() can be armed");
        let point =
            Arc::new(Point { hits: watch::Sender::new(0), is_released: watch::Sender::new(false) });
        let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
        points.insert(name.to_owned(), Arc::clone(&point));
        PauseHandle { point }
    }

    /// Waits here while the point `name` is armed. Cancel safe.
    pub async fn reach(&self, name: &'static str) {
        let Some(points) = &self.points else { return };
        let point = points.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let Some(point) = point else { return };
        let mut is_released = point.is_released.subscribe();
        if *is_released.borrow() {
            return;
        }
        point.hits.send_modify(|hits| *hits += 1);
        // An error would mean that the point is gone, and we hold it.
        let _ = is_released.wait_for(|is_released| *is_released).await;
    }
}

impl PauseHandle {
    /// Returns once the point was reached `times` times in all. Give it a deadline.
    pub async fn hit(&self, times: usize) {
        let mut hits = self.point.hits.subscribe();
        // An error would mean that the point is gone, and we hold it.
        let _ = hits.wait_for(|hits| *hits >= times).await;
    }

    /// How often the point was reached while it was armed.
    pub fn count(&self) -> usize {
        *self.point.hits.borrow()
    }

    /// Lets everyone go on, and nobody waits here any more.
    pub fn release(&self) {
        self.point.is_released.send_replace(true);
    }
}

impl Drop for PauseHandle {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests;
