//! Every way in which a schema is not the one expected, on real files.

use std::borrow::Cow;

use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType};

use super::*;
use crate::PoolSettings;
use crate::sqlite::{Sqlite, open};

mod servers;

async fn bakery() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", dir.path().join("bakery.db").display());
    // Generous, as the disk may be slow.
    let patient = PoolSettings { acquire_ms_max: 30_000, ..PoolSettings::default() };
    let db = open(&url, &patient).await.expect("opened");
    (dir, db)
}

fn step(version: i64, sql: &'static str) -> Migration {
    let sql = AssertSqlSafe(sql).into_sql_str();
    Migration::new(version, Cow::Borrowed("a step"), MigrationType::Simple, sql, false)
}

fn steps(steps: Vec<Migration>) -> Migrator {
    Migrator::with_migrations(steps)
}

fn first() -> Migration {
    step(1, "CREATE TABLE loaf (id INTEGER PRIMARY KEY)")
}

fn second() -> Migration {
    step(2, "ALTER TABLE loaf ADD COLUMN name TEXT")
}

#[tokio::test]
async fn migrated_schema_is_accepted_and_migrating_again_does_nothing() {
    let (_dir, db) = bakery().await;
    let both = steps(vec![first(), second()]);
    migrate(&db.writer, &both).await.expect("migrated");
    migrate(&db.writer, &both).await.expect("nothing to do");
    check(&db.reader, &both).await.expect("as expected");
    check(&db.reader, &both).await.expect("the same");
}

#[tokio::test]
async fn empty_store_is_behind_and_looking_changes_nothing() {
    let (_dir, db) = bakery().await;
    let refused = check(&db.writer, &steps(vec![first()])).await;
    assert!(matches!(refused, Err(MigrateError::Behind(1))), "{refused:?}");
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master")
        .fetch_one(&db.reader)
        .await
        .expect("counted");
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn pending_migration_is_refused_by_its_number() {
    let (_dir, db) = bakery().await;
    migrate(&db.writer, &steps(vec![first()])).await.expect("migrated");
    let refused = check(&db.reader, &steps(vec![first(), second()])).await;
    assert!(matches!(refused, Err(MigrateError::Behind(2))), "{refused:?}");
}

#[tokio::test]
async fn unknown_migration_is_refused_by_its_number() {
    let (_dir, db) = bakery().await;
    migrate(&db.writer, &steps(vec![first(), second()])).await.expect("migrated");
    let refused = check(&db.reader, &steps(vec![first()])).await;
    assert!(matches!(refused, Err(MigrateError::Ahead(2))), "{refused:?}");
}

#[tokio::test]
async fn edited_migration_is_refused() {
    let (_dir, db) = bakery().await;
    migrate(&db.writer, &steps(vec![first()])).await.expect("migrated");
    let edited = steps(vec![step(1, "CREATE TABLE roll (id INTEGER PRIMARY KEY)")]);
    let refused = check(&db.reader, &edited).await;
    assert!(matches!(refused, Err(MigrateError::Differs(1))), "{refused:?}");
}

#[tokio::test]
async fn half_done_migration_counts_as_missing() {
    let (_dir, db) = bakery().await;
    migrate(&db.writer, &steps(vec![first()])).await.expect("migrated");
    let broken = "UPDATE _sqlx_migrations SET success = FALSE";
    sqlx::query(broken).execute(&db.writer).await.expect("damaged by hand");
    let refused = check(&db.reader, &steps(vec![first()])).await;
    assert!(matches!(refused, Err(MigrateError::Behind(1))), "{refused:?}");
}

#[tokio::test]
async fn failing_migration_leaves_nothing_behind() {
    let (_dir, db) = bakery().await;
    let bad = steps(vec![step(1, "CREATE TABLE loaf (id INTEGER); CREATE TABEL crumb (id)")]);
    assert!(matches!(migrate(&db.writer, &bad).await, Err(MigrateError::Migrate(_))));
    migrate(&db.writer, &steps(vec![first()])).await.expect("the table isn't there yet");
}
