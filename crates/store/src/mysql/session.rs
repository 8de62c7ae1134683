//! What every session is told before anybody uses it, so that MySQL 8, 9 and MariaDB behave alike
//! and a server's defaults don't matter; and how a primary is told from what was one.

use std::io;

use sqlx::{AssertSqlSafe, MySqlConnection};

use super::lent::Duty;
use crate::PoolSettings;

/// What doesn't fit is an error and never cut, on every kind of table; a group shows nothing that
/// it hasn't one of; there is no other engine than the one named.
pub(super) const SQL_MODE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,\
    NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// What a new session is told, as one text.
pub(super) fn statements(duty: Duty, settings: &PoolSettings) -> String {
    let lock_wait_s = settings.lock_wait_s_max.max(1);
    let idle_s = settings.idle_s_max.max(1);
    let call_ms = settings.call_ms_max.max(1);
    // The server itself ends a read that nobody waits for any more. Each of the two servers takes
    // the other's words for a comment.
    let read_limit = match duty {
        Duty::Reader | Duty::Replica => format!(
            "/*M!100100 max_statement_time = {}.{:03}, */ \
             /*!80000 max_execution_time = {call_ms}, */",
            call_ms / 1000,
            call_ms % 1000
        ),
        Duty::Writer => String::new(),
    };
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION {read_limit} sql_mode = '{SQL_MODE}', autocommit = 1, \
         innodb_lock_wait_timeout = {lock_wait_s}, lock_wait_timeout = {lock_wait_s}, \
         wait_timeout = {idle_s}"
    )
}

/// Tells a new session all of it, in one round trip.
pub(super) async fn prepare(
    connection: &mut MySqlConnection,
    statements: &str,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await?;
    Ok(())
}

/// Whether the server may be written. One that was the primary and is a replica now may not; what
/// it shows is old from some moment on.
pub(super) async fn is_primary(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    // A number, or a word in later MariaDBs.
    let query = sqlx::query_scalar("SELECT @@global.read_only IN ('0', 'OFF')");
    query.fetch_one(connection).await
}

/// An error unless the server may be written.
pub(super) async fn must_be_primary(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    if is_primary(connection).await? {
        return Ok(());
    }
    let read_only = io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the server is read-only");
    Err(sqlx::Error::Io(read_only))
}
