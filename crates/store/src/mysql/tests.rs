//! What both kinds of servers do with our sessions, what their errors mean, and that nobody gets a
//! connection on which somebody else's work was left unfinished.

use futures::FutureExt as _;
use sqlx::{AssertSqlSafe, Row as _};
use testbed::Database;

use super::*;
use crate::{Trouble, trial::LOOKS_BETWEEN, trouble};

mod faults;
mod network;

/// A database of a test's own, with a table, on each server that there is.
struct Bakery {
    url: String,
    db: MySql,
    _database: Database,
}

async fn bakeries() -> Vec<Bakery> {
    let mut bakeries = Vec::new();
    for server in std::iter::once(testbed::running::mariadb()).chain(testbed::running::mysql()) {
        let database = Database::create(&server).await;
        let url = database.url().to_owned();
        let db = open_with(&url, &patient()).await;
        let table = "CREATE TABLE loaf (id BIGINT PRIMARY KEY AUTO_INCREMENT, \
             name VARCHAR(8) UNIQUE, grams INT NOT NULL DEFAULT 500 CHECK (grams > 0)) \
             ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
        write(&db.writer, table).await.expect("a table");
        bakeries.push(Bakery { url, db, _database: database });
    }
    bakeries
}

/// For tests that don't wait: generous, as the machine may be busy.
fn patient() -> PoolSettings {
    PoolSettings { acquire_ms_max: 30_000, call_ms_max: 30_000, ..PoolSettings::default() }
}

async fn open_with(url: &str, settings: &PoolSettings) -> MySql {
    open(url, settings, &Handle::current()).await.expect("opened")
}

async fn write(at: &Connections, sql: &'static str) -> Result<u64, Trouble> {
    let done = at.ask(async |it| sqlx::query(sql).execute(it).await).await;
    done.map(|done| done.rows_affected()).map_err(|error| trouble(&error))
}

async fn number(at: &Connections, sql: &'static str) -> i64 {
    at.ask(async |it| sqlx::query_scalar(sql).fetch_one(it).await).await.expect("a number")
}

async fn loaves(at: &Connections) -> i64 {
    number(at, "SELECT COUNT(*) FROM loaf").await
}

#[tokio::test]
async fn every_session_is_told_the_same_whatever_the_server_is() {
    for Bakery { db, .. } in bakeries().await {
        for at in [&db.reader, &db.writer] {
            let rows = at.ask(async |it| sqlx::query("SHOW SESSION VARIABLES").fetch_all(it).await);
            let rows = rows.await.expect("variables");
            let value = |wanted: &str| {
                let row = rows.iter().find(|row| row.get::<String, _>(0) == wanted);
                row.map(|row| row.get::<String, _>(1))
            };
            let isolation = value("transaction_isolation").or_else(|| value("tx_isolation"));
            assert_eq!(isolation.as_deref(), Some("READ-COMMITTED"));
            let mut mode: Vec<_> = session::SQL_MODE.split(',').collect();
            mode.sort_unstable();
            let set = value("sql_mode").expect("there is always one");
            let mut set: Vec<_> = set.split(',').collect();
            set.sort_unstable();
            assert_eq!(set, mode);
            for (variable, expected) in [
                ("innodb_lock_wait_timeout", "3"),
                ("lock_wait_timeout", "3"),
                ("wait_timeout", "30"),
                ("autocommit", "ON"),
                ("time_zone", "+00:00"),
                ("character_set_client", "utf8mb4"),
                ("character_set_results", "utf8mb4"),
                ("collation_connection", "utf8mb4_bin"),
            ] {
                assert_eq!(value(variable).as_deref(), Some(expected), "{variable}");
            }
        }
    }
}

#[tokio::test]
async fn reads_end_on_the_server_too_and_writes_take_their_time() {
    let [impatient, slow] = ["SELECT SLEEP(20)", "DO SLEEP(1.2)"];
    for Bakery { url, .. } in bakeries().await {
        let settings = PoolSettings { call_ms_max: 1_000, ..patient() };
        let db = open_with(&url, &settings).await;
        let mut lent = db.reader.lend().await.expect("lent");
        // MySQL ends a sleep early without an error, MariaDB with one.
        let slept = sqlx::query_scalar::<_, i64>(impatient).fetch_one(&mut *lent).await;
        match slept {
            Ok(is_early) => assert_eq!(is_early, 1),
            Err(error) => assert_eq!(trouble(&error), Trouble::Busy, "{error}"),
        }
        let mut lent = db.writer.lend().await.expect("lent");
        sqlx::query(slow).execute(&mut *lent).await.expect("nobody ends a writer's statement");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_never_cut() {
    for Bakery { db, .. } in bakeries().await {
        let table = [
            "INSERT INTO loaf (name) VALUES ('sourdough rye')",
            "INSERT INTO loaf (grams) VALUES (3000000000)",
            "INSERT INTO loaf (grams) VALUES ('much')",
            "INSERT INTO loaf (grams) VALUES (NULL)",
            "INSERT INTO loaf (grams) VALUES (0)",
            "INSERT INTO roll (id) VALUES (1)",
        ];
        for sql in table {
            assert_eq!(write(&db.writer, sql).await, Err(Trouble::Other), "{sql}");
        }
        assert_eq!(loaves(&db.reader).await, 0);
    }
}

#[tokio::test]
async fn taken_keys_are_duplicates_and_texts_differ_by_case() {
    for Bakery { db, .. } in bakeries().await {
        write(&db.writer, "INSERT INTO loaf (id, name) VALUES (1, 'rye')").await.expect("written");
        for sql in ["INSERT INTO loaf (id) VALUES (1)", "INSERT INTO loaf (name) VALUES ('rye')"] {
            assert_eq!(write(&db.writer, sql).await, Err(Trouble::Duplicate), "{sql}");
        }
        write(&db.writer, "INSERT INTO loaf (name) VALUES ('Rye')").await.expect("another text");
        // A compare-and-set counts rows that are as wanted, also those that were so before.
        let same = "UPDATE loaf SET grams = 500 WHERE id = 1 AND grams = 500";
        assert_eq!(write(&db.writer, same).await, Ok(1));
    }
}

#[tokio::test]
async fn transactions_count_from_their_commit_on() {
    for Bakery { db, .. } in bakeries().await {
        for (is_committed, expected) in [(false, 0), (true, 1)] {
            let mut transaction = db.writer.begin().await.expect("begun");
            let insert = sqlx::query("INSERT INTO loaf (name) VALUES ('rye')");
            insert.execute(&mut *transaction).await.expect("written");
            assert_eq!(loaves(&db.reader).await, 0, "not committed yet");
            match is_committed {
                true => transaction.commit().await.expect("committed"),
                false => transaction.roll_back().await.expect("rolled back"),
            }
            assert_eq!(loaves(&db.reader).await, expected);
        }
        let failed = db.writer.transact::<(), _>(async |it| {
            sqlx::query("DELETE FROM loaf").execute(it).await?;
            Err(sqlx::Error::RowNotFound)
        });
        assert!(failed.await.is_err());
        assert_eq!(loaves(&db.reader).await, 1, "an error undoes all of it");
    }
}

#[tokio::test]
async fn a_look_tries_to_write_now_and_then_and_leaves_nothing() {
    for Bakery { db, .. } in bakeries().await {
        let tries = std::cell::Cell::new(0);
        let look = async |sql: &'static str| {
            let insert = async |it: &mut MySqlConnection| {
                tries.set(tries.get() + 1);
                sqlx::query(sql).execute(it).await.map(drop)
            };
            db.look(insert).await.map_err(|error| trouble(&error))
        };
        let (loaf, none) =
            ("INSERT INTO loaf (name) VALUES ('rye')", "INSERT INTO brick VALUES (1)");
        for _ in 0..LOOKS_BETWEEN {
            assert_eq!(look(loaf).await, Ok(()));
        }
        assert_eq!(tries.get(), 1);
        for _ in 0..3 {
            assert_eq!(look(none).await, Err(Trouble::Other));
        }
        assert_eq!(tries.get(), 4, "after a failure each look tries");
        assert_eq!(look(loaf).await, Ok(()));
        assert_eq!((tries.get(), loaves(&db.reader).await), (5, 0));
    }
}

#[tokio::test]
async fn snapshots_show_one_moment_and_other_reads_the_latest() {
    for Bakery { db, .. } in bakeries().await {
        let mut old = db.reader.begin_snapshot().await.expect("begun");
        let mut new = db.writer.begin().await.expect("begun");
        for transaction in [&mut old, &mut new] {
            let count = sqlx::query_scalar("SELECT COUNT(*) FROM loaf");
            let count: i64 = count.fetch_one(&mut **transaction).await.expect("counted");
            assert_eq!(count, 0);
        }
        write(&db.writer, "INSERT INTO loaf (name) VALUES ('rye')").await.expect("written");
        for (transaction, expected) in [(&mut old, 0), (&mut new, 1)] {
            let count = sqlx::query_scalar("SELECT COUNT(*) FROM loaf");
            let count: i64 = count.fetch_one(&mut **transaction).await.expect("counted");
            assert_eq!(count, expected);
        }
        let delete = sqlx::query("DELETE FROM loaf").execute(&mut *old).await;
        assert_eq!(trouble(&delete.expect_err("it only reads")), Trouble::Lost);
        old.abandon().await;
        new.roll_back().await.expect("rolled back");
    }
}

#[tokio::test]
async fn a_begin_that_is_dropped_swallows_nobodys_writes() {
    for Bakery { url, db, .. } in bakeries().await {
        // One connection, so that the next caller would get the one that was dropped.
        let single = open_with(&url, &PoolSettings { writers_max: 1, ..patient() }).await;
        for polls in 0..40 {
            let mut begin = Box::pin(single.writer.begin());
            for _ in 0..polls {
                if (&mut begin).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(begin);
            write(&single.writer, "INSERT INTO loaf () VALUES ()").await.expect("written");
            assert_eq!(loaves(&db.reader).await, polls + 1, "after {polls} polls");
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_waited_for_is_not_the_next_callers() {
    for Bakery { url, .. } in bakeries().await {
        let single = open_with(&url, &PoolSettings { readers_max: 1, ..patient() }).await;
        for polls in 0..40 {
            let mut asked = Box::pin(number(&single.reader, "SELECT 1 + COUNT(*) FROM loaf"));
            for _ in 0..polls {
                if (&mut asked).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(asked);
            assert_eq!(number(&single.reader, "SELECT 1000").await, 1000, "after {polls} polls");
        }
    }
}

#[tokio::test]
async fn connections_outlive_the_runtime_that_used_them() {
    for Bakery { url, .. } in bakeries().await {
        let single = open_with(&url, &PoolSettings { readers_max: 1, ..patient() }).await;
        let mut used = Vec::new();
        for _ in 0..3 {
            let reader = single.reader.clone();
            let core = std::thread::Builder::new().spawn(move || {
                let core = tokio::runtime::Builder::new_current_thread().enable_all().build();
                core.expect("a runtime")
                    .block_on(number(&reader, "SELECT CAST(CONNECTION_ID() AS SIGNED)"))
            });
            let id = tokio::task::spawn_blocking(|| core.expect("a thread").join());
            used.push(id.await.expect("no panic").expect("no panic"));
        }
        used.dedup();
        assert_eq!(used.len(), 1, "it was one and the same connection");
    }
}

fn mode(file: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[tokio::test]
async fn passwords_come_from_files_and_are_not_shown() {
    for Bakery { url, db, .. } in bakeries().await {
        let user =
            format!("u_{}", number(&db.reader, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await);
        let tell = async |sql: String| {
            let told =
                db.writer.ask(async |it| sqlx::raw_sql(AssertSqlSafe(sql)).execute(it).await);
            told.await.expect("told");
        };
        for host in ["localhost", "127.0.0.1"] {
            tell(format!("CREATE USER {user}@'{host}' IDENTIFIED BY 'sour&dough'")).await;
            tell(format!("GRANT ALL ON *.* TO {user}@'{host}'")).await;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("password");
        let theirs = url.replace("root@", &format!("{user}@"));
        let settings = PoolSettings { password_file: Some(file.clone()), ..patient() };

        let missing = open(&theirs, &settings, &Handle::current()).await.expect_err("no file");
        assert!(missing.to_string().contains("the secret file"), "{missing}");
        std::fs::write(&file, "\n").expect("a file");
        mode(&file, 0o644);
        let open_to_all = open(&theirs, &settings, &Handle::current()).await.expect_err("0644");
        assert!(open_to_all.to_string().contains("it has mode 0644"), "{open_to_all}");
        let checked = crate::check_secrets(&theirs, &settings).expect_err("0644");
        assert_eq!(checked.to_string(), open_to_all.to_string());
        mode(&file, 0o600);
        let empty = open(&theirs, &settings, &Handle::current()).await.expect_err("empty");
        assert!(empty.to_string().ends_with("it is empty"), "{empty}");
        std::fs::write(&file, "sour&dough\n").expect("a file");
        let opened = open_with(&theirs, &settings).await;
        assert_eq!(loaves(&opened.reader).await, 0);
        let inside = url.replace("root@", &format!("{user}:sour%26dough@"));
        assert_eq!(loaves(&open_with(&inside, &patient()).await.reader).await, 0);

        std::fs::write(&file, "rye&bread\n").expect("a file");
        for (url, settings) in
            [(&theirs, &settings), (&inside.replace("dough", "milk"), &patient())]
        {
            let refused = open(url, settings, &Handle::current()).await.expect_err("a wrong one");
            let says = format!("{refused} {refused:?}");
            assert!(says.contains("1045"), "{says}");
            assert!(!says.contains("rye&bread") && !says.contains("milk"), "{says}");
        }
        tell(format!("DROP USER {user}@'localhost', {user}@'127.0.0.1'")).await;
    }
}

#[tokio::test]
async fn encryption_is_as_configured() {
    for Bakery { url, db, .. } in bakeries().await {
        let has_tls = async |db: &MySql| {
            let shown = db.reader.ask(async |it| {
                sqlx::query("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetch_one(it).await
            });
            !shown.await.expect("a status").get::<String, _>(1).is_empty()
        };
        let off = open_with(&url, &PoolSettings { tls: Tls::Off, ..patient() }).await;
        assert!(!has_tls(&off).await);
        let required = PoolSettings { tls: Tls::Required, ..patient() };
        match open(&url, &required, &Handle::current()).await {
            Ok(encrypted) => {
                assert!(has_tls(&encrypted).await && has_tls(&db).await, "preferred as well");
                // It has signed its certificate itself.
                let verify = PoolSettings { tls: Tls::Verify, ..patient() };
                let refused = open(&url, &verify, &Handle::current()).await.expect_err("unknown");
                assert!(matches!(refused, OpenError::Open { .. }), "{refused}");
            }
            Err(refused) => assert!(refused.to_string().contains("TLS"), "{refused}"),
        }
    }
}

#[test]
fn urls_name_a_user_a_server_and_a_database_and_nothing_else() {
    for url in [
        "mysql://baker@db.example.org:3306/bakery",
        "mariadb://baker@127.0.0.1/bakery",
        "mysql://baker:sourdough@[::1]:3306/bakery",
    ] {
        assert_eq!(crate::Kind::of(url).expect(url), crate::Kind::MySql);
    }
    for url in [
        "mysql:baker:sourdough@db/bakery",
        "mysql://db/bakery",
        "mysql://baker:sourdough@db",
        "mysql://baker:sourdough@db/",
        "mysql://baker:sourdough@db/bakery/oven",
        "mysql://baker:sourdough@/bakery",
        "mariadb://baker:sourdough@db:port/bakery",
        "mysql://baker:sourdough@db/bakery?ssl-mode=DISABLED",
        "mysql://baker:sourdough@db/bakery#x",
    ] {
        let refused = crate::Kind::of(url).expect_err(url).to_string();
        assert!(refused.contains("mysql://USER@HOST:PORT/DATABASE"), "{url}: {refused}");
        assert!(!refused.contains("sourdough"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_a_database_that_is_not() {
    let quick = PoolSettings { acquire_ms_max: 5_000, ..PoolSettings::default() };
    let nowhere = "mysql://baker:sourdough@127.0.0.1:9/bakery";
    let refused = open(nowhere, &quick, &Handle::current()).await.expect_err("nobody listens");
    let says = refused.to_string();
    assert!(says.starts_with("can't open mysql://127.0.0.1:9/bakery: "), "{says}");
    assert!(says.contains("refused") && !says.contains("sourdough"), "{says}");
    for Bakery { url, .. } in bakeries().await {
        let refused = open(&format!("{url}_not"), &quick, &Handle::current()).await;
        let says = refused.expect_err("no such database").to_string();
        assert!(says.contains("1049"), "{says}");
    }
}
