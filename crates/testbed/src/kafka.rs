//! A Kafka of a test's own: killed, frozen, cut short.
//!
//! It promises the port and the directory over every restart, so that clients find it again. One
//! process is broker and controller. It doesn't know what the topics mean.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::port::Port;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::running::{installed, java};

/// How long it may take to start or stop. It needs 2 s on an idle machine; 60 s are for a busy one.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker without topics, which makes none by itself. Dropped, it is killed and its directory
/// goes.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    port: Port,
    _controller: Port,
    dir: TempDir,
}

impl Kafka {
    /// Starts an empty one, with a cluster id of its own.
    ///
    /// # Panics
    /// If it isn't ready within 60 s, or `make stores` hasn't run.
    pub async fn start() -> Self {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// The same, with its data and log in a directory of `place`.
    ///
    /// # Panics
    /// As [`Kafka::start`].
    pub async fn start_in(place: &Path) -> Self {
        let port = Port::claim();
        let brokers = format!("127.0.0.1:{}", port.number);
        Self::start_as(port, &brokers, place).await
    }

    /// As [`Kafka::start`], and it names `proxy` as its address, so that all its clients come
    /// through there: they go where a broker says that it is, whatever address they began with.
    /// The proxy is pointed to it.
    ///
    /// # Panics
    /// As [`Kafka::start`].
    pub async fn start_behind(proxy: &Proxy) -> Self {
        let kafka = Self::start_as(Port::claim(), &proxy.addr(), &std::env::temp_dir()).await;
        proxy.point_to(&kafka.brokers());
        kafka
    }

    async fn start_as(port: Port, advertised: &str, place: &Path) -> Self {
        let dir = tempfile::tempdir_in(place).expect("the directory can be written");
        let controller = Port::claim();
        let settings = dir.path().join("server.properties");
        let text = settings_text(port.number, advertised, controller.number, dir.path());
        fs::write(&settings, text).expect("the test's own directory can be written");
        format_storage(&settings);
        let mut arguments = java_arguments();
        arguments.extend(["kafka.Kafka".to_owned(), settings.display().to_string()]);
        let log = dir.path().join("kafka.log");
        let process = Process::new(java(), arguments, log);
        let mut kafka = Self { process, port, _controller: controller, dir };
        kafka.start_again().await;
        kafka
    }

    /// `127.0.0.1:PORT`, the same over restarts.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    /// Ends it at once, as `kill -9` does. The system still has what it wrote, so this alone loses
    /// nothing: see [`Kafka::cut_tail`]. It starts again in about 7 s then, instead of 2.
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

    /// Returns when it has ended by itself, as it does when it can't write its log.
    ///
    /// # Panics
    /// If it doesn't run, or still does after 60 s.
    pub async fn ends(&mut self) {
        self.process.ends(PATIENCE).await;
    }

    /// Starts it on the same port and directory, and returns when it has recovered its logs and
    /// names itself as a broker.
    ///
    /// # Panics
    /// If it runs, or isn't ready within 60 s.
    pub async fn start_again(&mut self) {
        let brokers = self.brokers();
        let ready = async || {
            let count = timeout(Duration::from_secs(2), count_brokers(&brokers)).await;
            matches!(count, Ok(Ok(1..)))
        };
        self.process.start(PATIENCE, ready).await;
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

    /// Forgets what stands before `offset` in a partition, as it does with what has expired.
    ///
    /// # Panics
    /// If it doesn't do so within 60 s.
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let brokers = self.brokers();
        let deleting = timeout(PATIENCE, delete_records(&brokers, topic, partition, offset));
        match deleting.await {
            Ok(Ok(0)) => {}
            other => panic!("can't forget what stands before {offset} in {topic}: {other:?}"),
        }
    }

    /// Cuts `bytes` off the end of a partition's newest segment while it isn't running, as a loss
    /// of power would. A batch that is cut in the middle is lost whole, though it was acknowledged.
    /// Returns how many bytes are left.
    ///
    /// # Panics
    /// If it runs, the segment is shorter, or there is no such partition.
    pub fn cut_tail(&mut self, topic: &str, partition: i32, bytes: u64) -> u64 {
        assert!(!self.process.is_running(), "kill or stop it first");
        let data = self.dir.path().join("data");
        let log = data.join(format!("{topic}-{partition}"));
        // Segments are named by their first offset, with leading zeros.
        let segment = files(&log, "log").into_iter().max().expect("a partition has a segment");
        let file = File::options().write(true).open(&segment).expect("an own file can be opened");
        let len = file.metadata().expect("an open file has a length").len();
        let left = len.checked_sub(bytes);
        let left = left.unwrap_or_else(|| panic!("the segment has {len} bytes, not {bytes}"));
        file.set_len(left).expect("an own file can be cut");
        // What else it knows of the log would contradict it. It makes all of that again from the
        // log, if it doesn't believe that it was shut down cleanly and had flushed everything.
        for derived in ["index", "timeindex", "txnindex", "snapshot"] {
            for file in files(&log, derived) {
                fs::remove_file(file).expect("an own file can be removed");
            }
        }
        for note in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] {
            let _ = fs::remove_file(data.join(note));
        }
        left
    }
}

/// As `scripts/stores.d/kafka.sh` has them. The session is shorter than the default of 9 s, since a
/// broker that was killed isn't let in again before its old one is over; and long enough for a busy
/// machine, since a broker whose session lapses leads no partition until its next heartbeat.
fn settings_text(port: u16, advertised: &str, controller: u16, dir: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{advertised}
controller.listener.names=CONTROLLER
log.dirs={dir}/data
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
",
        dir = dir.display()
    )
}

/// The memory, the logger, the classes; and a JVM that starts quickly rather than runs fast.
fn java_arguments() -> Vec<String> {
    let classes = format!("{}/*", installed("SECKILL_TEST_KAFKA_LIBS").display());
    let level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
    ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", level, "-cp", &classes]
        .map(str::to_owned)
        .into()
}

fn format_storage(settings: &Path) {
    // 16 bytes in base64 without padding, of which the last character holds four bits of zeros.
    let cluster_id = format!("{:.21}A", Uuid::new_v4().simple().to_string());
    let formatted = Command::new(java())
        .args(java_arguments())
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", &cluster_id, "--config"])
        .arg(settings)
        .stdin(Stdio::null())
        .output()
        .expect("make stores has found java");
    let said = String::from_utf8_lossy(&formatted.stderr);
    assert!(formatted.status.success(), "Kafka can't format its storage: {said}");
}

/// How many brokers are in the answer to a request for metadata (request 3, version 0, of no
/// topic). It listens before it is one.
async fn count_brokers(addr: &str) -> std::io::Result<u32> {
    let mut connection = TcpStream::connect(addr).await?;
    // Length, request, version, correlation id, no client's name, no topics.
    connection.write_all(b"\0\0\0\x0e\0\x03\0\0\0\0\0\x01\xff\xff\0\0\0\0").await?;
    let (_len, _correlation) = (connection.read_u32().await?, connection.read_u32().await?);
    connection.read_u32().await
}

/// Deletes records (request 21, version 0) and returns the error code; 0 is none.
async fn delete_records(
    addr: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) -> std::io::Result<i16> {
    // Request, version, correlation id, no client's name; one topic with one partition.
    let mut request = b"\0\x15\0\0\0\0\0\x01\xff\xff\0\0\0\x01".to_vec();
    let name_len = i16::try_from(topic.len()).expect("no topic's name is that long");
    request.extend(name_len.to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(partition.to_be_bytes());
    request.extend(offset.to_be_bytes());
    let patience_ms = i32::try_from(PATIENCE.as_millis()).expect("it is a minute");
    request.extend(patience_ms.to_be_bytes());
    let mut connection = TcpStream::connect(addr).await?;
    let request_len = u32::try_from(request.len()).expect("it is that short");
    connection.write_u32(request_len).await?;
    connection.write_all(&request).await?;
    // Length, correlation id, throttling, one topic with its name and one partition, its number and
    // its first offset; then what we ask for.
    let answer_len = connection.read_u32().await?;
    let mut answer = vec![0; usize::try_from(answer_len).unwrap_or(0)];
    connection.read_exact(&mut answer).await?;
    let code = answer.last_chunk::<2>().copied().unwrap_or([0xff; 2]);
    Ok(i16::from_be_bytes(code))
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("can't read {}: {error}", dir.display()))
        .map(|entry| entry.expect("an own directory can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

#[cfg(test)]
mod tests;
