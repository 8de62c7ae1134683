//! The journal stands still, and dies: nothing is promised that it doesn't have.

use std::{sync::Arc, time::Duration};

use chassis::Clock;
use proto::gateway::v1::PurchaseState;
use tokio::{task::JoinSet, time::interval};
use tonic::Status;
use uuid::Uuid;

use crate::{
    faults::RUSH,
    house::{Offer, Shopper, eventually, reason},
    shop::{Layout, PATIENCE, Shop},
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

/// For longer than anybody waits.
const SILENCE: Duration = Duration::from_secs(35);
/// From when on a buyer is refused before a hold is taken: what is late is known after a second.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);
/// At each gateway: fifty a second.
const EVERY: Duration = Duration::from_millis(20);
/// As shipped: probes of one core, and how often they are let through when nothing answers (after
/// 1, 2 and then each 4 s, and a second until they are late).
const PROBES: u64 = 3;
const PROBED_MAX: u64 = 3 + SILENCE.as_secs() / 5;

/// From the moment when the journal is back until every hold is a row, also of those who were let
/// in first. It takes less than 10 s on a quiet machine: see `journal_silent`.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "a measurement is worth reading also where it passes")]
async fn a_silent_journal_is_noticed_and_few_holds_are_taken_meanwhile() {
    let shop = Shop::open(Layout { own_kafka: true, ..Layout::default() }).await;
    let offer = Offer { units: 100_000, limit_per_user: 1_000, ..Offer::default() };
    let sale = shop.sell(offer).await;
    let mut buyers = Vec::new();
    for _ in 0..4 {
        buyers.push([shop.shopper(0).await, shop.shopper(1).await]);
    }
    let usual = buy(&buyers, &sale.item_id, Duration::from_secs(2)).await;
    let accepted = |bought: &[Bought]| bought.iter().filter(|one| one.is_accepted()).count();
    assert!(accepted(&usual) * 10 > usual.len() * 9, "{} of {}", accepted(&usual), usual.len());
    let taken = async || {
        let count = shop.taken(sale.shard, 0).await;
        count.open_holds + count.placed_orders
    };
    let before = taken().await;

    let kafka = shop.stores.kafka.as_ref().expect("it is ours");
    kafka.pause();
    let bought = buy(&buyers, &sale.item_id, SILENCE).await;
    let holds = taken().await - before;
    kafka.resume();
    let back_at = shop.clock.now();

    let mut unasked = 0;
    for gateway in 0..shop.gateways.len() {
        let of = || bought.iter().filter(|one| one.gateway == gateway);
        let refused_at = of().filter(|one| one.is_refused()).map(|one| one.came_at).min();
        let refused_at = refused_at.expect("a breaker opens");
        assert!(refused_at <= NOTICED_WITHIN, "gateway {gateway} refuses after {refused_at:?}");
        // Those who came before anybody could know are under way.
        unasked += of().filter(|one| one.came_at <= NOTICED_WITHIN).count() as u64;
    }
    let holds_max = unasked + shop.gateways.len() as u64 * PROBES * PROBED_MAX;
    let refused = bought.iter().filter(|one| one.is_refused()).count();
    eprintln!("{refused} of {} refused, {holds} holds, at most {holds_max}", bought.len());
    assert!(holds <= holds_max, "{holds} holds, and {holds_max} had to be the most");

    eventually("it is sold again", PATIENCE, async || {
        let again = buy(&buyers, &sale.item_id, Duration::from_millis(100)).await;
        (accepted(&again) == again.len()).then_some(())
    })
    .await;
    let within = SETTLED_WITHIN.saturating_sub(shop.clock.now() - back_at);
    let count = shop.at_rest(sale.shard, within).await;
    eprintln!(
        "the last hold was a row {:?} after the journal was back",
        shop.clock.now() - back_at
    );
    let rows = shop.rows(sale.shard).await;
    assert_eq!(rows.duplicate_orders, 0);
    assert_eq!(rows.live_orders, count.placed_orders, "every hold is a row");
}

/// What somebody was told who came at that time.
struct Bought {
    gateway: usize,
    came_at: Duration,
    told: Result<PurchaseState, Status>,
}

impl Bought {
    fn is_accepted(&self) -> bool {
        matches!(self.told, Ok(PurchaseState::Accepted))
    }

    /// Before a hold was taken.
    fn is_refused(&self) -> bool {
        let refused = ["UPSTREAM_UNAVAILABLE", "OVERLOADED"];
        self.told.as_ref().is_err_and(|status| refused.contains(&&*reason(status)))
    }
}

/// Buyers take turns, one at each gateway at a time, and come at a fixed rate, whatever became of
/// those before, each with a wish of its own.
async fn buy(buyers: &[[Shopper; 2]], item_id: &str, during: Duration) -> Vec<Bought> {
    let (clock, item_id): (Clock, Arc<str>) = (Clock::system(), item_id.into());
    let (begun_at, mut inside) = (clock.now(), JoinSet::new());
    let mut ticks = interval(EVERY);
    for buyers in buyers.iter().cycle() {
        ticks.tick().await;
        let came_at = clock.now() - begun_at;
        if came_at >= during {
            break;
        }
        for (gateway, buyer) in buyers.iter().cloned().enumerate() {
            let item_id = Arc::clone(&item_id);
            inside.spawn(async move {
                let wish = Uuid::new_v4().to_string();
                let told = match buyer.ticket(&item_id, 1, &wish).await {
                    Ok(ticket) => buyer.purchase(&ticket, 1).await,
                    Err(status) => Err(status),
                };
                Bought { gateway, came_at, told }
            });
        }
    }
    inside.join_all().await
}
