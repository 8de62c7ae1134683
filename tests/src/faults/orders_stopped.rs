//! order-svc stands still, dies in the middle of batches, and wakes up beside its successor.

use std::time::Duration;

use crate::{
    faults::RUSH,
    shop::{Layout, Shop},
};

/// Longer than the consumer group waits before it gives a member's partitions to another.
const OUT_OF_THE_GROUP: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_goes_on_while_the_books_stand_still() {
    let mut shop = Shop::open(Layout::default()).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    let before = shop.taken(shard, 300).await;
    for role in &mut shop.orders {
        role.stop().await;
    }
    shop.lasts(Duration::from_secs(20)).await;
    let meanwhile = shop.ledger(shard).await.expect("it stays loaded");
    let taken =
        |count: &proto::inventory::v1::CountShardResponse| count.open_holds + count.placed_orders;
    assert!(taken(&meanwhile) > taken(&before), "the sale stood still with the books");
    for role in &mut shop.orders {
        role.start().await;
    }
    rushing.sells_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_cut_short_are_done_once() {
    let mut shop = Shop::open(Layout::default()).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    for (round, taken) in (300..1_800).step_by(300).enumerate() {
        shop.taken(shard, taken).await;
        let role = &mut shop.orders[round % 2];
        role.kill();
        role.start().await;
    }
    rushing.sells_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_on_one_partition_write_nothing_twice() {
    let shop = Shop::open(Layout::default()).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    for (round, taken) in [300, 1_000].into_iter().enumerate() {
        shop.taken(shard, taken).await;
        // Its partitions go to the other; when it wakes, it doesn't know yet.
        shop.orders[round % 2].freeze();
        shop.lasts(OUT_OF_THE_GROUP).await;
        shop.orders[round % 2].wake();
    }
    rushing.sells_out().await;
}
