//! How the file is opened, and what each error of a real file means.

use std::path::Path;

use sqlx::Row;

use super::*;
use crate::{Trouble, trial::LOOKS_BETWEEN, trouble};

fn url_in(dir: &Path) -> String {
    format!("sqlite:{}", dir.join("bakery.db").display())
}

/// For tests that don't wait: generous, as the disk may be slow.
fn patient() -> PoolSettings {
    PoolSettings { acquire_ms_max: 30_000, busy_ms_max: 30_000, ..PoolSettings::default() }
}

/// For tests that wait in vain. Opening has to fit into it, too.
fn impatient() -> PoolSettings {
    PoolSettings { acquire_ms_max: 1500, busy_ms_max: 20, ..PoolSettings::default() }
}

async fn bakery() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().expect("a directory");
    let db = open(&url_in(dir.path()), &patient()).await.expect("opened");
    sqlx::query(
        "CREATE TABLE loaf (id INTEGER PRIMARY KEY, name TEXT UNIQUE, baker TEXT, \
         grams INTEGER NOT NULL DEFAULT 500 CHECK (grams > 0), \
         mother INTEGER REFERENCES loaf (id))",
    )
    .execute(&db.writer)
    .await
    .expect("a table");
    (dir, db)
}

async fn write(pool: &SqlitePool, sql: &'static str) -> Result<u64, Trouble> {
    let done = sqlx::query(sql).execute(pool).await;
    done.map(|done| done.rows_affected()).map_err(|error| trouble(&error))
}

async fn loaves(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM loaf").fetch_one(pool).await.expect("counted")
}

#[tokio::test]
async fn every_connection_is_durable_and_checks_keys() {
    let (_dir, db) = bakery().await;
    // `synchronous` 2 is FULL.
    for (pool, is_reader) in [(&db.writer, 0), (&db.reader, 1)] {
        let table = [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA busy_timeout", 30_000),
            ("PRAGMA query_only", is_reader),
        ];
        for (pragma, value) in table {
            let set: i64 = sqlx::query_scalar(pragma).fetch_one(pool).await.expect("a value");
            assert_eq!(set, value, "{pragma}");
        }
        let cache: i64 =
            sqlx::query_scalar("PRAGMA cache_size").fetch_one(pool).await.expect("set");
        let [writers, readers] = [patient().writer_cache_kib, patient().reader_cache_kib];
        assert_eq!(cache, -i64::from(if is_reader == 1 { readers } else { writers }));
        let temp: i64 = sqlx::query_scalar("PRAGMA temp_store").fetch_one(pool).await.expect("set");
        assert_eq!(temp == 2, is_reader == 0, "only the writer's is in memory: {temp}");
        let mode = sqlx::query("PRAGMA journal_mode").fetch_one(pool).await.expect("a value");
        assert_eq!(mode.get::<String, _>(0), "wal");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_when_opened_again() {
    let (dir, db) = bakery().await;
    write(&db.writer, "INSERT INTO loaf (id) VALUES (1)").await.expect("written");
    db.close().await;
    let again = open(&url_in(dir.path()), &patient()).await.expect("opened");
    assert_eq!(loaves(&again.reader).await, 1);
}

#[tokio::test]
async fn transaction_counts_from_its_commit_on_and_a_dropped_one_never() {
    let (_dir, db) = bakery().await;
    for (is_committed, expected) in [(false, 0), (true, 1)] {
        let mut tx = db.begin_write().await.expect("begun");
        let insert = sqlx::query("INSERT INTO loaf (name) VALUES ('rye')");
        insert.execute(&mut *tx).await.expect("written");
        assert_eq!(loaves(&db.reader).await, 0, "not committed yet");
        if is_committed {
            tx.commit().await.expect("committed");
        } else {
            drop(tx);
        }
        assert_eq!(loaves(&db.writer).await, expected);
        assert_eq!(loaves(&db.reader).await, expected);
    }
}

#[tokio::test]
async fn taken_keys_are_duplicates_and_other_constraints_are_not() {
    let (_dir, db) = bakery().await;
    write(&db.writer, "INSERT INTO loaf (id, name) VALUES (1, 'rye')").await.expect("written");
    let table = [
        ("INSERT INTO loaf (id) VALUES (1)", Trouble::Duplicate),
        ("INSERT INTO loaf (name) VALUES ('rye')", Trouble::Duplicate),
        ("INSERT INTO loaf (grams) VALUES (0)", Trouble::Other),
        ("INSERT INTO loaf (grams) VALUES (NULL)", Trouble::Other),
        ("INSERT INTO loaf (mother) VALUES (99)", Trouble::Other),
        ("INSERT INTO roll (id) VALUES (1)", Trouble::Other),
    ];
    for (sql, expected) in table {
        assert_eq!(write(&db.writer, sql).await, Err(expected), "{sql}");
    }
}

#[tokio::test]
async fn reader_can_not_write() {
    let (_dir, db) = bakery().await;
    let refused = write(&db.reader, "INSERT INTO loaf (id) VALUES (1)").await;
    assert_eq!(refused, Err(Trouble::Other));
}

#[tokio::test]
async fn another_writer_makes_busy_and_readers_go_on() {
    let (dir, db) = bakery().await;
    let other = open(&url_in(dir.path()), &impatient()).await.expect("opened");
    let tx = db.begin_write().await.expect("begun");
    let refused = other.begin_write().await.expect_err("another process writes");
    assert_eq!(trouble(&refused), Trouble::Busy, "{refused}");
    assert_eq!(loaves(&other.reader).await, 0);
    drop(tx);

    let tx = loop {
        // The drop is a rollback on its way.
        match other.begin_write().await {
            Ok(tx) => break tx,
            Err(refused) => assert_eq!(trouble(&refused), Trouble::Busy, "{refused}"),
        }
    };
    let waiting = other.begin_write().await.expect_err("this process writes");
    assert!(matches!(waiting, sqlx::Error::PoolTimedOut), "{waiting}");
    assert_eq!(trouble(&waiting), Trouble::Busy);
    drop(tx);
}

#[tokio::test]
async fn read_that_became_old_before_its_write_is_busy() {
    let (dir, db) = bakery().await;
    let other = open(&url_in(dir.path()), &patient()).await.expect("opened");
    // A deferred transaction, as nobody should use it for writing: SQLITE_BUSY_SNAPSHOT.
    let mut late = db.writer.begin().await.expect("begun");
    sqlx::query("SELECT * FROM loaf").fetch_all(&mut *late).await.expect("read");
    write(&other.writer, "INSERT INTO loaf (id) VALUES (1)").await.expect("written");
    let insert = sqlx::query("INSERT INTO loaf (id) VALUES (2)");
    let refused = insert.execute(&mut *late).await.expect_err("what it read is old");
    assert_eq!(trouble(&refused), Trouble::Busy, "{refused}");
}

#[tokio::test]
async fn closed_pool_full_disk_and_missing_directory_are_lost() {
    let (dir, db) = bakery().await;
    let pages: i64 =
        sqlx::query_scalar("PRAGMA max_page_count = 1").fetch_one(&db.writer).await.expect("set");
    assert!(pages > 0);
    let big = "INSERT INTO loaf (baker) VALUES (hex(zeroblob(1000000)))";
    assert_eq!(write(&db.writer, big).await, Err(Trouble::Lost));

    db.close().await;
    assert_eq!(write(&db.writer, big).await, Err(Trouble::Lost));

    let nowhere = url_in(&dir.path().join("nowhere"));
    let Err(OpenError::Open { place, source }) = open(&nowhere, &impatient()).await else {
        panic!("there is no such directory")
    };
    assert_eq!((place, trouble(&source)), (nowhere, Trouble::Lost));
}

/// As a full disk does: a file that may not grow.
async fn fill(db: &Sqlite) {
    let mut writer = db.writer.acquire().await.expect("lent");
    let pages: i64 =
        sqlx::query_scalar("PRAGMA max_page_count = 1").fetch_one(&mut *writer).await.expect("set");
    assert!(pages > 0);
}

#[tokio::test]
async fn connection_whose_transaction_ended_by_itself_is_not_lent_again() {
    let (_dir, db) = bakery().await;
    fill(&db).await;
    let mut tx = db.begin_write().await.expect("begun");
    let big = sqlx::query("INSERT INTO loaf (baker) VALUES (hex(zeroblob(1000000)))");
    let refused = big.execute(&mut *tx).await.expect_err("there is no room");
    assert_eq!(trouble(&refused), Trouble::Lost, "{refused}");
    drop(tx);
    // The bound was that connection's own.
    for _ in 0..2 {
        let mut tx = db.begin_write().await.expect("begun, on another connection");
        let insert = sqlx::query("INSERT INTO loaf (name) VALUES (hex(randomblob(8)))");
        insert.execute(&mut *tx).await.expect("written");
        tx.commit().await.expect("committed");
    }
    assert_eq!(loaves(&db.reader).await, 2);
}

#[tokio::test]
async fn a_look_tells_whether_the_file_can_be_written_and_writes_only_now_and_then() {
    let (dir, db) = bakery().await;
    let log = || std::fs::metadata(dir.path().join("bakery.db-wal")).expect("a log").len();
    db.look().await.expect("it can");
    let before = log();
    for _ in 1..LOOKS_BETWEEN {
        db.look().await.expect("it could a moment ago");
    }
    assert_eq!(log(), before, "nothing was written");
    while db.writer.num_idle() == 0 {
        // It is given back by a task.
        tokio::task::yield_now().await;
    }
    db.look().await.expect("it still can");
    assert!(log() > before, "a page was written");

    let tx = db.begin_write().await.expect("begun");
    for _ in 0..2 * LOOKS_BETWEEN {
        db.look().await.expect("who writes will find out");
    }
    drop(tx);
}

#[tokio::test]
async fn file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("bakery.db"), "flour, water, salt".repeat(500)).expect("a file");
    let refused = open(&url_in(dir.path()), &impatient()).await;
    let Err(OpenError::Open { source, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(trouble(&source), Trouble::Other);
}

#[tokio::test]
async fn other_urls_are_refused_without_showing_them() {
    let table = [
        ("mysql://baker:sourdough@db/bakery", "the URL of a store must be sqlite:PATH"),
        ("postgres://baker:sourdough@db/bakery", "the URL of a store must be sqlite:PATH"),
        ("data/bakery.db", "the URL of a store must be sqlite:PATH"),
        ("sqlite:", "the URL of a store must be sqlite:PATH"),
        ("sqlite://", "the URL of a store must be sqlite:PATH"),
        ("sqlite:bakery.db?mode=ro", "the URL of a store must be sqlite:PATH"),
        ("sqlite::memory:", "a store in memory loses what was promised"),
        ("sqlite://:memory:", "a store in memory loses what was promised"),
        ("sqlite:bakery?mode=memory", "a store in memory loses what was promised"),
    ];
    for (url, sentence) in table {
        let refused = open(url, &impatient()).await.expect_err(url).to_string();
        assert!(refused.starts_with(sentence), "{url}: {refused}");
        assert!(!refused.contains("sourdough"), "{refused}");
    }
}
