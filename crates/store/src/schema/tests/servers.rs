//! The same on servers, which commit every change of a table by itself and are migrated by many.

use testbed::Database;
use tokio::runtime::Handle;

use super::*;
use crate::mysql::{self, MySql};

async fn bakeries() -> Vec<(MySql, Database)> {
    let mut bakeries = Vec::new();
    for server in std::iter::once(testbed::running::mariadb()).chain(testbed::running::mysql()) {
        let database = Database::create(&server).await;
        bakeries.push((open_at(&database).await, database));
    }
    bakeries
}

async fn open_at(database: &Database) -> MySql {
    let patient = PoolSettings { acquire_ms_max: 30_000, ..PoolSettings::default() };
    mysql::open(database.url(), &patient, &Handle::current()).await.expect("opened")
}

async fn tables(db: &MySql) -> i64 {
    let count = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
    let counted = db.reader.ask(async |it| sqlx::query_scalar(count).fetch_one(it).await);
    counted.await.expect("counted")
}

#[tokio::test]
async fn servers_are_looked_at_and_migrated_like_files() {
    for (db, _database) in bakeries().await {
        let (one, both) = (steps(vec![first()]), steps(vec![first(), second()]));
        let empty = check(&db.reader, &one).await;
        assert!(matches!(empty, Err(MigrateError::Behind(1))), "{empty:?}");
        assert_eq!(tables(&db).await, 0, "looking makes no table");
        for _ in 0..2 {
            migrate(&db.writer, &one).await.expect("migrated");
            check(&db.reader, &one).await.expect("as expected");
        }
        let behind = check(&db.reader, &both).await;
        assert!(matches!(behind, Err(MigrateError::Behind(2))), "{behind:?}");
        migrate(&db.writer, &both).await.expect("migrated");
        let ahead = check(&db.reader, &one).await;
        assert!(matches!(ahead, Err(MigrateError::Ahead(2))), "{ahead:?}");
        let edited = steps(vec![first(), step(2, "ALTER TABLE loaf ADD COLUMN grams INT")]);
        let differs = check(&db.reader, &edited).await;
        assert!(matches!(differs, Err(MigrateError::Differs(2))), "{differs:?}");
    }
}

#[tokio::test]
async fn of_many_who_migrate_at_once_each_finds_it_done() {
    for (_, database) in bakeries().await {
        let migrations = (1..=8).map(|version| {
            let sql = format!("CREATE TABLE loaf_{version} (id INTEGER PRIMARY KEY)");
            let sql = AssertSqlSafe(sql).into_sql_str();
            Migration::new(version, "a loaf".into(), MigrationType::Simple, sql, false)
        });
        let all = steps(migrations.collect());
        let many = futures::future::join_all((0..6).map(|_| open_at(&database))).await;
        let done = many.iter().map(|db| migrate(&db.writer, &all));
        futures::future::try_join_all(done).await.expect("one migrates, the others wait");
        assert_eq!(tables(&many[0]).await, 9, "and one of migrations");
    }
}

#[tokio::test]
async fn a_migration_that_failed_half_way_is_done_again() {
    for (db, _database) in bakeries().await {
        let bad = "CREATE TABLE IF NOT EXISTS loaf (id INTEGER); CREATE TABEL crumb (id INTEGER)";
        let failed = migrate(&db.writer, &steps(vec![step(1, bad)])).await;
        assert!(matches!(failed, Err(MigrateError::Migrate(_))), "{failed:?}");
        let good = "CREATE TABLE IF NOT EXISTS loaf (id INTEGER); CREATE TABLE crumb (id INTEGER)";
        let good = steps(vec![step(1, good)]);
        let half = check(&db.reader, &good).await;
        assert!(matches!(half, Err(MigrateError::Behind(1))), "{half:?}");
        migrate(&db.writer, &good).await.expect("migrated");
        check(&db.reader, &good).await.expect("as expected");
    }
}
