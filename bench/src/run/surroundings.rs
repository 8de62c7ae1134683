//! What the figures belong to: the machine, the program, and the stores, each by what it says of
//! itself. What can't be found out is left out.

use std::{fs, thread::available_parallelism};

use sqlx::{Connection as _, MySqlConnection};

use crate::shop::Stores;

/// One sentence.
pub(super) async fn of(stores: &Stores) -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    let mut parts = vec![format!("{cores} cores, which the load generator shares")];
    parts.extend(field("/proc/cpuinfo", "model name"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
    // What a distribution adds to the version says nothing of speed.
    let version = |kernel: String| kernel.split(['-', '+']).next().map(str::to_owned);
    parts.extend(kernel.ok().and_then(version).map(|kernel| format!("Linux {}", kernel.trim())));
    parts.push(format!("seckill {}", env!("CARGO_PKG_VERSION")));
    if let Some(url) = &stores.mariadb {
        parts.extend(database(url).await);
    }
    if let Some(url) = &stores.redis {
        parts.extend(redis(url).await);
    }
    parts.join("; ")
}

/// A field of a file with a line for each.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

async fn database(url: &str) -> Option<String> {
    let mut connection = MySqlConnection::connect(url).await.ok()?;
    let look = "SELECT CONCAT(VERSION(), ', innodb_flush_log_at_trx_commit = ', \
                @@innodb_flush_log_at_trx_commit, ', a buffer pool of ', \
                @@innodb_buffer_pool_size DIV 1048576, ' MiB')";
    sqlx::query_scalar(look).fetch_one(&mut connection).await.ok()
}

async fn redis(url: &str) -> Option<String> {
    let client = redis::Client::open(url).ok()?;
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("server").query_async(&mut connection).await.ok()?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"))?;
    Some(format!("Redis {}", version.trim()))
}
