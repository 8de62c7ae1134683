//! A Redis of a test's own: killed, frozen, emptied, cut short, restored, failed over.
//!
//! It promises the port and the directory over every restart, so that whoever is connected to it
//! meets the same address with whatever the damage has left. It doesn't know what is in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::patience::until;
use crate::port::Port;
use crate::process::Process;
use crate::running::installed;

/// How long it may take to start, stop or follow. It needs 0.1 s; 10 s are for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server with an append-only file synced every second, without eviction. Dropped, it is killed
/// and its directory goes.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: Port,
    dir: TempDir,
}

/// Everything that a Redis held at one moment. See [`Redis::dump`].
#[derive(Debug, Clone)]
pub struct Dump(Vec<u8>);

impl Redis {
    /// Starts an empty one.
    ///
    /// # Panics
    /// If it isn't ready within 10 s, or `make stores` hasn't run.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts an empty one with further arguments for redis-server, which override ours:
    /// `&["--appendonly", "no"]`, `&["--maxmemory", "32mb"]`.
    ///
    /// # Panics
    /// As [`Redis::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        Self::start_at(&std::env::temp_dir(), arguments).await
    }

    /// Starts an empty one with its data and log in a directory of `place`.
    ///
    /// # Panics
    /// As [`Redis::start`].
    pub async fn start_in(place: &Path) -> Self {
        Self::start_at(place, &[]).await
    }

    async fn start_at(place: &Path, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir_in(place).expect("the directory can be written");
        let port = Port::claim();
        let (number, data) = (port.number.to_string(), dir.path().display().to_string());
        let ours = [
            ["--port", &number],
            ["--dir", &data],
            ["--bind", "127.0.0.1"],
            ["--save", ""],
            ["--appendonly", "yes"],
            ["--appendfsync", "everysec"],
            ["--maxmemory-policy", "noeviction"],
            ["--enable-debug-command", "yes"],
            // A full copy without a disk in between waits 5 s for more replicas by default.
            ["--repl-diskless-sync-delay", "0"],
        ];
        let all = ours.as_flattened().iter().chain(arguments);
        let process =
            Process::new(installed("SECKILL_TEST_REDIS_SERVER"), all, dir.path().join("redis.log"));
        let mut redis = Self { process, port, dir };
        redis.start_again().await;
        redis
    }

    /// `redis://127.0.0.1:PORT`, the same over restarts.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.number)
    }

    /// The same over restarts.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Where its data and its log are, the same over restarts.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it at once, as `kill -9` does. The system still has what it wrote, so this alone loses
    /// nothing, unless the disk is slow: then Redis holds back what it would write, for up to 2 s.
    /// See [`Redis::cut_aof_tail`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in order (SIGTERM): the append-only file is complete.
    ///
    /// # Panics
    /// If it doesn't run, or hasn't ended after 10 s.
    pub async fn stop(&mut self) {
        self.process.stop(PATIENCE).await;
    }

    /// Starts it on the same port and directory, and returns when it has loaded its data. It is a
    /// master, whatever it was before.
    ///
    /// # Panics
    /// If it runs, or isn't ready within 10 s.
    pub async fn start_again(&mut self) {
        let url = self.url();
        self.process
            .start(PATIENCE, async || match connect(&url).await {
                // While it loads, the answer to PING is an error.
                Ok(mut answering) => {
                    redis::cmd("PING").query_async::<String>(&mut answering).await.is_ok()
                }
                Err(_) => false,
            })
            .await;
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

    /// Takes away all data, functions too, while it isn't running.
    ///
    /// # Panics
    /// If it runs.
    pub fn clear_data(&mut self) {
        self.assert_down();
        for left in [self.aof_dir(), self.dir().join("dump.rdb")] {
            let _ = fs::remove_dir_all(&left).or_else(|_| fs::remove_file(&left));
            assert!(!left.exists(), "{} can be removed", left.display());
        }
    }

    /// Cuts `bytes` off the end of the append-only file while it isn't running, as a loss of power
    /// would. A command that is cut in the middle is lost whole. Returns how many bytes are left:
    /// with 0, only what the file's base holds is. After [`Redis::stop`] the file ends with the
    /// last command; after [`Redis::kill`] it may already lack some, if the disk was slow.
    ///
    /// # Panics
    /// If it runs, or the file is shorter.
    pub fn cut_aof_tail(&mut self, bytes: u64) -> u64 {
        self.assert_down();
        let manifest = self.aof_dir().join("appendonly.aof.manifest");
        let manifest = fs::read_to_string(manifest).expect("it runs with an append-only file");
        // Lines are "file NAME seq NUMBER type KIND"; i is the increment that grows.
        let name = manifest
            .lines()
            .filter(|line| line.ends_with("type i"))
            .filter_map(|line| line.split(' ').nth(1))
            .next_back()
            .expect("a server that has run has opened an increment");
        let file = File::options().write(true).open(self.aof_dir().join(name));
        let file = file.expect("the manifest names a file that is there");
        let len = file.metadata().expect("an open file has a length").len();
        let left = len.checked_sub(bytes);
        let left = left.unwrap_or_else(|| panic!("{name} has {len} bytes, not {bytes}"));
        file.set_len(left).expect("an own file can be cut");
        left
    }

    /// Everything that it holds now, functions too.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn dump(&self) -> Dump {
        self.ask(&["SAVE"]).await;
        let dump = self.dir().join("dump.rdb");
        Dump(fs::read(dump).expect("SAVE returns when the dump is there"))
    }

    /// Puts `dump` in the place of all data, while it isn't running.
    ///
    /// # Panics
    /// If it runs.
    pub fn restore_dump(&mut self, dump: &Dump) {
        self.clear_data();
        // With an append-only file Redis reads no dump.rdb, so the dump becomes the file's base.
        let base = "appendonly.aof.1.base.rdb";
        let aof_dir = self.aof_dir();
        let manifest = format!("file {base} seq 1 type b\n");
        fs::create_dir_all(&aof_dir)
            .and_then(|()| fs::write(aof_dir.join(base), &dump.0))
            .and_then(|()| fs::write(aof_dir.join("appendonly.aof.manifest"), manifest))
            .and_then(|()| fs::write(self.dir().join("dump.rdb"), &dump.0))
            .expect("the test's own directory can be written");
    }

    /// Makes it follow `master`, and returns when it has all that `master` had. A master's
    /// replication id changes with its first replica.
    ///
    /// # Panics
    /// If it hasn't caught up within 10 s.
    pub async fn replica_of(&self, master: &Self) {
        self.ask(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]).await;
        // The replica sees its link before its master counts it, and one that wants replicas
        // refuses writes until then.
        let counted = format!("port={},state=online", self.port());
        let linked = until(PATIENCE, async || {
            let seen_here = self.ask(&["INFO", "replication"]).await;
            let seen_there = master.ask(&["INFO", "replication"]).await;
            (seen_here.contains("master_link_status:up") && seen_there.contains(&counted))
                .then_some(())
        });
        assert!(linked.await.is_some(), "the replica has not reached its master");
    }

    /// Makes it a master with what it has; who was its master isn't told.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn promote(&self) {
        self.ask(&["REPLICAOF", "NO", "ONE"]).await;
    }

    /// How many fields all hashes have together whose keys match `pattern`, as KEYS takes it.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn count_fields(&self, pattern: &str) -> u64 {
        let mut connection = connect(&self.url()).await.expect("the test's own Redis answers");
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(pattern)
            .query_async(&mut connection)
            .await
            .expect("the test's own Redis obeys");
        let mut fields = 0;
        for key in keys {
            let len: u64 = redis::cmd("HLEN")
                .arg(key)
                .query_async(&mut connection)
                .await
                .expect("the keys are hashes");
            fields += len;
        }
        fields
    }

    /// Runs a script, to do damage that no service would do.
    ///
    /// # Panics
    /// If it doesn't answer, or the script fails.
    pub async fn eval(&self, script: &str) {
        let mut connection = connect(&self.url()).await.expect("the test's own Redis answers");
        let done = redis::cmd("EVAL").arg(script).arg(0).exec_async(&mut connection).await;
        done.unwrap_or_else(|error| panic!("{script}: {error}"));
    }

    async fn ask(&self, command: &[&str]) -> String {
        let mut connection = connect(&self.url()).await.expect("the test's own Redis answers");
        let mut packed = redis::cmd(command[0]);
        packed.arg(&command[1..]);
        packed.query_async(&mut connection).await.expect("the test's own Redis obeys")
    }

    fn aof_dir(&self) -> PathBuf {
        self.dir().join("appendonlydir")
    }

    fn assert_down(&self) {
        assert!(!self.process.is_running(), "kill or stop it first");
    }
}

/// A connection whose answers have a deadline.
async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(5)));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

#[cfg(test)]
mod tests;
