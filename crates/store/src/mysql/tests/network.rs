//! Servers that vanish, and primaries that are none any more.

use sqlx::Connection as _;
use testbed::{MariaDb, Proxy};

use super::*;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of which one connection at a time is lent, through a proxy. Whoever waits gives up
/// after a second.
async fn far_away() -> (Proxy, MySql, Database) {
    let database = Database::create(&testbed::running::mariadb()).await;
    let address = database.url().split(['@', '/']).nth(3).expect("HOST:PORT").to_owned();
    let proxy = Proxy::to(&address).await;
    let settings = PoolSettings {
        readers_max: 1,
        writers_max: 1,
        acquire_ms_max: 1_000,
        call_ms_max: 1_000,
        ..PoolSettings::default()
    };
    let db = open_with(&database.url().replace(&address, &proxy.addr()), &settings).await;
    (proxy, db, database)
}

/// Asks until there is an answer.
async fn answers_again(at: &Connections) {
    let asking = async { while write(at, "DO 1").await.is_err() {} };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes back by itself");
}

#[tokio::test]
async fn a_server_that_vanished_is_waited_for_as_long_as_was_said() {
    let (proxy, db, _database) = far_away().await;
    write(&db.writer, "DO 1").await.expect("it is there");
    proxy.black_hole();
    for _ in 0..2 {
        let asking = tokio::time::timeout(PATIENCE, write(&db.writer, "DO 1"));
        asking.await.expect("within a second").expect_err("nobody hears it");
    }
    proxy.heal();
    answers_again(&db.writer).await;
}

/// What was given back is looked at before it is lent again; a look without an end would cost the
/// place of the connection for as long as the network is patient.
#[tokio::test]
async fn a_server_that_vanishes_between_two_calls_costs_no_place() {
    let (proxy, db, _database) = far_away().await;
    let mut lent = db.writer.lend().await.expect("lent");
    sqlx::query("DO 1").execute(&mut *lent).await.expect("it is there");
    proxy.black_hole();
    lent.give_back();
    // Another line to the same server, while the first one hears nothing.
    let freed = async {
        while db.writer.size() > 0 {
            tokio::task::yield_now().await;
        }
    };
    // Before the server itself would end it.
    tokio::time::timeout(Duration::from_secs(15), freed).await.expect("it is given up");
    proxy.heal();
    answers_again(&db.writer).await;
}

#[tokio::test]
async fn what_was_the_primary_is_neither_written_nor_read() {
    let server = MariaDb::start().await;
    let database = Database::create(&server.url()).await;
    let hasty = PoolSettings { acquire_ms_max: 1_000, ..PoolSettings::default() };
    let db = open_with(database.url(), &hasty).await;
    let replica = replica(database.url(), &hasty, &Handle::current()).expect("a URL");
    write(&db.writer, "CREATE TABLE loaf (id BIGINT)").await.expect("a table");
    assert_eq!(loaves(&db.reader).await, 0);

    let by_hand = async |sql: &'static str| {
        let mut root = sqlx::MySqlConnection::connect(&server.url()).await.expect("root");
        sqlx::query(sql).execute(&mut root).await.expect("done");
    };
    by_hand("SET GLOBAL read_only = ON").await;
    for at in [&db.reader, &db.writer] {
        assert_eq!(write(at, "SELECT 1").await, Err(Trouble::Lost), "there is no primary");
        let says = at.lend().await.expect_err("as before").to_string();
        assert!(says.ends_with("the server is read-only"), "not only that it waited: {says}");
    }
    assert_eq!(loaves(&replica).await, 0, "and a replica is one");
    let refused = open(database.url(), &hasty, &Handle::current()).await;
    let says = refused.expect_err("it may not be written").to_string();
    assert!(says.ends_with("the server is read-only"), "{says}");

    by_hand("SET GLOBAL read_only = OFF").await;
    answers_again(&db.writer).await;
    answers_again(&db.reader).await;
}
