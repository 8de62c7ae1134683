//! Connections are lent, and lent again only if the work on them came to its end.
//!
//! A future may be dropped at any await. sqlx then gives its connection back to the pool with half
//! an answer still on its way, or inside of a transaction that nobody will commit, and the next
//! user's writes are lost in it. So whoever doesn't give a connection back expressly has it closed,
//! and the server rolls back. All waits are bounded here.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, MySqlConnection, MySqlPool};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::context::TokioContext;

use super::session;
use crate::PoolSettings;

/// How long a connection may take to show that it is alive. 500 ms: then a new one is tried, which
/// must fit into a caller's patience as well.
const LIFE_SIGN_MAX: Duration = Duration::from_millis(500);

/// How long a roll back after an error may take. 1 s: the server does it anyway once the connection
/// is closed; this only has the locks gone before the next try.
const ROLLBACK_MAX: Duration = Duration::from_secs(1);

/// What connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Reads of the primary.
    Reader,
    /// Transactions.
    Writer,
    /// Reads of a replica.
    Replica,
}

/// Connections to one server, for one purpose. Clones share them.
#[derive(Debug, Clone)]
pub struct Connections {
    pool: MySqlPool,
    runtime: Handle,
    call_max: Duration,
    obstacle: Obstacle,
}

/// Why no connection could be had lately, in the server's own words: the pool only says that it has
/// waited. Clones are the same.
#[derive(Debug, Clone, Default)]
struct Obstacle(Arc<Mutex<Option<String>>>);

impl Obstacle {
    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// In place of a time-out that has it as its reason.
    fn explain(&self, pool: &MySqlPool) -> sqlx::Error {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = why.or_else(|| (pool.size() == 0).then(|| "it takes no connections".to_owned()));
        why.map_or(sqlx::Error::PoolTimedOut, |why| sqlx::Error::Io(io::Error::other(why)))
    }
}

impl Connections {
    pub(super) fn new(
        options: &MySqlConnectOptions,
        duty: Duty,
        settings: &PoolSettings,
        runtime: &Handle,
    ) -> Self {
        let connections_max = match duty {
            Duty::Reader | Duty::Replica => settings.readers_max,
            Duty::Writer => settings.writers_max,
        };
        let statements = session::statements(duty, settings);
        let obstacle = Obstacle::default();
        let (met, met_again) = (obstacle.clone(), obstacle.clone());
        let pool = MySqlPoolOptions::new()
            .max_connections(connections_max.max(1))
            .acquire_timeout(Duration::from_millis(settings.acquire_ms_max))
            // Before the server ends them: the pool looks as often as this, so a connection is
            // closed when it is unused for twice as long at most.
            .idle_timeout(Duration::from_secs(u64::from(settings.idle_s_max)) / 3)
            // What is asked below is more than whether it answers.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let (statements, met) = (statements.clone(), met.clone());
                Box::pin(async move {
                    let prepared = async {
                        session::prepare(connection, &statements).await?;
                        if duty == Duty::Replica {
                            return Ok(());
                        }
                        session::must_be_primary(connection).await
                    };
                    let prepared = prepared.await;
                    met.set(prepared.as_ref().err().map(ToString::to_string));
                    prepared
                })
            })
            .before_acquire(move |connection, _| {
                let met = met_again.clone();
                Box::pin(async move {
                    let is_usable = is_usable(connection, duty).await?;
                    if is_usable {
                        met.set(None);
                    }
                    Ok(is_usable)
                })
            })
            // The pool's own look at a returned connection has no deadline.
            .after_release(|connection, _| is_usable(connection, Duty::Replica));
        let _context = runtime.enter();
        Self {
            pool: pool.connect_lazy_with(options.clone()),
            runtime: runtime.clone(),
            call_max: Duration::from_millis(settings.call_ms_max),
            obstacle,
        }
    }

    /// Lends a connection whose server may be written now (but for a replica's). Outside of a
    /// transaction, each of its statements is one.
    ///
    /// # Errors
    /// [`crate::Trouble::Busy`] if all are lent for `acquire_ms_max`; [`crate::Trouble::Lost`] with
    /// the reason if the server takes none, or may not be written.
    pub async fn lend(&self) -> Result<Lent, sqlx::Error> {
        // Boxed, for it is large and part of every call's future.
        let connection = on(&self.runtime, Box::pin(self.pool.acquire())).await;
        let connection = connection.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => self.obstacle.explain(&self.pool),
            error => error,
        })?;
        let runtime = self.runtime.clone();
        Ok(Lent { connection: Some(connection), is_done: false, runtime })
    }

    /// Begins a transaction. Each of its statements sees what is committed by then.
    ///
    /// # Errors
    /// As [`Connections::lend`], or if the server is lost.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.begin_with("START TRANSACTION").await
    }

    /// Begins a transaction that can't write, and whose statements all show this one moment.
    ///
    /// # Errors
    /// As [`Connections::lend`], or if the server is lost.
    pub async fn begin_snapshot(&self) -> Result<Transaction, sqlx::Error> {
        // The level counts for the next transaction alone.
        self.begin_with(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
             START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        )
        .await
    }

    async fn begin_with(&self, sql: &'static str) -> Result<Transaction, sqlx::Error> {
        let mut lent = self.lend().await?;
        in_time(self.call_max, tell(&mut lent, sql)).await?;
        Ok(Transaction { lent, call_max: self.call_max })
    }

    /// Does `work` on a connection and gives it back; if the work fails or is dropped, the
    /// connection is closed instead.
    ///
    /// # Errors
    /// That of the work; [`crate::Trouble::Lost`] if it takes longer than `call_ms_max`.
    pub async fn ask<T, E: From<sqlx::Error>>(
        &self,
        work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        in_time(self.call_max, async {
            let mut lent = self.lend().await?;
            let answer = work(&mut lent).await?;
            lent.give_back();
            Ok(answer)
        })
        .await
    }

    /// Does `work` in a transaction, and commits it unless the work fails.
    ///
    /// # Errors
    /// That of the work, after a roll back; or of the commit, which may then have happened.
    pub async fn transact<T, E: From<sqlx::Error>>(
        &self,
        work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = self.begin().await?;
        match in_time(self.call_max, work(&mut transaction)).await {
            Ok(answer) => {
                transaction.commit().await?;
                Ok(answer)
            }
            Err(error) => {
                transaction.abandon().await;
                Err(error)
            }
        }
    }

    /// Does reading `work` of which all shows one moment.
    ///
    /// # Errors
    /// That of the work.
    pub async fn ask_snapshot<T, E: From<sqlx::Error>>(
        &self,
        work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = self.begin_snapshot().await?;
        let answer = in_time(self.call_max, work(&mut transaction)).await?;
        transaction.roll_back().await?;
        Ok(answer)
    }

    /// `work`, or [`crate::Trouble::Lost`] if it takes longer than `call_ms_max`.
    ///
    /// # Errors
    /// As said.
    pub async fn in_time<T, E: From<sqlx::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        in_time(self.call_max, work).await
    }

    /// Open connections.
    pub fn size(&self) -> u32 {
        self.pool.size()
    }

    /// Open connections that nobody uses.
    pub fn idle(&self) -> usize {
        self.pool.num_idle()
    }

    /// Waits for all connections to be given back, and closes them.
    pub async fn close(&self) {
        on(&self.runtime, self.pool.close()).await;
    }
}

/// A connection on loan. Unless it is given back, it is closed.
#[derive(Debug)]
pub struct Lent {
    /// Taken when this is dropped.
    connection: Option<PoolConnection<sqlx::MySql>>,
    is_done: bool,
    runtime: Handle,
}

impl Lent {
    /// To others: all that was asked on it is answered, and no transaction is open.
    pub fn give_back(mut self) {
        self.is_done = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // The pool takes a connection back in a task, also if we are dropped outside of a runtime.
        let _context = self.runtime.enter();
        match self.connection.take() {
            Some(connection) if self.is_done => drop(connection),
            // Hung up without a word: the pool's polite way waits, under TLS, for the very answer
            // that nobody wants any more, and keeps its place meanwhile.
            Some(connection) => drop(connection.detach()),
            None => {}
        }
    }
}

impl Deref for Lent {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.connection.as_ref().expect("it is taken by the drop alone")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.connection.as_mut().expect("it is taken by the drop alone")
    }
}

/// An open transaction. Dropped, it is rolled back by the server, which hears of it a moment later.
#[derive(Debug)]
pub struct Transaction {
    lent: Lent,
    call_max: Duration,
}

impl Transaction {
    /// # Errors
    /// If the server doesn't confirm it: then it may or may not have happened.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    /// Nothing went wrong, and nothing is to be written.
    ///
    /// # Errors
    /// If the server doesn't confirm it. It happens all the same.
    pub async fn roll_back(self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        in_time(self.call_max, tell(&mut self.lent, sql)).await?;
        self.lent.give_back();
        Ok(())
    }

    /// Something went wrong. Some errors roll back everything and some (a lock that was waited for
    /// too long) one statement alone, so that a commit would write half of it: all of it is rolled
    /// back expressly, before anybody tries again. Then the connection is closed.
    pub async fn abandon(mut self) {
        // Without an answer the server finds out when the connection is closed.
        let _ = in_time::<_, sqlx::Error>(ROLLBACK_MAX, tell(&mut self.lent, "ROLLBACK")).await;
    }
}

impl Deref for Transaction {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.lent
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.lent
    }
}

/// Polls `work` within `runtime`: a connection that it opens is served by that one's reactor, and
/// not by that of a serving core, which may be busy or end before the others.
pub(super) async fn on<F: Future>(runtime: &Handle, work: F) -> F::Output {
    TokioContext::new(work, runtime.clone()).await
}

async fn tell(connection: &mut MySqlConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await?;
    Ok(())
}

async fn in_time<T, E: From<sqlx::Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let late = || sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    timeout(limit, work).await.unwrap_or_else(|_| Err(late().into()))
}

/// Whether it answers, and its server is a primary where that is wanted. An error is no news: the
/// pool opens another one.
fn is_usable(
    connection: &mut MySqlConnection,
    duty: Duty,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    Box::pin(async move {
        let asked = async {
            match duty {
                Duty::Reader | Duty::Writer => session::is_primary(connection).await,
                Duty::Replica => connection.ping().await.map(|()| true),
            }
        };
        Ok(matches!(timeout(LIFE_SIGN_MAX, asked).await, Ok(Ok(true))))
    })
}
