//! A role as a process of the real binary: started, killed, frozen, started again at its address.

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf, process::Output, time::Duration};

use chassis::Clock;
use testbed::Process;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};
use tonic::transport::Channel;

use super::PATIENCE;

/// Where a role is and how it is configured.
pub(crate) struct RoleConfig {
    /// The command of the binary that runs it.
    pub(super) name: &'static str,
    pub(super) addr: SocketAddr,
    /// Where its metrics are, if anybody looks at them.
    pub(super) seen: Option<SocketAddr>,
    pub(super) file: PathBuf,
}

/// See the module.
pub(crate) struct Role {
    config: RoleConfig,
    process: Process,
}

impl Role {
    pub(super) fn new(config: RoleConfig) -> Self {
        let log = log_of(&config);
        let file = super::settings::path(&config.file);
        let arguments = [config.name, "--cores", "1", "--config", file].map(OsString::from);
        Self { process: Process::new(binary(), arguments.to_vec(), log), config }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.config.name
    }

    /// The file of what it has said since its first start.
    pub(crate) fn log(&self) -> PathBuf {
        log_of(&self.config)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.config.addr)
    }

    /// A connection of its own, made when it is first used, and again when lost.
    pub(crate) fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url()).expect("a good URL");
        endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true).connect_lazy()
    }

    /// Starts it, the first time or after it died; returns when it takes connections.
    pub(crate) async fn start(&mut self) {
        let addr = self.config.addr;
        let listens = async || TcpStream::connect(addr).await.is_ok();
        self.process.start(PATIENCE, listens).await;
    }

    /// Whether `/readyz` says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        self.look("/readyz").await.starts_with("HTTP/1.1 200")
    }

    /// A number of its metrics: that of the line which begins like this.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let all = self.look("/metrics").await;
        let value = all.lines().find_map(|said| said.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {line} in {all}"))
    }

    /// The answer of its operators' port, as it came.
    async fn look(&self, path: &str) -> String {
        let seen = self.config.seen.expect("somebody looks at it");
        look(seen, path).await.expect("it answers")
    }

    /// `kill -9`: nothing is drained, flushed or tidied up.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and the drain that follows.
    pub(crate) async fn stop(&mut self) {
        self.process.stop(PATIENCE).await;
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&self) {
        self.process.pause();
    }

    /// From its next start on its calendar is so much ahead of the machine's, or behind if it is
    /// below 0; its monotonic clock is not.
    pub(crate) async fn set_calendar(&mut self, ahead_s: i64) {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/shop/ahead.c");
        let library = self.config.file.with_extension("so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).args([library.as_os_str(), source.as_ref()]);
        let made = compiler.arg("-ldl").status().await.expect("there is a C compiler");
        assert!(made.success(), "{source} can't be compiled");

        let mut date = Command::new("date");
        date.arg("+%s").env("LD_PRELOAD", &library).env("AHEAD_S", ahead_s.to_string());
        let shows = date.output().await.expect("every system has date").stdout;
        let shows = String::from_utf8_lossy(&shows).trim().parse::<i64>().expect("seconds");
        let now_s = i64::try_from(Clock::system().wall_ms() / 1_000).expect("not that late");
        assert!((shows - now_s - ahead_s).abs() <= 5, "a calendar isn't {ahead_s} s off: {shows}");

        self.process.set_env("LD_PRELOAD", library);
        self.process.set_env("AHEAD_S", ahead_s.to_string());
    }

    /// SIGCONT.
    pub(crate) fn wake(&self) {
        self.process.resume();
    }
}

fn log_of(config: &RoleConfig) -> PathBuf {
    config.file.with_extension("log")
}

/// The answer of an operators' port, head and body, as it came.
pub(crate) async fn look(at: SocketAddr, path: &str) -> io::Result<String> {
    let ask = async {
        let mut connection = TcpStream::connect(at).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.map(|_| answer)
    };
    tokio::time::timeout(PATIENCE, ask).await?
}

/// The program under test.
pub(crate) fn binary() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to enter through")]
    let path = std::env::var_os("SECKILL_BINARY");
    path.expect("SECKILL_BINARY names the program, see scripts/test").into()
}

/// Runs a command of the program to its end, and answers with what it printed.
pub(super) async fn run(arguments: &[&str]) -> String {
    let output = output(arguments).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seckill {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// The same for one that may fail: its exit code, and all that it said.
pub(crate) async fn outcome(arguments: &[&str]) -> (Option<i32>, String) {
    let output = output(arguments).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("it says text"))
}

async fn output(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    let running = command.args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await;
    output.expect("it ends").expect("the program can be started")
}
