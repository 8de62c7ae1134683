//! Runtimes start, run what they are given, and end from wherever they are told to.

use std::thread;

use tokio::sync::oneshot;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// Tells the name of the thread that runs a task of `handle`.
fn thread_of(cores: &Cores, handle: &Handle) -> String {
    let (tell, told) = oneshot::channel();
    handle.spawn(async move {
        tokio::task::yield_now().await;
        let _ = tell.send(thread::current().name().map(str::to_owned));
    });
    let name = cores.background().block_on(async { tokio::time::timeout(PATIENCE, told).await });
    name.expect("in time").expect("told").expect("the thread has a name")
}

#[test]
fn each_core_runs_its_tasks_on_its_own_thread() {
    let cores = Cores::start(2).expect("two cores");
    let names: Vec<String> =
        cores.serving().iter().map(|handle| thread_of(&cores, handle)).collect();
    assert_eq!(names, ["core-0", "core-1"]);
    assert_eq!(thread_of(&cores, cores.background()), "background");
    assert!(cores.shutdown(PATIENCE));
}

#[test]
fn there_is_always_one_core() {
    let cores = Cores::start(0).expect("a core");
    assert_eq!(cores.serving().len(), 1);
}

#[test]
fn shutdown_drops_tasks_and_can_be_repeated() {
    let cores = Cores::start(2).expect("two cores");
    let (kept, dropped) = oneshot::channel::<()>();
    cores.serving()[1].spawn(async move {
        std::future::pending::<()>().await;
        drop(kept);
    });
    assert!(cores.shutdown(PATIENCE));
    assert!(cores.shutdown(PATIENCE));
    assert!(dropped.blocking_recv().is_err(), "the task is gone, and its end of the channel");
}

#[test]
fn shutdown_gives_up_on_a_core_that_is_stuck() {
    let cores = Cores::start(1).expect("a core");
    let (release, held) = mpsc::channel::<()>();
    let (tell, begun) = mpsc::channel();
    cores.serving()[0].spawn(async move {
        tell.send(()).expect("the test waits");
        let _ = held.recv();
    });
    begun.recv_timeout(PATIENCE).expect("it is stuck now");
    assert!(!cores.shutdown(Duration::from_millis(50)));
    drop(release);
}

#[tokio::test]
async fn dropping_in_async_code_does_not_panic() {
    drop(Cores::start(2).expect("two cores"));
    let cores = Cores::start(2).expect("two cores");
    assert!(cores.shutdown(PATIENCE));
}

#[test]
fn heavy_work_steps_back_and_nothing_else_does() {
    let cores = Cores::start(1).unwrap();
    let priority = || rustix::process::getpriority_process(None).unwrap();
    let ours = priority();
    let of = |runtime: &Handle| {
        runtime.block_on(async { tokio::task::spawn_blocking(priority).await.unwrap() })
    };
    assert_eq!(of(cores.heavy()), 19);
    assert_eq!(of(cores.background()), ours);
    let (told, hears) = mpsc::channel();
    cores.serving()[0].spawn(async move { told.send(priority()).unwrap() });
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Ok(ours));
}
