//! A MariaDB of a test's own: killed and frozen.
//!
//! It promises the port and the directory over every restart, and that a commit which was answered
//! is there after a kill: it syncs its log as the shared one does. It doesn't know what is in it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sqlx::{Connection, MySqlConnection};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::port::Port;
use crate::process::Process;
use crate::running::installed;

/// How long it may take to start or stop. It needs 1 s, and 2 s after a kill; 60 s are for a busy
/// machine with a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server without databases, where root needs no password. Dropped, it is killed and its
/// directory goes.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    port: Port,
    _dir: TempDir,
}

impl MariaDb {
    /// Starts an empty one.
    ///
    /// # Panics
    /// If it isn't ready within 60 s, or `make stores` hasn't run.
    pub async fn start() -> Self {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// As [`MariaDb::start`], with its data on the disk of that directory.
    ///
    /// # Panics
    /// The same.
    pub async fn start_in(place: &Path) -> Self {
        let dir = tempfile::tempdir_in(place).expect("the directory can be written");
        let port = Port::claim();
        let data = dir.path().join("data");
        copy(&installed("SECKILL_TEST_MARIADB_TEMPLATE"), &data);
        let arguments = vec![
            // First, or it isn't understood.
            "--no-defaults".to_owned(),
            format!("--user={}", rustix::process::getuid().as_raw()),
            format!("--datadir={}", data.display()),
            format!("--port={}", port.number),
            "--bind-address=127.0.0.1".to_owned(),
            "--socket=socket".to_owned(),
            "--pid-file=mariadbd.pid".to_owned(),
            "--character-set-server=utf8mb4".to_owned(),
            "--innodb-buffer-pool-size=32M".to_owned(),
            // As the template has it; another size would be made anew at each start.
            "--innodb-log-file-size=16M".to_owned(),
        ];
        let process = Process::new(
            installed("SECKILL_TEST_MARIADBD"),
            arguments,
            dir.path().join("mariadb.log"),
        );
        let mut mariadb = Self { process, port, _dir: dir };
        mariadb.start_again().await;
        mariadb
    }

    /// `mysql://root@127.0.0.1:PORT`, the same over restarts: a server for
    /// [`crate::Database::create`].
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port.number)
    }

    /// Ends it at once, as `kill -9` does: open transactions are rolled back when it starts again.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in order (SIGTERM).
    ///
    /// # Panics
    /// If it doesn't run, or hasn't ended after 60 s.
    pub async fn stop(&mut self) {
        self.process.stop(PATIENCE).await;
    }

    /// Starts it on the same port and directory, and returns when it has recovered.
    ///
    /// # Panics
    /// If it runs, or isn't ready within 60 s.
    pub async fn start_again(&mut self) {
        let url = self.url();
        self.process.start(PATIENCE, async || answers(&url).await).await;
    }

    /// Freezes it (SIGSTOP): connections stay open, nothing answers.
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// If it doesn't run.
    pub fn resume(&self) {
        self.process.resume();
    }
}

async fn answers(url: &str) -> bool {
    let asking = async { MySqlConnection::connect(url).await?.ping().await };
    matches!(timeout(Duration::from_secs(2), asking).await, Ok(Ok(())))
}

/// A whole directory, which the standard library can't copy.
fn copy(from: &Path, to: &Path) {
    let copied =
        Command::new("cp").args(["--recursive", "--reflink=auto"]).args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "can't copy {}", from.display());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;

    async fn tell(url: &str, statement: &'static str) -> Result<u64, sqlx::Error> {
        let mut connection = MySqlConnection::connect(url).await?;
        Ok(sqlx::query(statement).execute(&mut connection).await?.rows_affected())
    }

    #[tokio::test]
    async fn a_killed_one_comes_back_with_what_it_had_committed() {
        let mut mariadb = MariaDb::start().await;
        let database = Database::create(&mariadb.url()).await;
        tell(database.url(), "CREATE TABLE t (id INT)").await.unwrap();
        tell(database.url(), "INSERT INTO t VALUES (1), (2)").await.unwrap();
        let mut open = MySqlConnection::connect(database.url()).await.unwrap();
        let mut open = open.begin().await.unwrap();
        sqlx::query("INSERT INTO t VALUES (3)").execute(&mut *open).await.unwrap();

        mariadb.kill();
        assert!(tell(database.url(), "DELETE FROM t").await.is_err());
        mariadb.start_again().await;
        assert_eq!(tell(database.url(), "DELETE FROM t").await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_frozen_one_answers_later() {
        let mut mariadb = MariaDb::start().await;
        mariadb.pause();
        assert!(!answers(&mariadb.url()).await);
        mariadb.resume();
        assert!(answers(&mariadb.url()).await);
        mariadb.stop().await;
        assert!(!answers(&mariadb.url()).await);
    }
}
