//! Two inventory-svc load one shard of a lost Redis. One freezes before any of its steps, is
//! overtaken, and wakes; or it dies there. Either way the shard opens, everything in it is right,
//! and it sells (protocol, section 7).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use inventory_svc::ledger::redis::RedisLedger;
use proto::gateway::v1::PurchaseState;
use testbed::Redis;
use tokio::runtime::Handle;

use crate::house::{House, Offer, OpenSale, PATIENCE, Shopper, eventually, reason};

/// Everything that an attempt does after a loss, in its order. No holds are published: those of a
/// lost ledger can't be read.
const STEPS: [&str; 9] = [
    "inventory.before_claim",
    "inventory.before_close",
    "inventory.before_read_books",
    "inventory.before_check_claim",
    "inventory.before_check_holds",
    "inventory.before_publish_change",
    "inventory.before_stage",
    "inventory.before_activate",
    "inventory.before_open",
];
const LEASE: Duration = Duration::from_millis(200);
const LOADER_LEASE: Duration = Duration::from_millis(500);

/// What happens to the first loader where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Wakes,
    Dies,
}

#[tokio::test]
async fn a_loader_that_froze_before_any_step_does_no_harm_when_it_wakes() {
    Box::pin(load_with_a_stop_before_each_step(Fate::Wakes)).await;
}

#[tokio::test]
async fn a_loader_that_died_before_any_step_is_taken_over() {
    Box::pin(load_with_a_stop_before_each_step(Fate::Dies)).await;
}

async fn load_with_a_stop_before_each_step(fate: Fate) {
    for step in STEPS {
        stop_before(step, fate).await;
    }
}

async fn stop_before(step: &'static str, fate: Fate) {
    let mut redis = Redis::start().await;
    let settings = inventory_svc::Config::load(None).expect("the defaults are good").ledger;
    let ledger = RedisLedger::connect(&redis.url(), &settings, &Handle::current());
    let ledger = Arc::new(ledger.expect("its address is good"));
    let mut house = House::open_with_two_loaders(ledger, LOADER_LEASE).await;
    let sale = house.sell(Offer { lease: LEASE, ..Offer::default() }).await;
    let shoppers = house.shoppers(3).await;
    let mut promised = BTreeSet::from([buys(&shoppers[0], &sale, step).await]);

    // The first one goes ahead until it stops; while it does, its claim isn't renewed either.
    let behind = house.neighbour_pause.arm("inventory.before_claim");
    let stopped = house.inventory_pause.arm(step);
    let renewal = house.inventory_pause.arm("inventory.before_renew");
    redis.kill();
    redis.clear_data();
    redis.start_again().await;
    tokio::time::timeout(PATIENCE, stopped.hit(1)).await.unwrap_or_else(|_| panic!("{step}"));
    if fate == Fate::Dies {
        house.crash_inventory().await;
    }
    behind.release();
    promised.insert(buys(&shoppers[1], &sale, step).await);

    match fate {
        Fate::Wakes => {
            stopped.release();
            renewal.release();
        }
        Fate::Dies => house.start_inventory().await,
    }
    promised.insert(buys(&shoppers[2], &sale, step).await);
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (3, 7), "{step}");
    house.close().await;
}

/// Sends a ticket until it is accepted, and answers which order it is. Nobody may hear that the
/// sale is over.
async fn buys(shopper: &Shopper, sale: &OpenSale, step: &str) -> String {
    let ticket = shopper.ticket(&sale.item_id, 1, "buy").await.expect("a ticket");
    let mut attempt = 0;
    eventually(&format!("a purchase, with a loader stopped {step}"), PATIENCE, async || {
        attempt += 1;
        match shopper.purchase(&ticket, attempt).await {
            Ok(PurchaseState::Accepted) => Some(()),
            Ok(PurchaseState::Processing | PurchaseState::Unspecified) => None,
            Err(status) => {
                assert_eq!(reason(&status), "LOADING", "{step}: {status:?}");
                None
            }
        }
    })
    .await;
    ticket.order_id
}
