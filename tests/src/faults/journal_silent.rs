//! The journal is silent for longer than anybody waits, and the holds that were taken meanwhile are
//! nobody's but the roll-forward's: two inventory-svc publish them as soon as they can.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::interval};

use crate::{
    house::Offer,
    shop::{Layout, Shop},
};

const SILENCE: Duration = Duration::from_secs(35);

/// Five purchases a second at each gateway, of which holds are those that it lets through: the
/// first ones, and probes later on.
const EVERY: Duration = Duration::from_millis(200);

/// From the moment when the journal is back. It takes less than 10 s on a quiet machine: the last
/// hold is due 5 s after it was taken. With a back-off that grows in the outage it took 75 s.
const ROWS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_journal_left_is_in_the_books_soon_after() {
    let shop = Shop::open(Layout { own_kafka: true, ..Layout::default() }).await;
    let offer = Offer { units: 1_000, limit_per_user: 1_000, ..Offer::default() };
    let sale = shop.sell(offer).await;
    let shoppers = [shop.shopper(0).await, shop.shopper(1).await];
    let item_id: Arc<str> = sale.item_id.as_str().into();
    let kafka = shop.stores.kafka.as_ref().expect("it is ours");

    kafka.pause();
    let silent_since = shop.clock.now();
    let (mut inside, mut ticks, mut wishes) = (JoinSet::new(), interval(EVERY), 0);
    while shop.clock.now() - silent_since < SILENCE {
        ticks.tick().await;
        for shopper in shoppers.clone() {
            wishes += 1;
            let (item_id, wish) = (Arc::clone(&item_id), format!("wish {wishes}"));
            inside.spawn(async move {
                // Nobody comes back: what becomes of it is the shop's own affair.
                if let Ok(ticket) = shopper.ticket(&item_id, 1, &wish).await {
                    drop(shopper.purchase(&ticket, 1).await);
                }
            });
        }
    }
    let open = shop.taken(sale.shard, 1).await.open_holds;
    assert!(open > 0, "a journal that is silent decides nothing");
    kafka.resume();
    let back_at = shop.clock.now();
    let ledger = shop.at_rest(sale.shard, ROWS_WITHIN).await;
    let took = shop.clock.now() - back_at;
    inside.join_all().await;

    let rows = shop.rows(sale.shard).await;
    assert_eq!(rows.live_orders, ledger.placed_orders, "every hold is a row");
    assert_eq!((rows.duplicate_orders, rows.rejected_orders), (0, 0));
    #[expect(clippy::print_stdout, reason = "a measurement is worth reading")]
    {
        println!("the last of {open} holds was a row {took:?} after the journal was back");
    }
}
