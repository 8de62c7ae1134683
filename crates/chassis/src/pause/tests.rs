//! Armed points hold, released ones don't, and there are none by default.

use std::time::Duration;

use futures::FutureExt;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn default_points_hold_nobody() {
    assert!(PausePoints::default().reach("anywhere").now_or_never().is_some());
}

#[test]
fn only_the_armed_point_holds() {
    let points = PausePoints::armed();
    let handle = points.arm("oven");
    assert!(points.reach("shop").now_or_never().is_some());
    assert!(points.clone().reach("oven").now_or_never().is_none());
    assert_eq!(handle.count(), 1);
}

#[tokio::test]
async fn released_point_lets_everyone_go() {
    let points = PausePoints::armed();
    let handle = points.arm("oven");
    let waiting = async {
        tokio::join!(points.reach("oven"), points.reach("oven"));
    };
    let releasing = async {
        handle.hit(2).await;
        handle.release();
    };
    timeout(PATIENCE, async { tokio::join!(waiting, releasing) }).await.expect("all went on");
    assert!(points.reach("oven").now_or_never().is_some());
    assert_eq!(handle.count(), 2);
}

#[test]
fn dropped_handle_releases() {
    let points = PausePoints::armed();
    drop(points.arm("oven"));
    assert!(points.reach("oven").now_or_never().is_some());
}

#[test]
fn point_can_be_armed_again() {
    let points = PausePoints::armed();
    points.arm("oven").release();
    let handle = points.arm("oven");
    assert!(points.reach("oven").now_or_never().is_none());
    assert_eq!(handle.count(), 1);
}
