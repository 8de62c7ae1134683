//! The journal stands still, and dies: nothing is promised that it doesn't have.

use std::time::Duration;

use crate::{
    faults::RUSH,
    shop::{Layout, Shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_promised_while_the_journal_stands_still() {
    let shop = Shop::open(Layout { own_kafka: true, ..Layout::default() }).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    shop.taken(shard, 300).await;
    let kafka = shop.stores.kafka.as_ref().expect("it is ours");
    kafka.pause();
    shop.lasts(Duration::from_secs(20)).await;
    kafka.resume();
    rushing.sells_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_dies_keeps_what_it_acknowledged() {
    let mut shop = Shop::open(Layout { own_kafka: true, ..Layout::default() }).await;
    let rushing = shop.rush(RUSH).await;
    let shard = shop.sale().await.shard;
    shop.taken(shard, 300).await;
    let kafka = shop.stores.kafka.as_mut().expect("it is ours");
    kafka.kill();
    kafka.start_again().await;
    rushing.sells_out().await;
}
