//! The contract on each server that there is, and what only a server can show.

use testbed::{Database, MariaDb};

use super::{super::contract, *};

async fn open(url: &str, settings: &PoolSettings) -> MySqlCatalog {
    let catalog = MySqlCatalog::open(url, settings, 4, &Handle::current()).await.unwrap();
    store::migrate(&catalog.db.writer, &MIGRATIONS).await.unwrap();
    catalog
}

/// Generous, as the machine may be busy.
fn patient() -> PoolSettings {
    PoolSettings { acquire_ms_max: 30_000, call_ms_max: 30_000, ..PoolSettings::default() }
}

async fn keeps_the_contract(server: &str) {
    for part in contract::PARTS {
        let database = Database::create(server).await;
        part(&open(database.url(), &patient()).await).await;
    }
}

#[tokio::test]
async fn it_keeps_the_contract_on_mariadb() {
    keeps_the_contract(&testbed::running::mariadb()).await;
}

#[tokio::test]
async fn it_keeps_the_contract_on_mysql() {
    // The one store that may be missing.
    if let Some(server) = testbed::running::mysql() {
        keeps_the_contract(&server).await;
    }
}

#[tokio::test]
async fn a_retired_shard_is_no_longer_leased_but_its_number_is_known() {
    let database = Database::create(&testbed::running::mariadb()).await;
    let catalog = open(database.url(), &patient()).await;
    assert_eq!(catalog.lease_rows().await.unwrap(), LeaseRows::default());
    let part = contract::PARTS[0];
    part(&catalog).await;
    let retire = sqlx::query("UPDATE shard SET phase = 'RETIRED', epoch = 1");
    catalog.db.writer.ask(async |it: &mut MySqlConnection| retire.execute(it).await).await.unwrap();
    assert_eq!(catalog.lease_rows().await.unwrap(), LeaseRows { highest: 2, rows: Vec::new() });
}

#[tokio::test]
async fn leases_and_loads_are_read_while_a_crowd_asks_for_sales() {
    let database = Database::create(&testbed::running::mariadb()).await;
    let settings = PoolSettings { acquire_ms_max: 1_000, ..PoolSettings::default() };
    let catalog = open(database.url(), &settings).await;
    let mut crowd = Vec::new();
    for _ in 0..settings.readers_max {
        crowd.push(catalog.db.reader.lend().await.unwrap());
    }
    let shard = ShardNo::new(1).unwrap();
    assert!(catalog.sale(SaleId::random()).await.is_err(), "every place is taken");
    assert_eq!(catalog.lease_rows().await.unwrap(), LeaseRows::default());
    assert_eq!(catalog.shard(shard).await.unwrap(), None);
    assert!(!catalog.still_loading(shard, Epoch::new(7).unwrap()).await.unwrap());
    assert_eq!(catalog.due_to_open(1).await.unwrap(), []);
    assert_eq!(catalog.abandoned(Duration::ZERO, 1).await.unwrap(), []);
}

/// What it shows may be old, and a lease that rests on it would outlive its epoch (I-2).
#[tokio::test]
async fn a_former_primary_gives_no_lease() {
    let server = MariaDb::start().await;
    let database = Database::create(&server.url()).await;
    let settings = PoolSettings { acquire_ms_max: 1_000, ..PoolSettings::default() };
    let catalog = open(database.url(), &settings).await;
    for (sql, is_primary) in
        [("SET GLOBAL read_only = ON", false), ("SET GLOBAL read_only = OFF", true)]
    {
        let mut root = <MySqlConnection as sqlx::Connection>::connect(&server.url()).await.unwrap();
        sqlx::query(sql).execute(&mut root).await.unwrap();
        assert_eq!(catalog.lease_rows().await.is_ok(), is_primary, "{sql}");
        assert_eq!(catalog.shard(ShardNo::new(1).unwrap()).await.is_ok(), is_primary, "{sql}");
    }
}
