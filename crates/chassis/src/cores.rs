//! The runtimes of the process: one serving core a thread, a small one for everything else, and
//! threads for heavy work that step back for both.
//!
//! Serving cores are current-thread runtimes that share nothing (measured 1.7x against work
//! stealing); jobs, consumers and SQL run on [`Cores::background`], so that they never stand in
//! the way of a request. Stopping never blocks longer than it was told to, not even in async code.

use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::clock::boot_time;

/// Two suffice: what runs in the background waits for stores most of the time.
const BACKGROUND_WORKERS: usize = 2;

/// The lowest priority of a thread: it gets what nobody else wants, some hundredths of a busy core.
const NICEST: i32 = 19;

/// Owns the runtimes. Dropping it ends them soon, without waiting for that.
#[derive(Debug)]
pub struct Cores {
    serving: Vec<Handle>,
    background: Handle,
    heavy: Handle,
    stop: CancellationToken,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    background: Runtime,
    heavy: Runtime,
    /// Disconnected once every serving thread has dropped its runtime.
    serving_ended: mpsc::Receiver<()>,
}

impl Cores {
    /// Starts `count` serving cores (at least one) and the background runtime.
    ///
    /// # Errors
    /// If the system refuses a thread or a reactor.
    pub fn start(count: usize) -> io::Result<Self> {
        let background = Builder::new_multi_thread()
            .worker_threads(BACKGROUND_WORKERS)
            .thread_name("background")
            .enable_all()
            .build()?;
        // Nobody drives it: its blocking threads are all that is used of it.
        let heavy = Builder::new_current_thread()
            .thread_name("heavy")
            .on_thread_start(step_back)
            .build()?;
        let stop = CancellationToken::new();
        // Should a later core fail to start, those before it end with the guard.
        let guard = stop.clone().drop_guard();
        let (ended, serving_ended) = mpsc::channel();
        let serving = (0..count.max(1))
            .map(|core| start_serving(core, stop.clone(), ended.clone()))
            .collect::<io::Result<Vec<_>>>()?;
        let stop = guard.disarm();
        let (handle, heavy_handle) = (background.handle().clone(), heavy.handle().clone());
        let running = Mutex::new(Some(Running { background, heavy, serving_ended }));
        Ok(Self { serving, background: handle, heavy: heavy_handle, stop, running })
    }

    /// The serving cores, in a fixed order.
    pub fn serving(&self) -> &[Handle] {
        &self.serving
    }

    /// The runtime for jobs, consumers and SQL.
    pub fn background(&self) -> &Handle {
        &self.background
    }

    /// Where heavy work is to be spawned as blocking, and nothing else: its threads have the lowest
    /// priority, so that whoever is served doesn't notice them. How many there may be at once is
    /// the caller's to bound.
    pub fn heavy(&self) -> &Handle {
        &self.heavy
    }

    /// Ends all runtimes: every task is dropped at its next await. Blocks the calling thread until
    /// all have ended, at most `within`; returns whether they have. May be called from async code
    /// (of another runtime). The second call returns `true` at once.
    pub fn shutdown(&self, within: Duration) -> bool {
        let Some(running) = self.end() else {
            return true;
        };
        let until = boot_time() + within;
        let (done, background_ended) = mpsc::channel::<()>();
        // tokio panics if async code waits for a runtime to end, so a thread of its own does. It
        // ends by itself, with the time-out at the latest.
        let reaper = thread::Builder::new().name("reaper".into()).spawn(move || {
            running.heavy.shutdown_background();
            running.background.shutdown_timeout(within);
            drop(done);
        });
        if reaper.is_err() {
            return false;
        }
        [running.serving_ended, background_ended].iter().all(|ended| {
            let left = until.saturating_sub(boot_time());
            ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected)
        })
    }

    fn end(&self) -> Option<Running> {
        self.stop.cancel();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        if let Some(running) = self.end() {
            running.background.shutdown_background();
            running.heavy.shutdown_background();
        }
    }
}

/// Of the calling thread alone: on Linux, priorities are each thread's own.
fn step_back() {
    // Who can't has threads like any other.
    let _ = rustix::process::setpriority_process(None, NICEST);
}

fn start_serving(
    core: usize,
    stop: CancellationToken,
    ended: mpsc::Sender<()>,
) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("core-{core}")).spawn(move || {
        runtime.block_on(stop.cancelled());
        drop(runtime);
        drop(ended);
    })?;
    Ok(handle)
}

#[cfg(test)]
mod tests;
