//! The books are put back to a copy of some moments ago, and then nobody buys anything: what buyers
//! were promised since is in the books again within seconds, by itself, and the ledger is loaded
//! from them.

use std::{collections::BTreeSet, time::Duration};

use crate::house::{House, Kind, Offer, OpenSale, PATIENCE, Shopper, by_hand, eventually};

const UNITS: u32 = 20;

const KEEP_A_COPY: &str = "CREATE TABLE orders_copy AS SELECT * FROM orders; \
     CREATE TABLE shard_copy AS SELECT * FROM shard; \
     CREATE TABLE position_copy AS SELECT * FROM journal_position;";

/// One transaction, as whoever reads the books sees a restore.
const PUT_BACK: &str = "BEGIN; \
     DELETE FROM orders; INSERT INTO orders SELECT * FROM orders_copy; \
     DELETE FROM shard; INSERT INTO shard SELECT * FROM shard_copy; \
     DELETE FROM journal_position; INSERT INTO journal_position SELECT * FROM position_copy; \
     COMMIT;";

/// Each of them buys a unit, and the books have it before the next one does.
async fn buy(house: &House, sale: &OpenSale, shoppers: &[Shopper]) -> BTreeSet<String> {
    let mut promised = BTreeSet::new();
    for shopper in shoppers {
        let ticket = shopper.ticket(&sale.item_id, 1, "buy").await.expect("a ticket");
        shopper.buy(&ticket, 1).await;
        promised.insert(ticket.order_id);
        house.at_rest(sale, PATIENCE).await;
    }
    promised
}

async fn are_put_back(kind: Kind) {
    // The one store that may be missing.
    let Some(house) = House::open_on(kind).await else { return };
    let offer = Offer { units: UNITS, lease: Duration::from_millis(200), ..Offer::default() };
    let sale = house.sell(offer).await;
    let shoppers = house.shoppers(UNITS).await;
    let (early, late) = shoppers.split_at(5);
    let mut promised = buy(&house, &sale, early).await;
    by_hand(&house.books_url(), KEEP_A_COPY).await;
    promised.extend(buy(&house, &sale, late).await);
    let before = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((before.ledger.stock, before.books.live_orders), (0, u64::from(UNITS)));

    by_hand(&house.books_url(), PUT_BACK).await;
    eventually("each row is back", Duration::from_secs(10), async || {
        let books = house.counts(&sale).await.ok()?.books;
        (books.live_orders == u64::from(UNITS)).then_some(())
    })
    .await;
    eventually("the ledger is loaded from them", PATIENCE, async || {
        let ledger = house.counts(&sale).await.ok()?.ledger;
        (ledger.epoch != before.ledger.epoch).then_some(())
    })
    .await;
    let after = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((after.ledger.stock, after.books.rejected_orders), (0, 0));
    house.close().await;
}

#[tokio::test]
async fn books_in_a_file_that_are_put_back_are_whole_again() {
    are_put_back(Kind::Sqlite).await;
}

#[tokio::test]
async fn books_on_mariadb_that_are_put_back_are_whole_again() {
    are_put_back(Kind::MariaDb).await;
}

#[tokio::test]
async fn books_on_mysql_that_are_put_back_are_whole_again() {
    are_put_back(Kind::MySql).await;
}
