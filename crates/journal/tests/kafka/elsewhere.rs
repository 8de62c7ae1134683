//! This same program as another process, which a test may freeze and kill.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use testbed::Process;

use super::*;

/// In the environment of the other process: the brokers and the topic that it is about.
const ABOUT: &str = "JOURNAL_TEST_ABOUT";

/// Another process. Dropped, it is killed.
pub(crate) struct Elsewhere {
    process: Process,
    log: PathBuf,
    _dir: TempDir,
}

impl Elsewhere {
    /// Runs one test of this program, which plays its part there if it asks [`place`], and returns
    /// when it says `ready`.
    pub(crate) async fn start(part: &str, place: &Place, ready: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("elsewhere.log");
        let Settings { brokers, topic, .. } = &place.settings;
        let this = std::env::current_exe().unwrap();
        let arguments = [
            format!("{ABOUT}={brokers} {topic}"),
            this.display().to_string(),
            part.to_owned(),
            "--exact".to_owned(),
            "--nocapture".to_owned(),
        ];
        let process = Process::new("/usr/bin/env".into(), arguments, log.clone());
        let mut elsewhere = Self { process, log: log.clone(), _dir: dir };
        let is_ready = async || fs::read_to_string(&log).is_ok_and(|said| said.contains(ready));
        elsewhere.process.start(PATIENCE, is_ready).await;
        elsewhere
    }

    /// Everything that it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Freezes it.
    pub(crate) fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.process.resume();
    }
}

/// What this process is about, if [`Elsewhere`] started it. The topic stays whoever's it is.
pub(crate) fn place() -> Option<Place> {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its other process what to do")]
    let about = std::env::var(ABOUT).ok()?;
    let (brokers, topic) = about.split_once(' ').unwrap();
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    Some(Place { settings: Settings { brokers, topic, ..settings() }, is_ours: false })
}

/// Tells whoever started this process.
#[expect(clippy::print_stdout, reason = "it is read by the process that started this one")]
pub(crate) fn say(what: &str) {
    println!("{what}");
}
