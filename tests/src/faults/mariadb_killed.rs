//! The database under the books dies in the middle of batches, again and again.

use crate::{
    faults::RUSH,
    shop::{Layout, Shop},
};

const KILLS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn books_whose_database_dies_are_exact() {
    let mut shop = Shop::open(Layout { own_mariadb: true, ..Layout::default() }).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    let step = u64::from(RUSH.units) / (KILLS + 2);
    for kill in 1..=KILLS {
        shop.taken(shard, kill * step).await;
        let mariadb = shop.stores.mariadb.as_mut().expect("it is ours");
        mariadb.kill();
        mariadb.start_again().await;
    }
    rushing.sells_out().await;
    let rows = shop.rows(shard).await;
    assert_eq!((rows.sold, rows.live_orders), (rows.live_units, rows.live_units));
    assert_eq!((rows.duplicate_orders, rows.dead_letters), (0, 0));
}
