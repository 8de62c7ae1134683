//! Where the shared stores are, and the programs of which a test starts its own.
//!
//! `scripts/stores` writes it into `.stores/env` at the root of the workspace, and
//! `scripts/client-tools` into `.client-tools/env`; a variable of the same name in the environment
//! comes first. Nothing is guessed: what isn't named isn't there.

use std::fs;
use std::path::{Path, PathBuf};

const STORES: &str = ".stores/env";
const CLIENT_TOOLS: &str = ".client-tools/env";

/// `redis://127.0.0.1:PORT`.
///
/// # Panics
/// If `make stores` hasn't run.
pub fn redis() -> String {
    required("SECKILL_TEST_REDIS")
}

/// `mysql://root@127.0.0.1:PORT`, without a database: see [`crate::Database`].
///
/// # Panics
/// If `make stores` hasn't run.
pub fn mariadb() -> String {
    required("SECKILL_TEST_MARIADB")
}

/// As [`mariadb`], of a MySQL 9; `None` where none could be installed. It is the one store that may
/// be missing.
pub fn mysql() -> Option<String> {
    find("SECKILL_TEST_MYSQL")
}

/// `127.0.0.1:PORT`. Topics have to be made: it makes none by itself.
///
/// # Panics
/// If `make stores` hasn't run.
pub fn kafka() -> String {
    required("SECKILL_TEST_KAFKA")
}

/// The program `redis-server`, for what isn't a [`crate::Redis`]: a sentinel.
///
/// # Panics
/// If `make stores` hasn't run.
pub fn redis_server() -> PathBuf {
    installed("SECKILL_TEST_REDIS_SERVER")
}

/// The directory of a program by which people call the shop, such as `grpcurl`; `None` where it
/// couldn't be installed.
///
/// # Panics
/// If `scripts/client-tools` hasn't run.
pub fn client_tool(name: &str) -> Option<PathBuf> {
    let variable = format!("SECKILL_TEST_{}", name.to_uppercase().replace('-', "_"));
    let path = set(CLIENT_TOOLS, &variable);
    let path = path.unwrap_or_else(|| panic!("run `scripts/client-tools` first: no {variable}"));
    (!path.is_empty()).then(|| path.into())
}

/// The program `java`, which runs Kafka and may run other things.
///
/// # Panics
/// If `make stores` hasn't run.
pub fn java() -> PathBuf {
    installed("SECKILL_TEST_JAVA")
}

/// A program or directory that `make stores` has installed.
pub(crate) fn installed(name: &str) -> PathBuf {
    required(name).into()
}

fn required(name: &str) -> String {
    find(name)
        .unwrap_or_else(|| panic!("run `make stores` first: {name} is neither set nor in {STORES}"))
}

fn find(name: &str) -> Option<String> {
    set(STORES, name).filter(|value| !value.is_empty())
}

/// What the environment says, or this file of the workspace.
fn set(file: &str, name: &str) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to enter through")]
    let set = std::env::var(name).ok();
    set.or_else(|| value(&fs::read_to_string(file).ok()?, name))
}

/// The value of `name` among lines of `NAME=value` or `NAME='value'`.
fn value(lines: &str, name: &str) -> Option<String> {
    let value = lines.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    Some(bare.unwrap_or(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_a_shell_would() {
        let lines = "# stores\nA=redis://127.0.0.1:1\nAB='/a dir/x'\nEMPTY=\n";
        assert_eq!(value(lines, "A").as_deref(), Some("redis://127.0.0.1:1"));
        assert_eq!(value(lines, "AB").as_deref(), Some("/a dir/x"));
        assert_eq!(value(lines, "EMPTY").as_deref(), Some(""));
        assert_eq!(value(lines, "B"), None);
    }

    #[test]
    #[should_panic(expected = "run `make stores` first")]
    fn a_missing_store_says_what_to_do() {
        required("SECKILL_TEST_NOBODY_HAS_THIS");
    }
}
