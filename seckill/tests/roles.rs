//! Roles and keys as an operator meets them: processes, their exit codes, and what they print.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

/// Far longer than anything here takes on two busy cores; who waits so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(60);

fn seckill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seckill"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(args: &[&str]) -> Output {
    timeout(PATIENCE, seckill(args).output()).await.expect("it ends").unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn make_keys(dir: &Path) {
    let made = run(&["keys", "--dir", path(dir)]).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn keys_are_for_their_owner_only_and_stay_what_they_are() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("keys");
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let names = ["signing.pem", "ticket.key", "order-id.key"];
    make_keys(&dir).await;
    let first = names.map(read);
    for name in names {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    make_keys(&dir).await;
    assert!(first == names.map(read), "a second run has changed a key");
    assert_ne!(first[1], first[2]);
}

#[tokio::test]
async fn a_role_listens_where_it_says_and_drains_on_a_signal() {
    let dir = TempDir::new().unwrap();
    make_keys(&dir.path().join("keys")).await;
    let config = dir.path().join("user-svc.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\naccounts_url = \"sqlite:{0}/user.db\"\n\
         signing_key_file = \"{0}/keys/signing.pem\"\nmigrate_on_start = true\n\
         [telemetry]\nlisten = \"127.0.0.1:0\"\n",
        dir.path().display(),
    );
    fs::write(&config, text).unwrap();

    let mut command = seckill(&["user", "--config", path(&config)]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = timeout(PATIENCE, lines.next_line()).await.expect("it says something").unwrap();
    let said = said.expect("it has not ended");
    let address = said.strip_prefix("seckill user listens on ").unwrap_or_else(|| panic!("{said}"));
    tokio::net::TcpStream::connect(address).await.expect("it is there");

    let pid = child.id().unwrap().try_into().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let ended = timeout(PATIENCE, child.wait()).await.expect("it ends in time").unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_role_that_can_not_start_says_why_in_one_sentence() {
    let dir = TempDir::new().unwrap();
    make_keys(&dir.path().join("keys")).await;
    let keys = format!(
        "[tickets]\nkey_file = \"{0}/keys/ticket.key\"\norder_id_key_file = \
         \"{0}/keys/order-id.key\"\n",
        dir.path().display()
    );
    let nobody = "[journal]\nbrokers = \"127.0.0.1:9\"\nquery_timeout_ms = 500\n";
    for (role, text, code, why) in [
        ("gateway", "no_such_knob = 1\n", 64, "no_such_knob"),
        ("gateway", &keys, 69, "brokers"),
        ("gateway", &format!("{keys}{nobody}"), 69, "127.0.0.1:9"),
        ("inventory", "", 69, "memory"),
        ("order", nobody, 69, "127.0.0.1:9"),
        ("user", "", 64, "signing_key_file"),
    ] {
        let config = dir.path().join("role.toml");
        let apart = "[telemetry]\nlisten = \"\"\n";
        fs::write(&config, format!("{text}{apart}")).unwrap();
        let filter = ["--log-filter", "off"];
        let said = run(&[&[role, "--config", path(&config)] as &[&str], &filter].concat()).await;
        let error = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(code), "{role} with {text}: {error}");
        assert!(error.contains(why), "{role} with {text}: {error}");
        assert_eq!(error.trim().lines().count(), 1, "{role} with {text}: {error}");
    }
}
