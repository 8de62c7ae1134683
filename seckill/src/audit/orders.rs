//! Asks both stores for every order of a shard. The ledger first: what it has as decided was a row
//! before, so the books, read later, must show it. A row that the ledger didn't have is asked for
//! once more, since it may have come in between.

use std::{collections::HashMap, time::Duration};

use proto::{
    inventory::v1::{FindRequest, FoundState, KnownOrder, KnownState, ListKnownOrdersRequest},
    order::v1::{OrderState, ShardSnapshotRequest, SnapshotOrder, shard_snapshot_response::Part},
};
use tonic::{Code, Status, Streaming};

use super::{
    compare::{Compared, Id, InBooks, InLedger, Units, compare},
    count::{Stores, unanswered, within},
};
use crate::failure::Failure;

/// Reading all of a large shard takes its time.
const LIST_WITHIN: Duration = Duration::from_secs(60);
const FIND_WITHIN: Duration = Duration::from_secs(10);
const FIND_LEN_MAX: usize = 1_024;
/// Rows that are asked for once more, at most; what is broken by as many needs no further proof.
const ASKED_AGAIN_MAX: usize = 65_536;

/// Why it can't be told now, or a service that isn't there.
enum Miss {
    Unclear(String),
    Failed(Failure),
}

/// What the ledger lists.
struct Listed {
    limit_per_user: u32,
    orders: HashMap<Id, InLedger>,
}

impl Stores {
    /// Every order of a shard that both stores have open in `epoch`, compared; and the ledger's
    /// limit per user. `Err` in the answer says why that can't be told now.
    pub(super) async fn compared(
        &mut self,
        shard_no: u32,
        epoch: i64,
    ) -> Result<Result<(Compared, u32), String>, Failure> {
        match self.try_compared(shard_no, epoch).await {
            Ok(compared) => Ok(Ok(compared)),
            Err(Miss::Unclear(why)) => Ok(Err(why)),
            Err(Miss::Failed(failure)) => Err(failure),
        }
    }

    async fn try_compared(&mut self, shard_no: u32, epoch: i64) -> Result<(Compared, u32), Miss> {
        let Listed { limit_per_user, orders } = self.listed(shard_no, epoch).await?;
        let rows = self.rows(shard_no, epoch).await?;
        let mut compared = compare(&orders, &rows);
        compared.unknown.truncate(ASKED_AGAIN_MAX);
        let mut unknown = Vec::new();
        for ids in compared.unknown.chunks(FIND_LEN_MAX) {
            unknown.extend(self.still_unknown(shard_no, ids).await?);
        }
        compared.unknown = unknown;
        Ok((compared, limit_per_user))
    }

    async fn listed(&mut self, shard_no: u32, epoch: i64) -> Result<Listed, Miss> {
        let request = within(ListKnownOrdersRequest { shard_no }, LIST_WITHIN);
        let miss = |status: Status| missed("inventory-svc", &status);
        let mut pages = self.ledger.list_known_orders(request).await.map_err(miss)?.into_inner();
        let mut listed = Listed { limit_per_user: 0, orders: HashMap::new() };
        while let Some(page) = pages.message().await.map_err(miss)? {
            if page.epoch != epoch {
                return Err(Miss::Unclear("the shard is being loaded".into()));
            }
            listed.limit_per_user = page.limit_per_user;
            let orders = page.orders.iter().map(known).collect::<Option<Vec<_>>>();
            listed.orders.extend(orders.ok_or_else(|| nonsense("inventory-svc"))?);
        }
        Ok(listed)
    }

    async fn rows(&mut self, shard_no: u32, epoch: i64) -> Result<HashMap<Id, InBooks>, Miss> {
        let request = within(ShardSnapshotRequest { shard_no, epoch }, LIST_WITHIN);
        let miss = |status: Status| missed("order-svc", &status);
        let parts = self.books.shard_snapshot(request).await.map_err(miss)?;
        let mut parts: Streaming<_> = parts.into_inner();
        let mut rows = HashMap::new();
        while let Some(part) = parts.message().await.map_err(miss)? {
            if let Some(Part::Orders(page)) = part.part {
                let orders = page.orders.iter().map(row).collect::<Option<Vec<_>>>();
                rows.extend(orders.ok_or_else(|| nonsense("order-svc"))?);
            }
        }
        Ok(rows)
    }

    /// Those of `ids` of which the ledger still has nothing.
    async fn still_unknown(&mut self, shard_no: u32, ids: &[Id]) -> Result<Vec<Id>, Miss> {
        let order_ids = ids.iter().map(|id| id.to_vec().into()).collect();
        let request = within(FindRequest { shard_no, order_ids, bars: false }, FIND_WITHIN);
        let found = self.ledger.find(request).await;
        let found = found.map_err(|status| missed("inventory-svc", &status))?.into_inner();
        if found.states.len() != ids.len() {
            return Err(nonsense("inventory-svc"));
        }
        let mut unknown = Vec::new();
        for (id, state) in ids.iter().zip(found.states()) {
            match state {
                FoundState::Open | FoundState::Settled => {}
                FoundState::Nothing => unknown.push(*id),
                FoundState::Unspecified | FoundState::Unknown | FoundState::Retired => {
                    return Err(Miss::Unclear("the ledger can't tell now".into()));
                }
            }
        }
        Ok(unknown)
    }
}

fn known(known: &KnownOrder) -> Option<(Id, InLedger)> {
    let units =
        || Some(Units { user: known.user_id[..].try_into().ok()?, quantity: known.quantity });
    let in_ledger = match known.state() {
        KnownState::Unspecified => return None,
        KnownState::Open => InLedger::Open(units()?),
        KnownState::Placed => InLedger::Placed(units()?),
        KnownState::Rejected | KnownState::Released => InLedger::Tombstone,
    };
    Some((known.order_id[..].try_into().ok()?, in_ledger))
}

fn row(order: &SnapshotOrder) -> Option<(Id, InBooks)> {
    let is_live = matches!(order.state(), OrderState::Placed | OrderState::Paid);
    let units = Units { user: order.user_id[..].try_into().ok()?, quantity: order.quantity };
    Some((order.order_id[..].try_into().ok()?, InBooks { units, is_live }))
}

/// What refuses for now is asked again by who audits; what isn't there ends the command.
fn missed(who: &str, status: &Status) -> Miss {
    match status.code() {
        Code::NotFound
        | Code::Unavailable
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::DeadlineExceeded => Miss::Unclear(format!("{who}: {}", status.message())),
        _ => Miss::Failed(unanswered(who, status)),
    }
}

fn nonsense(who: &str) -> Miss {
    Miss::Failed(Failure::Unavailable(format!("{who} answered what can't be understood")))
}
