//! One of two inventory-svc is cut off: from Redis, refused or in silence, from its catalog, or it
//! is only slow. The other can serve everybody, so buyers hardly notice; and when it is over, both
//! work. When all of them have lost the ledger, buyers are told to come back, never SOLD_OUT.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::{Clock, Stopper};
use futures::future::join_all;
use proto::gateway::v1::PurchaseState;

use crate::{
    house::{Offer, OpenSale, Shopper, eventually, reason},
    shop::{Apart, Layout, PATIENCE, Shop},
};

const BUYERS: usize = 16;
/// Between two purchases of a buyer.
const PAUSE: Duration = Duration::from_millis(100);
/// How long each fault lasts, and those that come before and after it.
const LASTS: Duration = Duration::from_secs(9);
/// From so long after the cut on, 99 of 100 first attempts are served. 2 s are the promise, whose
/// figures are printed; a machine that does other work too is judged from here on.
const PROMISED: Duration = Duration::from_secs(2);
const JUDGED: Duration = Duration::from_secs(4);
/// Holds that each of the two takes before it is believed to work.
const WORKS: f64 = 10.0;

/// What became of first attempts, each with the moment at which it was sent.
struct Tally {
    clock: Clock,
    all: Mutex<Vec<(Duration, String)>>,
}

impl Tally {
    fn note(&self, sent_at: Duration, what: String) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push((sent_at, what));
    }

    /// Those that were sent in this time.
    fn between(&self, from: Duration, to: Duration) -> Vec<String> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = all.iter().filter(|(at, _)| from <= *at && *at < to);
        sent.map(|(_, what)| what.clone()).collect()
    }

    fn accepted(&self) -> u64 {
        self.between(Duration::ZERO, Duration::MAX).iter().filter(|what| *what == ACCEPTED).count()
            as u64
    }
}

const ACCEPTED: &str = "ACCEPTED";

/// The part that was accepted, in percent, and all others by what they were told.
fn share(told: &[String]) -> (f64, Vec<&str>) {
    let mut others: Vec<_> = told.iter().map(String::as_str).filter(|it| *it != ACCEPTED).collect();
    let share = 100.0 * (told.len() - others.len()) as f64 / told.len().max(1) as f64;
    others.sort_unstable();
    others.dedup();
    (share, others)
}

/// Buys one unit after the other, each with a ticket of its own, and never asks twice.
async fn buy(shopper: Shopper, sale: &OpenSale, tally: &Tally, stopper: &Stopper) {
    let mut ticks = tokio::time::interval(PAUSE);
    let mut wishes = 0_u32;
    while !stopper.is_stopped() {
        ticks.tick().await;
        wishes += 1;
        // Who has no ticket can't try; those are not what this is about.
        let Ok(ticket) = shopper.ticket(&sale.item_id, 1, &format!("wish {wishes}")).await else {
            continue;
        };
        let sent_at = tally.clock.now();
        let told = match shopper.purchase(&ticket, 1).await {
            Ok(PurchaseState::Accepted) => ACCEPTED.to_owned(),
            Ok(state) => state.as_str_name().to_owned(),
            Err(status) => reason(&status),
        };
        tally.note(sent_at, told);
    }
}

/// A shop with a sale that nobody can sell out, and buyers who go on buying while `story` is told.
async fn while_buying(story: impl AsyncFn(&Shop, &Tally)) {
    let shop = Shop::open(Layout { one_apart: true, ..Layout::default() }).await;
    let sale =
        shop.sell(Offer { units: 1_000_000, limit_per_user: 1_000, ..Offer::default() }).await;
    let mut buyers = Vec::new();
    for place in 0..BUYERS {
        buyers.push(shop.shopper(place % 2).await);
    }
    let tally = Tally { clock: shop.clock.clone(), all: Mutex::default() };
    let stopper = Stopper::new();
    let buying = join_all(buyers.into_iter().map(|buyer| buy(buyer, &sale, &tally, &stopper)));
    let telling = async {
        both_work(&shop).await;
        story(&shop, &tally).await;
        both_work(&shop).await;
        stopper.stop();
    };
    tokio::join!(buying, telling);

    let ledger = shop.at_rest(sale.shard, PATIENCE).await;
    let rows = shop.rows(sale.shard).await;
    assert!(rows.live_orders >= tally.accepted(), "{rows:?}");
    assert_eq!((rows.rejected_orders, rows.duplicate_orders), (0, 0));
    assert_eq!(ledger.placed_orders, rows.live_orders);
    assert_eq!(ledger.stock + rows.live_units, 1_000_000);
}

/// Waits until both inventory-svc are ready, and each has taken units since then.
async fn both_work(shop: &Shop) {
    for role in &shop.inventories {
        eventually("it is ready", PATIENCE, async || role.is_ready().await.then_some(())).await;
        let held =
            async || role.metric("seckill_inventory_reserve_entries_total{answer=\"held\"}").await;
        let before = held().await;
        eventually("it takes units", PATIENCE, async || {
            (held().await >= before + WORKS).then_some(())
        })
        .await;
    }
}

/// One fault of the second inventory-svc.
async fn outlives(
    shop: &Shop,
    tally: &Tally,
    name: &str,
    fault: impl Fn(&Apart),
    heal: impl Fn(&Apart),
) {
    let apart = shop.stores.apart.as_ref().expect("the layout has it");
    let cut_at = tally.clock.now();
    fault(apart);
    shop.lasts(LASTS).await;
    let healed_at = tally.clock.now();
    heal(apart);

    let promised = tally.between(cut_at + PROMISED, healed_at);
    let judged = tally.between(cut_at + JUDGED, healed_at);
    #[expect(clippy::print_stdout, reason = "the figures are what the promise is about")]
    {
        let all = tally.between(cut_at, healed_at);
        println!(
            "{name}: accepted {:?} of {} from the cut on, {:?} from 2 s on, {:?} from 4 s on",
            share(&all),
            all.len(),
            share(&promised),
            share(&judged),
        );
    }
    assert!(judged.len() > BUYERS, "{name}: hardly anybody could try");
    let (percent, others) = share(&judged);
    assert!(percent >= 99.0, "{name}: {percent} %, others were told {others:?}");
    both_work(shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_its_redis_is_passed_by() {
    while_buying(async |shop, tally| {
        let heal = |apart: &Apart| apart.redis.heal();
        outlives(shop, tally, "redis refuses", |apart| apart.redis.cut(), heal).await;
        outlives(shop, tally, "redis is silent", |apart| apart.redis.black_hole(), heal).await;
        let slow = |apart: &Apart| apart.redis.slow(Duration::from_secs(1));
        outlives(shop, tally, "redis is slow", slow, heal).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_its_catalog_is_passed_by() {
    while_buying(async |shop, tally| {
        let heal = |apart: &Apart| apart.catalog.heal();
        outlives(shop, tally, "catalog refuses", |apart| apart.catalog.cut(), heal).await;
        outlives(shop, tally, "catalog is silent", |apart| apart.catalog.black_hole(), heal).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_or_silent_itself_is_passed_by() {
    while_buying(async |shop, tally| {
        let heal = |apart: &Apart| apart.way.heal();
        let slow = |apart: &Apart| apart.way.slow(Duration::from_secs(1));
        outlives(shop, tally, "the way is slow", slow, heal).await;
        outlives(shop, tally, "the way is silent", |apart| apart.way.black_hole(), heal).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_have_lost_the_ledger_nothing_is_said_to_be_sold_out() {
    while_buying(async |shop, tally| {
        let cut_at = tally.clock.now();
        shop.stores.redis_door.cut();
        for role in &shop.inventories {
            eventually("it isn't ready", PATIENCE, async || (!role.is_ready().await).then_some(()))
                .await;
        }
        shop.lasts(LASTS).await;
        let healed_at = tally.clock.now();
        shop.stores.redis_door.heal();
        let told = tally.between(cut_at + PROMISED, healed_at);
        assert!(told.len() > BUYERS, "hardly anybody could try");
        let comes_back = ["LOADING", "UPSTREAM_UNAVAILABLE"];
        let (percent, others) = share(&told);
        assert!(percent == 0.0, "{percent} % were accepted");
        assert!(others.iter().all(|told| comes_back.contains(told)), "{others:?}");
    })
    .await;
}
