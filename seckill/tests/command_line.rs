//! The program as its user meets it: started as a process, judged by what it prints and by its exit
//! code. What the services promise is tested elsewhere.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Far longer than anything here takes on two busy cores; who waits so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(60);

const COMMANDS: [&str; 11] = [
    "dev",
    "rehearse",
    "audit",
    "migrate",
    "check-config",
    "operator-token",
    "keys",
    "gateway",
    "inventory",
    "order",
    "user",
];

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn seckill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seckill"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(args: &[&str]) -> Said {
    let output = timeout(PATIENCE, seckill(args).output()).await.expect("it ends").unwrap();
    Said {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `seckill dev`.
struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    first_line: String,
}

impl Dev {
    /// Returns once it listens.
    async fn start(args: &[&str]) -> Self {
        let mut command = seckill(&[
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--operators",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
        ]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first_line = timeout(PATIENCE, lines.next_line()).await.expect("it says something");
        let first_line = first_line.unwrap().expect("it has not ended");
        Self { child, lines, first_line }
    }

    /// Reads on until a line contains `text`.
    async fn until(&mut self, text: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return line;
                }
            }
            panic!("it ended without saying {text:?}");
        };
        timeout(PATIENCE, found).await.expect("it says so in time")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it runs").try_into().expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("it runs");
        rustix::process::kill_process(pid, signal).unwrap();
    }

    async fn ends(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap().code()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn version_and_help_are_answers() {
    let version = run(&["--version"]).await;
    assert_eq!(
        (version.code, version.out.as_str()),
        (0, concat!("seckill ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    let help = run(&["--help"]).await;
    assert_eq!(help.code, 0);
    for command in COMMANDS {
        assert!(help.out.contains(command), "{}", help.out);
    }
}

#[tokio::test]
async fn wrong_usage_exits_64_with_a_sentence() {
    let dir = TempDir::new().unwrap();
    let nothing_there = path(dir.path());
    for args in [
        &["rehearse"] as &[&str],
        &["audit", "--data", nothing_there],
        &["audit", "--inventory", "ftp://x", "--order", "http://127.0.0.1:1"],
        &["dev", "--log-filter", "gateway=loud"],
        &["dev", "--listen", "nowhere"],
        &["sell"],
    ] {
        let said = run(args).await;
        assert_eq!(said.code, 64, "{args:?}: {}", said.err);
        assert!(!said.err.is_empty() && said.out.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn services_that_are_not_there_exit_69() {
    let nobody = "http://127.0.0.1:9";
    let said = run(&["audit", "--inventory", nobody, "--order", nobody]).await;
    assert_eq!(said.code, 69, "{}", said.err);
    assert!(said.err.contains(nobody), "{}", said.err);
}

#[tokio::test]
async fn a_good_configuration_is_ok_and_a_bad_key_is_named() {
    let dir = TempDir::new().unwrap();
    let bad = dir.path().join("bad.toml");
    fs::write(&bad, "no_such_knob = 1\n").unwrap();
    for role in ["gateway", "inventory-svc", "order-svc", "user-svc"] {
        let said = run(&["check-config", "--role", role, "--config", path(&bad)]).await;
        assert_eq!(said.code, 64, "{role}: {}", said.out);
        assert!(said.err.contains("no_such_knob"), "{role}: {}", said.err);
        assert_eq!(said.err.trim().lines().count(), 1, "{role}: {}", said.err);
    }
    let said = run(&["check-config", "--role", "order-svc"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "ok\n"), "{}", said.err);
}

#[tokio::test]
async fn an_operators_token_has_the_rights_that_are_named() {
    let dir = TempDir::new().unwrap();
    assert_eq!(run(&["keys", "--dir", path(dir.path())]).await.code, 0);
    let key = dir.path().join("signing.pem");
    let issue = async |rights: &[&str]| {
        let args = [&["operator-token", "--name", "ada", "--key", path(&key)], rights].concat();
        run(&args).await
    };
    let scope = |said: Said| {
        let claims = said.out.split('.').nth(1).expect("a JWT").to_owned();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        claims["scope"].as_str().expect("a text").to_owned()
    };
    assert_eq!(scope(issue(&[]).await), "READ RUN_SALES MAKE_OPERATORS");
    assert_eq!(scope(issue(&["--rights", "run-sales,read"]).await), "READ RUN_SALES");
    let wrong = issue(&["--rights", "root"]).await;
    assert_eq!(wrong.code, 64);
    assert!(wrong.err.contains("make-operators"), "{}", wrong.err);
    for lifetime in ["59", "2592001"] {
        let wrong = issue(&["--lifetime-s", lifetime]).await;
        assert_eq!((wrong.code, wrong.out.as_str()), (64, ""), "{}", wrong.err);
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let dir = TempDir::new().unwrap();
    for (service, text) in [
        ("user-svc", "accounts_url = \"sqlite:DIR/user.db\"\n"),
        ("inventory-svc", "catalog_url = \"sqlite:DIR/inventory.db\"\n"),
        ("order-svc", "[books]\nurl = \"sqlite:DIR/order.db\"\n"),
    ] {
        let text = text.replace("DIR", path(dir.path()));
        fs::write(dir.path().join(format!("{service}.toml")), text).unwrap();
    }
    for _ in 0..2 {
        let said = run(&["migrate", "--config-dir", path(dir.path())]).await;
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(said.out.lines().count(), 3, "{}", said.out);
    }
    assert!(dir.path().join("order.db").exists());
}

#[tokio::test]
async fn a_shop_sells_out_under_a_rehearsal_and_passes_the_audit() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let report = dir.path().join("report.json");
    let mut dev = Dev::start(&["--data", path(&data)]).await;
    assert!(dev.first_line.contains("127.0.0.1:"), "{}", dev.first_line);
    dev.until("What this does not prove").await;

    let (data_text, report_text) = (path(&data), path(&report));
    let rehearsed = run(&[
        "rehearse",
        "--data",
        data_text,
        "--units",
        "20",
        "--shoppers",
        "200",
        "--json",
        report_text,
    ])
    .await;
    assert_eq!(rehearsed.code, 0, "{}{}", rehearsed.out, rehearsed.err);
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    for (key, value) in [("sold", 20), ("accepted", 20), ("oversold", 0), ("leaked_units", 0)] {
        assert_eq!(report[key], value, "{key}: {report}");
    }
    assert_eq!(report["refused"]["SOLD_OUT"], 180, "{report}");
    assert_eq!(report["audit_ok"], true);

    let audited = run(&["audit", "--data", data_text, "--settle-within-s", "30"]).await;
    assert_eq!(audited.code, 0, "{}{}", audited.out, audited.err);

    let key = data.join("signing.pem");
    let token = run(&["operator-token", "--key", path(&key), "--name", "ada"]).await;
    assert_eq!(token.code, 0, "{}", token.err);
    assert_eq!(token.out.trim().split('.').count(), 3, "a JWT and nothing else");
    let file = dir.path().join("ada.token");
    fs::write(&file, &token.out).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open_to_all =
        run(&["rehearse", "--data", data_text, "--operator-token-file", path(&file)]).await;
    assert_eq!(open_to_all.code, 64, "{}", open_to_all.err);
    assert!(open_to_all.err.contains("it has mode 0644"), "{}", open_to_all.err);

    dev.signal(Signal::TERM);
    assert_eq!(dev.ends().await, Some(0));
    assert!(!data.join("addresses.json").exists(), "nobody is there any more");
    assert!(data.join("signing.pem").exists(), "keys stay");
}

#[tokio::test]
async fn a_shop_on_the_same_data_opens_again_with_its_sales() {
    let dir = TempDir::new().unwrap();
    let mut sales = Vec::new();
    for _ in 0..2 {
        let mut dev = Dev::start(&["--data", path(dir.path())]).await;
        sales.push(dev.until("  sale ").await);
        dev.until("What this does not prove").await;
        let audited = run(&["audit", "--data", path(dir.path()), "--settle-within-s", "30"]).await;
        assert_eq!(audited.code, 0, "{}{}", audited.out, audited.err);
        dev.signal(Signal::INT);
        assert_eq!(dev.ends().await, Some(0));
    }
    assert_eq!(sales[0], sales[1], "the demo sale of the day is the same one");
}

#[tokio::test]
async fn a_shop_without_a_directory_leaves_nothing_behind() {
    let mut dev = Dev::start(&[]).await;
    let line = dev.until("  data ").await;
    let dir = Path::new(line.split_whitespace().nth(1).unwrap());
    assert!(dir.join("addresses.json").exists(), "{line}");
    dev.signal(Signal::INT);
    assert_eq!(dev.ends().await, Some(0));
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_port_that_is_taken_exits_64() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = run(&[
        "dev",
        "--listen",
        &address,
        "--operators",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ])
    .await;
    assert_eq!(said.code, 64, "{}", said.err);
    assert!(said.err.contains(&address), "{}", said.err);
}
