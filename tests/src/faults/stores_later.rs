//! Roles that are started before their stores wait for them, and then do their work.

use std::fs;

use crate::{
    house::{Offer, eventually},
    shop::{Layout, PATIENCE, Role, Shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_svc_waits_for_its_books() {
    let mut shop = Shop::open(Layout { own_mariadb: true, ..Layout::default() }).await;
    let sale = shop.sell(Offer::default()).await;
    let shopper = shop.shopper(0).await;
    for role in &mut shop.orders {
        role.stop().await;
    }
    let logs: Vec<_> = shop.orders.iter().map(Role::log).collect();
    let mariadb = shop.stores.mariadb.as_mut().expect("it is ours");
    mariadb.kill();
    // A role that gave up instead would fail its start.
    let later = async {
        eventually("both say that they wait", PATIENCE, async || {
            let waits = |said: String| said.contains("a store isn't there yet");
            logs.iter().all(|log| fs::read_to_string(log).is_ok_and(waits)).then_some(())
        })
        .await;
        mariadb.start_again().await;
    };
    let [one, other] = &mut shop.orders[..] else { panic!("there are two") };
    tokio::join!(one.start(), other.start(), later);

    let ticket = shopper.ticket(&sale.item_id, 1, "after").await.expect("the sale is open");
    shopper.purchase(&ticket, 1).await.expect("nothing stands in its way");
    let ledger = shop.at_rest(sale.shard, PATIENCE).await;
    assert_eq!(ledger.placed_orders, 1);
    assert_eq!(shop.rows(sale.shard).await.live_orders, 1);
}
