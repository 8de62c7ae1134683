//! One process of a test: started, frozen, killed, started again, and never left behind.
//!
//! It promises that the process ends when its owner is dropped, and also when the test itself is
//! killed: a watchdog, a shell that only waits for this process to be gone, kills it then. It knows
//! nothing of what runs in it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::patience::until;

/// A program with its arguments, and perhaps one process of it.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    /// What it says goes here, and into the failure if it doesn't get ready.
    log: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts nothing yet.
    pub fn new(
        program: PathBuf,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        log: PathBuf,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program, arguments, environment: Vec::new(), log, running: None }
    }

    /// From its next start on this variable is in its environment.
    pub fn set_env(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
    }

    /// Starts it and awaits `is_ready`, which is asked again and again and has to end by itself.
    ///
    /// # Panics
    /// With the end of the log, if it runs already, ends, or isn't ready after `patience`.
    pub async fn start(&mut self, patience: Duration, mut is_ready: impl AsyncFnMut() -> bool) {
        assert!(self.running.is_none(), "{} runs already", self.program.display());
        self.running = Some(self.spawn());
        let ready = until(patience, async || {
            if self.has_ended() {
                return Some(false);
            }
            is_ready().await.then_some(true)
        });
        let said = match ready.await {
            Some(true) => return,
            Some(false) => "has ended before it was ready".to_owned(),
            None => format!("isn't ready after {patience:?}"),
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        panic!("{} {said}; its log ends:\n{end}", self.program.display());
    }

    fn spawn(&self) -> Running {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("the log is in the test's own directory");
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle of a file can be doubled"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {}: {error}", self.program.display()));
        // Only this process holds the other end of the pipe, so `read` ends when it does. What ends
        // the test may be sent to its whole group, and mustn't end the watchdog before its work.
        let watch = "trap '' HUP INT TERM; read -r _; kill -KILL \"$1\"";
        let watchdog = Command::new("sh")
            .args(["-c", watch, "sh", &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .expect("every system has sh");
        Running { child, watchdog }
    }

    /// Whether there is no process, or one that ended by itself.
    fn has_ended(&mut self) -> bool {
        match &mut self.running {
            Some(running) => !matches!(running.child.try_wait(), Ok(None)),
            None => true,
        }
    }

    /// Ends it at once (SIGKILL), also while it is frozen. Returns when it is gone. Nothing happens
    /// if it doesn't run.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            running.bury();
        }
    }

    /// Asks it to end (SIGTERM); see [`Self::ends`].
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn ask_to_end(&self) {
        self.send(Signal::TERM);
    }

    /// Asks it to end (SIGTERM), and returns when it has.
    ///
    /// # Panics
    /// If it doesn't run, or hasn't ended after `patience`.
    pub async fn stop(&mut self, patience: Duration) {
        self.ask_to_end();
        self.ends(patience).await;
    }

    /// Returns when it has ended by itself, or since it was asked to.
    ///
    /// # Panics
    /// If it doesn't run, or still does after `patience`.
    pub async fn ends(&mut self, patience: Duration) {
        assert!(self.is_running(), "{} isn't running", self.program.display());
        let ended = until(patience, async || self.has_ended().then_some(()));
        assert!(ended.await.is_some(), "{} still runs", self.program.display());
        if let Some(running) = self.running.take() {
            running.bury();
        }
    }

    /// Freezes it (SIGSTOP). When this returns, no thread of it runs.
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn pause(&self) {
        let pid = self.send(Signal::STOP);
        // Without NOWAIT the next pause would wait for news that this one has consumed.
        let frozen = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), frozen).expect("it is a child of this process");
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn resume(&self) {
        self.send(Signal::CONT);
    }

    /// Begins to look for [`Self::resident_bytes_max`] anew.
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn forget_resident_bytes_max(&self) {
        // What Linux calls resetting the "high water mark"; nothing else is reset by it.
        fs::write(self.of_system("clear_refs"), "5").expect("it is a child of this process");
    }

    /// The most memory that was resident at a time, since it began or since
    /// [`Self::forget_resident_bytes_max`].
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn resident_bytes_max(&self) -> u64 {
        let status = fs::read_to_string(self.of_system("status")).expect("as above");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("Linux tells it in KiB") * 1024
    }

    fn of_system(&self, file: &str) -> PathBuf {
        let running = self.running.as_ref();
        let running = running.unwrap_or_else(|| panic!("{} isn't running", self.program.display()));
        Path::new("/proc").join(running.child.id().to_string()).join(file)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn send(&self, signal: Signal) -> Pid {
        let running = self.running.as_ref();
        let running = running.unwrap_or_else(|| panic!("{} isn't running", self.program.display()));
        // A child that nobody has waited for keeps its id, dead or alive.
        let pid = Pid::from_child(&running.child);
        kill_process(pid, signal).expect("it is a child of this process");
        pid
    }
}

impl Running {
    /// Waits for the process, which is about to end. The watchdog goes first: once the process has
    /// been waited for, its id may be somebody else's.
    fn bury(mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests;
