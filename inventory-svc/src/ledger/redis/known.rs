//! All order ids of a shard, page by page: Redis serves others between two pages.

use std::collections::BTreeMap;

use ids::{OrderId, ShardNo};

use super::{RedisLedger, reply::KnownPage};
use crate::ledger::{Error, KnownOrder, KnownOrders};

/// Orders in a page, roughly: less than a millisecond, for which nobody else is served.
const PAGE: usize = 1_000;

/// Where the first page begins, and what follows the last one.
const ENDS: &str = "0";

pub(super) async fn known(redis: &RedisLedger, shard: ShardNo) -> Result<KnownOrders, Error> {
    // A page may repeat what one before had; the later one is right.
    let mut orders: BTreeMap<OrderId, KnownOrder> = BTreeMap::new();
    let mut loaded = None;
    let mut cursor = ENDS.to_owned();
    loop {
        let mut command = redis.reading("known", shard);
        command.arg(&cursor).arg(PAGE);
        let page = redis.done(&redis.work, command).await?.known_page()?;
        let KnownPage { epoch, limit_per_user, next, orders: more } = page;
        // Pages of two epochs say nothing of either.
        if *loaded.get_or_insert(epoch) != epoch {
            return Err(Error::Fenced);
        }
        orders.extend(more.into_iter().map(|known| (known.order, known)));
        if next == ENDS {
            return Ok(KnownOrders {
                epoch,
                limit_per_user,
                orders: orders.into_values().collect(),
            });
        }
        cursor = next;
    }
}
