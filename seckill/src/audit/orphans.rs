//! What the stores have and the catalog doesn't know: shards of the books or the ledger, and orders
//! of no shard. A catalog that was restored from an older copy leaves such, and so does damage.

use std::{collections::BTreeSet, time::Duration};

use proto::{
    inventory::v1::{GetItemRequest, PeekShardsRequest, Sale, get_item_request::By},
    order::v1::{ListShardsRequest, ShardRow},
};
use tonic::Code;

use super::{
    count::{Stores, unanswered, within},
    judge::Orphan,
};
use crate::failure::Failure;

const READ_WITHIN: Duration = Duration::from_secs(10);
/// Counting rows of no shard goes through all of them.
const LIST_WITHIN: Duration = Duration::from_secs(60);
const PAGE_SIZE: u32 = 200;
/// Numbers beyond the highest known one that the ledger is asked for, and in one question.
const STRETCH: u32 = 1_024;

impl Stores {
    /// Everything that belongs to no shard of `sales`, which are all that the catalog has shown.
    pub(super) async fn orphans(&mut self, sales: &[Sale]) -> Result<Vec<Orphan>, Failure> {
        let items = sales.iter().flat_map(|sale| &sale.items);
        let known: BTreeSet<_> =
            items.flat_map(|item| item.shards.iter().map(|shard| shard.shard_no)).collect();
        let mut orphans = Vec::new();
        let (rows, orders_without_shard) = self.shard_rows().await?;
        if orders_without_shard > 0 {
            let says =
                format!("{orders_without_shard} rows name a shard that the books don't have");
            orphans.push(Orphan { what: "orders".into(), says });
        }
        for row in rows.iter().filter(|row| !known.contains(&row.shard_no)) {
            if !self.is_known(row.shard_no).await? {
                let ShardRow { shard_no, sold, total, .. } = row;
                let says = format!(
                    "the books have sold {sold} of {total} units under this number, and the \
                     catalog doesn't know it"
                );
                orphans.push(Orphan { what: format!("shard {shard_no}"), says });
            }
        }
        let of_books = rows.iter().map(|row| row.shard_no).max();
        let highest = of_books.max(known.last().copied()).unwrap_or(0);
        for (shard_no, left) in self.open_in_ledger(highest.saturating_add(STRETCH)).await? {
            if !known.contains(&shard_no) && !self.is_known(shard_no).await? {
                let says = format!(
                    "the ledger has it open with {left} units left, and the catalog doesn't know it"
                );
                orphans.push(Orphan { what: format!("shard {shard_no}"), says });
            }
        }
        Ok(orphans)
    }

    async fn shard_rows(&mut self) -> Result<(Vec<ShardRow>, u64), Failure> {
        let (mut rows, mut without_shard, mut after) = (Vec::<ShardRow>::new(), 0, 0);
        loop {
            let request = ListShardsRequest { after_shard_no: after, page_size: PAGE_SIZE };
            let page = self.books.list_shards(within(request, LIST_WITHIN)).await;
            let page = page.map_err(|status| unanswered("order-svc", &status))?.into_inner();
            without_shard += page.orders_without_shard;
            let is_last = page.shards.len() < PAGE_SIZE as usize;
            rows.extend(page.shards);
            match rows.last() {
                Some(last) if !is_last => after = last.shard_no,
                Some(_) | None => return Ok((rows, without_shard)),
            }
        }
    }

    /// Those from 1 to `highest` that the ledger has open, with what is left.
    async fn open_in_ledger(&mut self, highest: u32) -> Result<Vec<(u32, u32)>, Failure> {
        let mut open = Vec::new();
        for first in (1..=highest).step_by(STRETCH as usize) {
            let request = PeekShardsRequest { first_shard_no: first, count: STRETCH };
            let peeked = self.ledger.peek_shards(within(request, READ_WITHIN)).await;
            let peeked = peeked.map_err(|status| unanswered("inventory-svc", &status))?;
            let shards = peeked.into_inner().open.into_iter();
            open.extend(shards.map(|shard| (shard.shard_no, shard.left)));
        }
        Ok(open)
    }

    /// Whether the catalog knows it by now: its sale may have been made since they were listed.
    async fn is_known(&mut self, shard_no: u32) -> Result<bool, Failure> {
        let request = GetItemRequest { by: Some(By::ShardNo(shard_no)) };
        match self.catalog.get_item(within(request, READ_WITHIN)).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(unanswered("inventory-svc", &status)),
        }
    }
}
