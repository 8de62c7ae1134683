//! The programs by which people call the shop, just as they are: a machine-readable promise is
//! worth what a foreign machine makes of it. `scripts/client-tools` installs them; what needs one
//! that can't be had here is left out, and `scripts/test` says so at its end.

mod buf;
mod ghz;
mod grpcurl;
mod nginx;
mod openapi;
mod promtool;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;
use testbed::running::client_tool;
use tokio::process::Command;

use crate::{
    house::{PATIENCE, eventually},
    shop::Dev,
};

/// One of the programs.
struct Tool {
    program: PathBuf,
}

impl Tool {
    /// `None` where it couldn't be installed.
    fn find(name: &str) -> Option<Self> {
        client_tool(name).map(|dir| Self { program: dir.join(name) })
    }

    /// Runs it to its end.
    async fn run(&self, arguments: &[&str]) -> Said {
        run(Path::new("."), &self.program, arguments).await
    }
}

/// Runs a program in that directory to its end.
async fn run(
    place: &Path,
    program: impl AsRef<OsStr>,
    arguments: &[impl AsRef<OsStr> + std::fmt::Debug],
) -> Said {
    let mut command = Command::new(program);
    let output = command.current_dir(place).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    let Output { status, stdout, stderr } = output
        .unwrap_or_else(|_| panic!("{arguments:?} hasn't ended after {PATIENCE:?}"))
        .expect("the program can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    Said { ended_well: status.success(), answer: text(stdout), complaint: text(stderr) }
}

/// What a program has printed.
#[derive(Debug)]
struct Said {
    ended_well: bool,
    answer: String,
    complaint: String,
}

impl Said {
    /// The answer, if it was one.
    #[track_caller]
    fn well(self) -> String {
        assert!(self.ended_well, "{self:?}");
        self.answer
    }

    /// The first message of the answer.
    #[track_caller]
    fn message(self) -> Value {
        let answer = self.well();
        let mut messages = serde_json::Deserializer::from_str(&answer).into_iter();
        messages.next().expect("a message").expect("JSON")
    }

    /// What it complains of.
    #[track_caller]
    fn refusal(self) -> String {
        assert!(!self.ended_well, "{self:?}");
        self.answer + &self.complaint
    }
}

/// The shop that a newcomer starts, with the sale that it makes by itself.
struct Newcomer {
    dev: Dev,
    _dir: TempDir,
}

impl Newcomer {
    async fn open() -> Self {
        let dir = tempfile::tempdir().expect("the temporary directory can be written");
        let mut dev = Dev::new(&dir.path().join("data"), dir.path().join("log"), &[]);
        dev.start().await;
        eventually("it tells what there is to see", PATIENCE, async || {
            dev.log().contains("What this does not prove").then_some(())
        })
        .await;
        Self { dev, _dir: dir }
    }

    fn public(&self) -> String {
        self.dev.public().to_string()
    }

    fn operators(&self) -> String {
        self.dev.operators().to_string()
    }
}
