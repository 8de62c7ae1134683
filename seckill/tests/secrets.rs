//! One rule for every file that holds a secret, whichever role reads it: `check-config` and the
//! start say the same sentence of the same file.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// Far longer than anything here takes on two busy cores; who waits so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody listens there: a role that gets as far as its stores ends.
const NOBODY: &str = "127.0.0.1:9";

/// A kind of secret: the role that reads it, how `check-config` names that, and its configuration,
/// in which FILE is the secret and DIR has good keys.
struct Kind {
    name: &'static str,
    role: &'static str,
    package: &'static str,
    config: &'static str,
    secret: fn(&Path) -> Vec<u8>,
}

const TICKETS: &str = "[tickets]\nkey_file = \"DIR/ticket.key\"\norder_id_key_file = \
                       \"DIR/order-id.key\"\n";

fn kinds() -> Vec<Kind> {
    [keys_that_sign(), passwords()].into_iter().flatten().collect()
}

fn keys_that_sign() -> Vec<Kind> {
    vec![
        Kind {
            name: "signing.pem",
            role: "user",
            package: "user-svc",
            config: "signing_key_file = \"FILE\"\naccounts_url = \"mysql://a@NOBODY/a\"\n",
            secret: |keys| fs::read(keys.join("signing.pem")).unwrap(),
        },
        Kind {
            name: "ticket.key",
            role: "gateway",
            package: "gateway",
            config: "[tickets]\nkey_file = \"FILE\"\norder_id_key_file = \"DIR/order-id.key\"\n",
            secret: |_| "t".repeat(32).into_bytes(),
        },
        Kind {
            name: "the ticket key of before",
            role: "gateway",
            package: "gateway",
            config: "[tickets]\nprevious_key_file = \"FILE\"\nkey_file = \"DIR/ticket.key\"\n\
                     order_id_key_file = \"DIR/order-id.key\"\n",
            secret: |_| "p".repeat(32).into_bytes(),
        },
        Kind {
            name: "order-id.key",
            role: "gateway",
            package: "gateway",
            config: "[tickets]\nkey_file = \"DIR/ticket.key\"\norder_id_key_file = \"FILE\"\n",
            secret: |_| "o".repeat(32).into_bytes(),
        },
    ]
}

fn passwords() -> Vec<Kind> {
    let password: fn(&Path) -> Vec<u8> = |_| b"sour dough\n".to_vec();
    vec![
        Kind {
            name: "the accounts' password",
            role: "user",
            package: "user-svc",
            config: "signing_key_file = \"DIR/signing.pem\"\n\
                     accounts_url = \"mysql://a@NOBODY/a\"\n[pool]\npassword_file = \"FILE\"\n",
            secret: password,
        },
        Kind {
            name: "the catalog's password",
            role: "inventory",
            package: "inventory-svc",
            config: "catalog_url = \"mysql://a@NOBODY/a\"\n[pool]\npassword_file = \"FILE\"\n",
            secret: password,
        },
        Kind {
            name: "the ledger's password",
            role: "inventory",
            package: "inventory-svc",
            config: "ledger_url = \"redis://NOBODY\"\n[ledger]\npassword_file = \"FILE\"\n",
            secret: password,
        },
        Kind {
            name: "the sentinels' password",
            role: "inventory",
            package: "inventory-svc",
            config: "ledger_url = \"redis+sentinel://NOBODY/m\"\n[ledger]\n\
                     sentinel_password_file = \"FILE\"\n",
            secret: password,
        },
        Kind {
            name: "the books' password",
            role: "order",
            package: "order-svc",
            config: "[books]\nurl = \"mysql://a@NOBODY/a\"\n[books.pool]\n\
                     password_file = \"FILE\"\n",
            secret: password,
        },
        Kind {
            name: "the journal's password",
            role: "order",
            package: "order-svc",
            config: "[journal]\nbrokers = \"NOBODY\"\nquery_timeout_ms = 100\n[journal.sasl]\n\
                     mechanism = \"scram-sha-256\"\nusername = \"a\"\npassword_file = \"FILE\"\n",
            secret: password,
        },
    ]
}

struct Said {
    code: Option<i32>,
    err: String,
}

async fn seckill(args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seckill"));
    let output = command.args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
    Said { code: output.status.code(), err: String::from_utf8(output.stderr).unwrap() }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn config(dir: &Path, kind: &Kind, file: &Path) -> PathBuf {
    let path = dir.join("role.toml");
    let config = kind.config.replace("FILE", text(file)).replace("NOBODY", NOBODY);
    let apart = "[telemetry]\nlisten = \"\"\n";
    let config = config.replace("DIR", text(&dir.join("keys")));
    fs::write(&path, format!("listen = \"127.0.0.1:0\"\n{config}{apart}")).unwrap();
    path
}

async fn keys(dir: &Path) {
    let made = seckill(&["keys", "--dir", text(&dir.join("keys"))]).await;
    assert_eq!(made.code, Some(0), "{}", made.err);
}

#[tokio::test]
async fn every_secret_that_others_can_read_is_refused_by_check_and_start_alike() {
    let dir = TempDir::new().unwrap();
    keys(dir.path()).await;
    let file = dir.path().join("secret");
    for kind in kinds() {
        let name = kind.name;
        fs::write(&file, (kind.secret)(&dir.path().join("keys"))).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let config = config(dir.path(), &kind, &file);
        let check = ["check-config", "--role", kind.package, "--config", text(&config)];
        let checked = seckill(&check).await;
        let says = format!("the secret file {} can't be used: it has mode 0644: ", file.display());
        assert_eq!(checked.code, Some(64), "{name}: {}", checked.err);
        assert!(checked.err.contains(&says), "{name}: {}", checked.err);
        assert_eq!(checked.err.trim().lines().count(), 1, "{name}: {}", checked.err);
        let started = seckill(&[kind.role, "--config", text(&config), "--log-filter", "off"]).await;
        assert_eq!((started.code, &started.err), (Some(64), &checked.err), "{name}");

        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let checked = seckill(&check).await;
        assert_eq!(checked.code, Some(0), "{name}: {}", checked.err);
    }
}

/// `..data` is a link to a directory of this version, and each name a link through it; the files
/// are root's and the pod's group's.
#[tokio::test]
async fn every_secret_is_taken_as_kubernetes_mounts_it() {
    let dir = TempDir::new().unwrap();
    keys(dir.path()).await;
    let volume = dir.path().join("volume");
    let version = volume.join("..2026_01_01");
    fs::create_dir_all(&version).unwrap();
    symlink("..2026_01_01", volume.join("..data")).unwrap();
    symlink("..data/secret", volume.join("secret")).unwrap();
    let (target, file) = (version.join("secret"), volume.join("secret"));
    let is_root = geteuid().is_root();
    if !is_root {
        #[expect(clippy::print_stderr, reason = "what isn't tested is told")]
        {
            eprintln!("SKIPPED: files of root and a group, which root alone can make");
        }
    }
    for kind in kinds() {
        let name = kind.name;
        fs::write(&target, (kind.secret)(&dir.path().join("keys"))).unwrap();
        let config = config(dir.path(), &kind, &file);
        let modes: &[_] = if is_root { &[(0o400, 0), (0o440, 2_000)] } else { &[(0o400, 0)] };
        for &(mode, group) in modes {
            if is_root {
                chown(&target, Some(0), Some(group)).unwrap();
            }
            fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
            let checked =
                seckill(&["check-config", "--role", kind.package, "--config", text(&config)]).await;
            assert_eq!(checked.code, Some(0), "{name}, {mode:04o}: {}", checked.err);
        }
        fs::remove_file(&target).unwrap();
    }
}

/// The start gets past its secrets, to stores that aren't there.
#[tokio::test]
async fn with_good_secrets_a_role_comes_as_far_as_its_stores() {
    let dir = TempDir::new().unwrap();
    keys(dir.path()).await;
    let config = dir.path().join("role.toml");
    let tickets = TICKETS.replace("DIR", text(&dir.path().join("keys")));
    let apart = "[telemetry]\nlisten = \"\"\n";
    fs::write(&config, format!("{tickets}{apart}")).unwrap();
    for name in ["ticket.key", "order-id.key"] {
        let mode = if geteuid().is_root() { 0o440 } else { 0o400 };
        let file = dir.path().join("keys").join(name);
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    }
    let started = seckill(&["gateway", "--config", text(&config), "--log-filter", "off"]).await;
    assert_eq!(started.code, Some(69), "{}", started.err);
    assert!(started.err.contains("brokers"), "{}", started.err);
}
