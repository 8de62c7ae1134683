//! In SQL: the row is locked, read and written; or written on a condition. The table is the
//! smallest that can do it, and each attempt is a transaction that is on disk when it is answered.

use sqlx::{Connection as _, MySqlConnection};
use testbed::Database;

use super::{AT_ONCE, Rush, rush};
use crate::{
    failure::{Failure, failed},
    figures::Figures,
    load::Fleet,
};

/// One round of both ways, in a database of its own on the server at `url`.
pub(crate) async fn round(
    fleet: &Fleet,
    figures: &mut Figures,
    url: &str,
    attempts: u64,
) -> Result<(), Failure> {
    let database = Database::create(url).await;
    for way in [Way::RowLock, Way::Condition] {
        let (url, size) = (database.url().to_owned(), Rush::of(attempts));
        let raced = fleet.on(fleet.background(), race(url, way, size)).await?;
        let (taken, left, took) = raced.map_err(failed("SQL"))?;
        size.note(figures, way.name(), taken, left, took);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Way {
    RowLock,
    Condition,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::RowLock => "sql_row_lock",
            Self::Condition => "sql_conditional_update",
        }
    }
}

async fn race(
    url: String,
    way: Way,
    size: Rush,
) -> Result<(u64, i64, std::time::Duration), Failure> {
    let sql = failed::<sqlx::Error>;
    let mut own = MySqlConnection::connect(&url).await.map_err(sql("a connection"))?;
    let table = "CREATE TABLE IF NOT EXISTS stock \
                 (id INT PRIMARY KEY, units BIGINT NOT NULL) ENGINE = InnoDB";
    sqlx::query(table).execute(&mut own).await.map_err(sql("a table"))?;
    sqlx::query("REPLACE INTO stock VALUES (1, ?)")
        .bind(i64::try_from(size.units).unwrap_or(i64::MAX))
        .execute(&mut own)
        .await
        .map_err(sql("a row"))?;
    let mut callers = Vec::new();
    for _ in 0..AT_ONCE {
        callers.push(MySqlConnection::connect(&url).await.map_err(sql("a connection"))?);
    }
    let (taken, took) = rush(size, callers, async |mut connection| {
        let got = match way {
            Way::RowLock => lock_and_take(&mut connection).await,
            Way::Condition => take_if_there(&mut connection).await,
        };
        Ok((connection, got.map_err(sql("a unit"))?))
    })
    .await?;
    let left = sqlx::query_scalar("SELECT units FROM stock WHERE id = 1").fetch_one(&mut own).await;
    Ok((taken, left.map_err(sql("the rest"))?, took))
}

async fn lock_and_take(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let look = "SELECT units FROM stock WHERE id = 1 FOR UPDATE";
    let units: i64 = sqlx::query_scalar(look).fetch_one(&mut *tx).await?;
    let is_there = units >= 1;
    if is_there {
        let take = "UPDATE stock SET units = units - 1 WHERE id = 1";
        sqlx::query(take).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(is_there)
}

async fn take_if_there(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let take = "UPDATE stock SET units = units - 1 WHERE id = 1 AND units >= 1";
    Ok(sqlx::query(take).execute(connection).await?.rows_affected() == 1)
}
