//! What both stores say of a shard at rest, judged by `law`. Nothing here asks a counter: holds and
//! rows are counted one by one by their keepers.

use std::{collections::BTreeSet, time::Duration};

use law::{Units, Violation};
use proto::{inventory, order};

use super::{House, OpenSale, eventually};

/// Both counts of one shard, taken when no hold was open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counts {
    pub(crate) ledger: inventory::v1::CountShardResponse,
    pub(crate) books: order::v1::CountShardResponse,
}

impl House {
    /// Both counts, as they are.
    pub(crate) async fn counts(&self, sale: &OpenSale) -> Result<Counts, tonic::Status> {
        let shard_no = sale.shard.get();
        let request = inventory::v1::CountShardRequest { shard_no };
        let ledger = self.inventory().count_shard(request).await?.into_inner();
        let request = order::v1::CountShardRequest { shard_no };
        let books = self.orders().count_shard(request).await?.into_inner();
        Ok(Counts { ledger, books })
    }

    /// Waits until the ledger has no open hold.
    pub(crate) async fn at_rest(&self, sale: &OpenSale, within: Duration) -> Counts {
        eventually("every hold is settled", within, async || {
            let counts = self.counts(sale).await.ok()?;
            (counts.ledger.open_holds == 0).then_some(counts)
        })
        .await
    }

    /// Waits for rest, then holds the stores to I-1, I-3, I-4, and to I-2 for what was answered
    /// ACCEPTED. Returns the counts for the story's own claims.
    pub(crate) async fn judge(
        &self,
        sale: &OpenSale,
        promised: &BTreeSet<String>,
        within: Duration,
    ) -> Counts {
        let counts = self.at_rest(sale, within).await;
        let Counts { ledger, books } = &counts;
        let units = Units {
            stock: ledger.stock,
            open: ledger.open_units,
            live: books.live_units,
            unapplied: books.movement_watermark - ledger.movement_watermark,
        };
        let mut verdicts: Vec<Result<(), Violation>> = vec![
            law::no_oversell(books.total, books.live_units),
            law::nothing_leaks(books.total, units),
            law::within_limit(books.limit_per_user, books.user_units_max.into()),
        ];
        for order_id in promised {
            let order = order_id.parse().expect("the gateway gave it");
            let request = order::v1::FindOrdersRequest {
                order_ids: vec![ids::OrderId::as_bytes(&order).to_vec().into()],
            };
            let found = self.orders().find_orders(request).await.expect("the books answer");
            let rows = found.into_inner().orders;
            let live = rows.iter().filter(|row| row.state() == order::v1::OrderState::Placed);
            verdicts.push(law::promise_kept(order, live.count() as u64));
        }
        let broken: Vec<_> = verdicts.into_iter().filter_map(Result::err).collect();
        assert!(broken.is_empty(), "{broken:#?}\n{counts:#?}");
        assert_eq!(books.sold, books.live_units, "the guard row and its orders differ");
        assert_eq!(books.duplicate_orders, 0, "I-4");
        assert_eq!(ledger.placed_units, books.live_units, "the ledger and the books differ");
        assert_eq!(ledger.user_units, ledger.open_units + ledger.placed_units);
        assert_eq!(books.dead_letters, 0);
        counts
    }
}
