//! What keeps the service from starting, and what a start brings.

use inventory_svc::Config;
use proto::inventory::v1::GetSaleRequest;
use testbed::Database;
use tonic::Code;

use crate::house::{House, config, eventually};

async fn refusal(house: &House, config: Config) -> String {
    match house.build(config).await {
        Ok(_) => panic!("it starts"),
        Err(refused) => refused.to_string(),
    }
}

#[tokio::test]
async fn it_refuses_a_catalog_without_its_schema_until_that_is_made() {
    let house = House::open().await;
    let dir = tempfile::TempDir::new().unwrap();
    let database = Database::create(&testbed::running::mariadb()).await;
    let in_a_file = Config { migrate_on_start: false, ..config(&dir) };
    let on_a_server = Config { catalog_url: database.url().to_owned(), ..in_a_file.clone() };
    for bare in [in_a_file, on_a_server] {
        let sentence = refusal(&house, bare.clone()).await;
        assert!(sentence.starts_with("catalog: the schema lacks migration 1"), "{sentence}");
        inventory_svc::migrate(&bare).await.unwrap();
        inventory_svc::migrate(&bare).await.unwrap();
        assert!(house.build(bare).await.is_ok());
    }
}

#[tokio::test]
async fn it_refuses_an_address_that_is_none() {
    let house = House::open().await;
    let mut wrong = house.config.clone();
    wrong.upstream.order_svc = "order-svc".to_owned();
    let sentence = refusal(&house, wrong).await;
    assert!(sentence.contains("order-svc"), "{sentence}");
}

#[tokio::test]
async fn sales_in_a_file_outlive_the_process() {
    sales_outlive_the_process(House::open().await).await;
}

#[tokio::test]
async fn sales_on_a_server_outlive_the_process() {
    let database = Database::create(&testbed::running::mariadb()).await;
    let url = database.url().to_owned();
    sales_outlive_the_process(House::open_with(|config| config.catalog_url = url).await).await;
}

async fn sales_outlive_the_process(mut house: House) {
    let (shard, epoch) = house.open_shard().await;
    let sale = house.create("kept").await;
    house.crash();
    house.start().await;
    let request = GetSaleRequest { sale_id: sale.sale_id.clone() };
    let mut found = None;
    eventually("it answers", async || {
        found = house.catalog().get_sale(request.clone()).await.ok();
        found.is_some()
    })
    .await;
    assert_eq!(found.unwrap().into_inner().sale, Some(sale));
    assert_eq!(house.opened(shard).await, epoch, "the ledger lives on, so does its epoch");
    let unknown = GetSaleRequest { sale_id: ids::SaleId::random().to_string() };
    assert_eq!(house.catalog().get_sale(unknown).await.unwrap_err().code(), Code::NotFound);
}
