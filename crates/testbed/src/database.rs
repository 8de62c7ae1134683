//! A database of a test's own on a server that others use too.

use std::thread;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tokio::runtime;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a server may take to make or drop a database. 10 s: it syncs its disk for each, and
/// many tests do so at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// An empty database, dropped with this value.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// Makes one on the server at `server_url`, which is `mysql://root@HOST:PORT`, with or without
    /// a `/`. Its name is new each time.
    ///
    /// # Panics
    /// If the server doesn't do it within 10 s.
    pub async fn create(server_url: &str) -> Self {
        let server = server_url.trim_end_matches('/').to_owned();
        let name = format!("t_{}", Uuid::new_v4().simple());
        if let Err(error) = tell(&server, format!("CREATE DATABASE {name}")).await {
            panic!("can't make a database on {server}: {error}");
        }
        let url = format!("{server}/{name}");
        Self { server, name, url }
    }

    /// `mysql://root@HOST:PORT/NAME`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {}", self.name);
        // A runtime can't wait inside of another, so the farewell has a thread of its own. A server
        // that the test has killed keeps the database, and nobody will ever meet it.
        thread::scope(|scope| {
            scope.spawn(|| {
                if let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() {
                    let _ = runtime.block_on(tell(&self.server, drop));
                }
            });
        });
    }
}

async fn tell(server: &str, statement: String) -> Result<(), sqlx::Error> {
    let telling = async {
        let mut connection = MySqlConnection::connect(server).await?;
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await
    };
    timeout(PATIENCE, telling).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running;

    async fn rows(url: &str, statement: &'static str) -> Result<usize, sqlx::Error> {
        let mut connection = MySqlConnection::connect(url).await?;
        Ok(sqlx::query(statement).fetch_all(&mut connection).await?.len())
    }

    #[tokio::test]
    async fn each_is_empty_and_gone_with_its_test() {
        for server in [Some(running::mariadb()), running::mysql()].into_iter().flatten() {
            let one = Database::create(&server).await;
            let other = Database::create(&server).await;
            assert_eq!(rows(one.url(), "CREATE TABLE t (id INT)").await.unwrap(), 0);
            assert_eq!(rows(one.url(), "SHOW TABLES").await.unwrap(), 1);
            assert_eq!(rows(other.url(), "SHOW TABLES").await.unwrap(), 0);

            let url = one.url().to_owned();
            drop(one);
            assert!(rows(&url, "SHOW TABLES").await.is_err());
        }
    }
}
