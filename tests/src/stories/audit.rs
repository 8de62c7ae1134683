//! The audit is of the stores: one unit that somebody moves by hand, in either of them, makes the
//! command fail, and says which invariant is broken.

use std::{collections::BTreeSet, path::PathBuf, process::Stdio};

use sqlx::{Connection as _, SqliteConnection};
use tokio::process::Command;

use crate::house::{House, Offer, OpenSale, PATIENCE};

/// The program under test, which lies beside the folder of this test's own binary.
fn seckill() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows where it is");
    let program = here.ancestors().nth(2).expect("target/PROFILE/deps").join("seckill");
    assert!(program.exists(), "build it first: cargo build --workspace ({})", program.display());
    program
}

/// What the audit says, and its exit code.
pub(super) async fn audit(house: &House, sale: &OpenSale) -> (Option<i32>, String) {
    let (inventory, order) = (house.inventory_url(), house.orders_url());
    let run = Command::new(seckill())
        .args(["audit", "--sale", &sale.sale_id])
        .args(["--inventory", &inventory, "--order", &order])
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.expect("it ends").expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("it says text"))
}

async fn in_books(house: &House, sql: &'static str) {
    let url = format!("sqlite:{}", house.books_file().display());
    let mut books = SqliteConnection::connect(&url).await.expect("the books are a file");
    let done = sqlx::query(sql).execute(&mut books).await.expect("the damage is good SQL");
    assert_eq!(done.rows_affected(), 1, "nothing was damaged: {sql}");
}

#[tokio::test]
async fn one_unit_moved_by_hand_in_either_store_is_seen() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 5, ..Offer::default() }).await;
    let mut promised = BTreeSet::new();
    for shopper in house.shoppers(3).await {
        let ticket = shopper.ticket(&sale.item_id, 1, "audit").await.expect("a ticket");
        shopper.purchase(&ticket, 1).await.expect("there are units");
        promised.insert(ticket.order_id);
    }
    house.judge(&sale, &promised, PATIENCE).await;
    let (code, said) = audit(&house, &sale).await;
    assert_eq!(code, Some(0), "{said}");

    for delta in [-1, 1] {
        house.ledger.tamper_stock(sale.shard, delta);
        let (code, said) = audit(&house, &sale).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("I-3"), "{said}");
        house.ledger.tamper_stock(sale.shard, -delta);
    }

    // A guard row that lies, then an order that is gone: neither passes, nor do both together,
    // though the guard row and the rows then agree.
    in_books(&house, "UPDATE shard SET sold = sold - 1").await;
    let (code, said) = audit(&house, &sale).await;
    assert_eq!(code, Some(1), "{said}");
    in_books(&house, "DELETE FROM orders WHERE order_id = (SELECT MIN(order_id) FROM orders)")
        .await;
    let (code, said) = audit(&house, &sale).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("I-3"), "{said}");
    house.close().await;
}
