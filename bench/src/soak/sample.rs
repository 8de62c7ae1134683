//! One look at the shop, over its metrics: what any operator sees. And what the customers saw since
//! the look before.

use std::{fmt, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::customers::Window;
use crate::failure::{Failure, failed};

const READ_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    after: Duration,
    /// Resident, in bytes.
    pub(super) memory: f64,
    /// Alive, on all runtimes.
    pub(super) tasks: f64,
    files: f64,
    cpu_seconds: f64,
    window: Window,
}

impl Sample {
    /// The names of what [`fmt::Display`] writes.
    pub(super) const HEAD: &str =
        "seconds,resident_bytes,tasks,open_files,cpu_seconds,calls,failed,p50_ms,p99_ms";

    /// Asks the shop's metrics at `address`.
    pub(super) async fn take(
        address: &str,
        after: Duration,
        window: Window,
    ) -> Result<Self, Failure> {
        let asking = tokio::time::timeout(READ_WITHIN, read(address)).await;
        let text = asking.map_err(failed("the metrics"))?.map_err(failed("the metrics"))?;
        Ok(Self {
            after,
            memory: value(&text, "process_resident_memory_bytes")?,
            tasks: value(&text, "tokio_alive_tasks")?,
            files: value(&text, "process_open_fds")?,
            cpu_seconds: value(&text, "process_cpu_seconds_total")?,
            window,
        })
    }

    /// When it was taken.
    pub(super) fn hours(&self) -> f64 {
        self.after.as_secs_f64() / 3_600.0
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, memory, tasks, files, cpu_seconds, window } = self;
        let Window { calls, failed, p50_ms, p99_ms } = window;
        let seconds = after.as_secs();
        write!(f, "{seconds},{memory},{tasks},{files},{cpu_seconds},")?;
        write!(f, "{calls},{failed},{p50_ms:.2},{p99_ms:.2}")
    }
}

async fn read(address: &str) -> std::io::Result<String> {
    let mut io = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The value of a metric without labels.
fn value(text: &str, name: &str) -> Result<f64, Failure> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.and_then(|value| value.split(' ').next()?.parse().ok());
    value.ok_or_else(|| Failure(format!("the metrics have no {name}")))
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# TYPE a gauge\na_b 1.0\na 2.5\nb{l=\"x\"} 3\n";
        assert_eq!(value(text, "a").unwrap(), 2.5);
        assert_eq!(value(text, "a_b").unwrap(), 1.0);
        assert!(value(text, "b").is_err());
        assert!(value(text, "c").is_err());
    }
}
