//! A process that is measured: started with a log of its own, awaited, asked for the CPU time and
//! the memory that it takes, and ended with this value. It is not known here what it does.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chassis::Clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Failure, failed};

/// What a role says when it can be called.
const LISTENS: &str = "listens on ";
const START_WITHIN: Duration = Duration::from_secs(60);
const END_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of the times in `/proc`: what Linux shows to programs on every machine.
const TICK: Duration = Duration::from_millis(10);

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` and waits until it says that it listens. Answers also where.
    pub(crate) async fn start(
        program: &Path,
        arguments: &[String],
        environment: &[(&str, String)],
        log: PathBuf,
    ) -> Result<(Self, String), Failure> {
        let problem = |what: &str| format!("{what} {}", log.display());
        let out = File::create(&log).map_err(failed(problem("can't write")))?;
        let also = out.try_clone().map_err(failed(problem("can't write")))?;
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(also)
            .spawn()
            .map_err(failed(format!("can't start {}", program.display())))?;
        let mut process = Self { child, log };
        let address = process.said_after(LISTENS).await?;
        Ok((process, address))
    }

    /// Waits for a line with `beginning` in it, and answers what follows in that line.
    pub(crate) async fn said_after(&mut self, beginning: &str) -> Result<String, Failure> {
        let clock = Clock::system();
        let give_up = clock.now() + START_WITHIN;
        while clock.now() < give_up {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            let line = said.lines().find_map(|line| line.split_once(beginning));
            if let Some((_, rest)) = line.filter(|_| said.ends_with('\n')) {
                return Ok(rest.trim().to_owned());
            }
            if self.has_ended() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Failure(format!("a process did not come up, see {}", self.log.display())))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let clock = Clock::system();
        let give_up = clock.now() + END_WITHIN;
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(failed("can't end a process"))?;
        }
        while !self.has_ended() {
            if clock.now() > give_up {
                let log = self.log.display();
                return Err(Failure(format!(
                    "a process did not end when it was asked to, see {log}"
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// CPU time that it has taken so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            // Whoever stopped it in order isn't here; nothing of ours may be left running.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Duration {
    cpu_of("self")
}

fn cpu_of(process: &str) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program stands in brackets and may hold anything; user and system time are
    // the 14th and 15th field.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}
