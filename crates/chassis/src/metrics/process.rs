//! What any process can say of itself: memory, files, processor time, tasks, age, version. The
//! names are those that Prometheus's own clients use, so that dashboards fit.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

use super::Metrics;
use crate::{clock::Clock, cores::Cores};

impl Metrics {
    /// Registers what the process and its runtimes can say of themselves; `version` is that of the
    /// program. Linux's `/proc` is read whenever somebody reads the metrics.
    pub fn of_process(&self, cores: &Cores, version: &'static str) {
        let start = self.gauge("process_start_time_seconds", "When the process began, Unix time");
        start.set(seconds(Duration::from_millis(Clock::system().wall_ms())));
        let build = self.gauges("build_info", "Always 1; the label says what runs", ["version"]);
        build.with([version]).set(1.0);

        let memory = self.gauge("process_resident_memory_bytes", "Memory in use that is resident");
        let files = self.gauge("process_open_fds", "Open files and connections");
        let busy: Counter<f64, AtomicU64> = self.registered(
            "process_cpu_seconds",
            "Processor time that was used",
            Counter::default,
        );
        let tasks = self.gauge("tokio_alive_tasks", "Tasks that have not ended, on all runtimes");
        let mut runtimes = cores.serving().to_vec();
        runtimes.push(cores.background().clone());
        self.before_reading(move || {
            memory.set(resident_bytes().unwrap_or(f64::NAN));
            files.set(open_files().unwrap_or(f64::NAN));
            // The system counts; what it has counted is taken over.
            busy.inner().store(processor_seconds().to_bits(), Ordering::Relaxed);
            tasks.set(count(runtimes.iter().map(alive_tasks).sum()));
        });
    }
}

fn alive_tasks(runtime: &Handle) -> usize {
    runtime.metrics().num_alive_tasks()
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn open_files() -> Option<f64> {
    // The directory itself is open while it is counted.
    Some(count(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1)))
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // A process's own time is never negative.
    let whole = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds(Duration::new(whole, u32::try_from(time.tv_nsec).unwrap_or(0)))
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 files or tasks")]
fn count(number: usize) -> f64 {
    number as f64
}
