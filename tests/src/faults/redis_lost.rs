//! Redis comes back with less than it had acknowledged, in each of the ways in which that happens.
//! Buyers are told to come back, never that the sale is over; the shard is loaded anew by itself,
//! and every unit is sold once. A run in which Redis lost nothing proves nothing, and fails.

use std::time::Duration;

use ids::ShardNo;
use proto::gateway::v1::PurchaseState;
use testbed::Redis;

use crate::{
    faults::RUSH,
    house::{Offer, Shopper, Ticket, eventually, reason},
    shop::{Layout, Shop},
};

/// From the moment when nobody reaches Redis any more to the first sale after it, restart included.
const GOES_ON_WITHIN: Duration = Duration::from_secs(8);

/// What becomes of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Killed; it comes back with nothing.
    Everything,
    /// Killed; the end of its append-only file is gone.
    Tail,
    /// Killed; it comes back as it was some time before.
    OldDump,
    /// Killed; a replica that had not followed for some time takes its place.
    LaggingReplica,
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_comes_back_empty() {
    sells_out_after(Loss::Everything).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_comes_back_without_its_last_writes() {
    sells_out_after(Loss::Tail).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_comes_back_with_an_old_dump() {
    sells_out_after(Loss::OldDump).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_fails_over_to_a_replica_that_lags() {
    sells_out_after(Loss::LaggingReplica).await;
}

async fn sells_out_after(loss: Loss) {
    let mut shop = Shop::open(Layout::default()).await;
    let replica = Redis::start().await;
    if loss == Loss::LaggingReplica {
        // Before the first load: the first replica changes its master's identity.
        replica.replica_of(&shop.stores.redis).await;
    }
    let prober = Prober::begin(&shop).await;
    let rushing = shop.rush(RUSH).await;
    let sale = shop.sale().await;

    shop.taken(sale.shard, 300).await;
    // What it was then.
    let dump = shop.stores.redis.dump().await;
    if loss == Loss::LaggingReplica {
        replica.promote().await;
    }
    let before = shop.taken(sale.shard, 700).await;

    // From here on nobody reaches it: what it has is what it acknowledged.
    let lost_at = shop.clock.now();
    shop.stores.redis_door.cut();
    let had = orders_in(&shop.stores.redis, sale.shard).await;
    let redis = &mut shop.stores.redis;
    redis.kill();
    let has = match loss {
        Loss::Everything => {
            redis.clear_data();
            redis.start_again().await;
            orders_in(redis, sale.shard).await
        }
        Loss::Tail => {
            redis.cut_aof_tail(64 * 1024);
            redis.start_again().await;
            orders_in(redis, sale.shard).await
        }
        Loss::OldDump => {
            redis.restore_dump(&dump);
            redis.start_again().await;
            orders_in(redis, sale.shard).await
        }
        Loss::LaggingReplica => {
            shop.stores.redis_door.point_to(&format!("127.0.0.1:{}", replica.port()));
            orders_in(&replica, sale.shard).await
        }
    };
    assert!(has < had, "Redis had {had} orders and has {has}: it lost none");
    shop.stores.redis_door.heal();

    prober.buys(&shop, lost_at + GOES_ON_WITHIN).await;
    shop.loaded_anew(sale.shard, before.epoch).await;
    let took = shop.clock.now() - lost_at;
    assert!(took < GOES_ON_WITHIN, "the rush went on after {took:?}");
    rushing.sells_out().await;
    #[expect(clippy::print_stdout, reason = "how much was lost is what makes the run a proof")]
    {
        println!("{loss:?}: Redis lost {} of {had} orders; sold again after {took:?}", had - has);
    }
}

/// A buyer of another sale, which is lost with the rush's, who comes in the middle of it all and
/// hears what buyers hear.
struct Prober {
    shopper: Shopper,
    ticket: Ticket,
}

impl Prober {
    async fn begin(shop: &Shop) -> Self {
        let sale = shop.sell(Offer::default()).await;
        let shopper = shop.shopper(1).await;
        let ticket = shopper.ticket(&sale.item_id, 1, "prober").await.expect("the sale is open");
        Self { shopper, ticket }
    }

    /// Tries until it has bought, which must be before `until` by the shop's clock.
    async fn buys(&self, shop: &Shop, until: Duration) {
        let mut attempt = 0;
        let left = until.saturating_sub(shop.clock.now());
        eventually("something is sold again", left, async || {
            attempt += 1;
            match self.shopper.purchase(&self.ticket, attempt).await {
                Ok(PurchaseState::Accepted) => Some(()),
                Ok(PurchaseState::Processing | PurchaseState::Unspecified) => None,
                Err(status) => {
                    let reason = reason(&status);
                    assert_eq!(reason, "LOADING", "to attempt {attempt}: {status:?}");
                    None
                }
            }
        })
        .await;
    }
}

/// Orders that Redis knows of the shard, whatever epoch they are of; asked past all services.
async fn orders_in(redis: &Redis, shard: ShardNo) -> u64 {
    redis.count_fields(&format!("seckill:{{{shard}}}:*:orders")).await
}
