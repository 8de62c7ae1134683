//! No process is left behind, and one that doesn't start says why.

use std::path::Path;

use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str, dir: &TempDir) -> Process {
    Process::new("/bin/sh".into(), ["-c", script], dir.path().join("log"))
}

/// A process that runs until it is ended, and its place in /proc.
async fn sleeper(dir: &TempDir) -> (Process, PathBuf) {
    let mut process = shell("exec sleep 1000", dir);
    process.start(PATIENCE, async || true).await;
    let id = process.running.as_ref().unwrap().child.id();
    (process, Path::new("/proc").join(id.to_string()))
}

#[tokio::test]
async fn it_ends_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let (process, place) = sleeper(&dir).await;
    assert!(place.exists());
    drop(process);
    assert!(!place.exists());
}

#[tokio::test]
async fn it_ends_with_the_test_however_that_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, _) = sleeper(&dir).await;
    let watchdog = process.running.as_mut().unwrap().watchdog.stdin.take();
    assert!(!process.has_ended());
    // The system closes it when this process is gone.
    drop(watchdog);
    let ended = until(PATIENCE, async || process.has_ended().then_some(()));
    assert!(ended.await.is_some());
}

#[tokio::test]
async fn a_frozen_one_can_be_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, place) = sleeper(&dir).await;
    process.pause();
    process.kill();
    assert!(!place.exists());
}

#[tokio::test]
#[should_panic(expected = "has ended before it was ready; its log ends:\nno such port")]
async fn one_that_cannot_start_shows_its_log() {
    let dir = tempfile::tempdir().unwrap();
    shell("echo no such port >&2; exit 1", &dir).start(PATIENCE, async || false).await;
}

#[tokio::test]
#[should_panic(expected = "isn't ready after 50ms")]
async fn one_that_is_never_ready_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = shell("exec sleep 1000", &dir);
    process.start(Duration::from_millis(50), async || false).await;
}
