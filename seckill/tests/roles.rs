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
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
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
    for (role, text, code, why) in [
        ("gateway", "no_such_knob = 1\n", 64, "no_such_knob"),
        ("gateway", &keys, 69, "brokers"),
        ("inventory", "", 69, "memory"),
        ("order", "", 69, "brokers"),
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

/// What a probe hears at the operators' port.
async fn probe(port: u16, path: &str) -> Option<String> {
    let mut io = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test]
async fn a_role_whose_stores_are_not_there_waits_for_them_alive_and_not_ready() {
    let dir = TempDir::new().unwrap();
    make_keys(&dir.path().join("keys")).await;
    let port = testbed::Port::claim();
    let nobody = "[journal]\nbrokers = \"127.0.0.1:9\"\nquery_timeout_ms = 100\n";
    for (role, text) in [
        ("order", "[books]\nurl = \"mysql://nobody@127.0.0.1:9/books\"\n".to_owned()),
        (
            "gateway",
            format!(
                "[tickets]\nkey_file = \"{0}/keys/ticket.key\"\norder_id_key_file = \
                 \"{0}/keys/order-id.key\"\n",
                dir.path().display()
            ),
        ),
    ] {
        let config = dir.path().join("role.toml");
        let seen = format!("[telemetry]\nlisten = \"127.0.0.1:{}\"\n", port.number());
        fs::write(&config, format!("{text}{nobody}{seen}")).unwrap();
        let mut command = seckill(&[role, "--config", path(&config)]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

        let unready = async {
            loop {
                let answer = probe(port.number(), "/readyz").await;
                if let Some(answer) = answer {
                    break answer;
                }
                tokio::task::yield_now().await;
            }
        };
        let unready = timeout(PATIENCE, unready).await.expect("it answers");
        assert!(unready.starts_with("HTTP/1.1 503"), "{role}: {unready}");
        let alive = probe(port.number(), "/livez").await.expect("it answers still");
        assert!(alive.starts_with("HTTP/1.1 200"), "{role}: {alive}");

        let pid = child.id().unwrap().try_into().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
        let said = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        assert_eq!(said.status.code(), Some(0), "{role}");
        let log = String::from_utf8(said.stderr).unwrap();
        assert!(log.matches("isn't there yet").count() <= 1, "{role}: {log}");
    }
}
