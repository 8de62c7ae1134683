//! The contract on files, and what only a file can show.

use tempfile::TempDir;

use super::{super::contract, *};

async fn open(dir: &TempDir) -> SqliteCatalog {
    open_with(dir, &PoolSettings::default()).await
}

async fn open_with(dir: &TempDir, settings: &PoolSettings) -> SqliteCatalog {
    let url = format!("sqlite:{}", dir.path().join("inventory.db").display());
    let catalog = SqliteCatalog::open(&url, settings, 4, Clock::system()).await.unwrap();
    store::migrate(&catalog.db.writer, &MIGRATIONS).await.unwrap();
    catalog
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for part in contract::PARTS {
        let dir = TempDir::new().unwrap();
        part(&open(&dir).await).await;
    }
}

#[tokio::test]
async fn it_outlives_its_process() {
    let dir = TempDir::new().unwrap();
    let shard = ShardNo::new(1).unwrap();
    let to = Epoch::new(7).unwrap();
    {
        let catalog = open(&dir).await;
        let draft = crate::domain::sale::SaleDraft {
            request_id: "r".to_owned(),
            title: "t".to_owned(),
            items: vec![crate::domain::sale::ItemDraft {
                sku: "s".to_owned(),
                title: "t".to_owned(),
                price: Some(("EUR".to_owned(), 1)),
                total_units: 1,
                limit_per_user: 1,
                ..Default::default()
            }],
        };
        let sale = catalog.create_sale(&draft.check().unwrap(), "ann", 1, 0).await.unwrap();
        let (item, phase) = (sale.items[0].id, crate::domain::sale::Phase::New);
        let seen = Seen { shard, item, phase, epoch: None };
        let claim = Claim { to, lasts: Duration::from_secs(5), ledger_address: "memory" };
        assert!(catalog.begin_loading(seen, claim).await.unwrap());
    }
    let catalog = open(&dir).await;
    assert!(catalog.still_loading(shard, to).await.unwrap());
    assert_eq!(catalog.lease_rows().await.unwrap().highest, 1);
}

#[tokio::test]
async fn a_retired_shard_is_no_longer_leased_but_its_number_is_known() {
    let dir = TempDir::new().unwrap();
    let catalog = open(&dir).await;
    assert_eq!(catalog.lease_rows().await.unwrap(), LeaseRows::default());
    let part = contract::PARTS[0];
    part(&catalog).await;
    sqlx::query("UPDATE shard SET phase = 'RETIRED', epoch = 1")
        .execute(&catalog.db.writer)
        .await
        .unwrap();
    assert_eq!(catalog.lease_rows().await.unwrap(), LeaseRows { highest: 2, rows: Vec::new() });
}

#[tokio::test]
async fn leases_and_loads_are_read_while_a_crowd_asks_for_sales() {
    let dir = TempDir::new().unwrap();
    let settings = PoolSettings { acquire_ms_max: 500, ..PoolSettings::default() };
    let catalog = open_with(&dir, &settings).await;
    let mut crowd = Vec::new();
    for _ in 0..settings.readers_max {
        crowd.push(catalog.db.reader.acquire().await.unwrap());
    }
    let shard = ShardNo::new(1).unwrap();
    assert!(catalog.sale(SaleId::random()).await.is_err(), "every place is taken");
    assert_eq!(catalog.lease_rows().await.unwrap(), LeaseRows::default());
    assert_eq!(catalog.shard(shard).await.unwrap(), None);
    assert!(!catalog.still_loading(shard, Epoch::new(7).unwrap()).await.unwrap());
    assert_eq!(catalog.due_to_open(1).await.unwrap(), []);
    assert_eq!(catalog.abandoned(Duration::ZERO, 1).await.unwrap(), []);
}
