//! Requests, checked field by field. What comes out can be acted on; what doesn't is INVALID_INPUT
//! with the first field that is wrong.

use bytes::Bytes;
use ids::{Epoch, ItemId, OrderId, ParseError, ShardNo, UserId};
use proto::inventory::v1::{
    CountShardRequest, FindRequest, ListKnownOrdersRequest, PeekShardsRequest,
    ReserveEntry as AskedEntry, ReserveRequest, SettleRequest, SettledState, WatchStockRequest,
};
use tonic::Status;

use crate::{
    commands::reserve::Contradiction,
    domain::PLACED_NOBODY_SAYS,
    grpc::status::invalid_field as invalid,
    ledger::{ReserveEntry, Settled},
};

/// Of a batch of requests or ids, and of watched shards.
const BATCH_MAX: usize = 1_024;
const DECISIONS_MAX: usize = 4_096;
/// W3C has 55 characters today and allows later versions to be longer.
const TRACEPARENT_MAX: usize = 128;

/// A [`ReserveRequest`].
#[derive(Debug)]
pub(super) struct Reserve {
    pub(super) shard: ShardNo,
    pub(super) item: Option<ItemId>,
    pub(super) entries: Vec<ReserveEntry>,
    /// In which epoch each was placed, as far as somebody says so.
    pub(super) placed_in: Vec<Option<i64>>,
    /// The ids of each entry as they came, for the answer: no bytes are copied.
    pub(super) ids: Vec<EntryIds>,
}

/// The ids of an entry as they stand in messages.
#[derive(Debug)]
pub(super) struct EntryIds {
    pub(super) order: Bytes,
    pub(super) user: Bytes,
}

/// A [`SettleRequest`].
#[derive(Debug)]
pub(super) struct Settle {
    pub(super) shard: ShardNo,
    pub(super) epoch: Epoch,
    pub(super) generation: u64,
    pub(super) decisions: Vec<(OrderId, Settled)>,
}

/// A [`FindRequest`].
#[derive(Debug)]
pub(super) struct Find {
    pub(super) shard: ShardNo,
    pub(super) orders: Vec<OrderId>,
    pub(super) bars: bool,
}

pub(super) fn reserve(request: ReserveRequest) -> Result<Reserve, Status> {
    let shard = shard_no("shard_no", request.shard_no)?;
    let item = match &request.item_id[..] {
        [] => None,
        bytes => Some(ItemId::try_from(bytes).map_err(|wrong| invalid("item_id", wrong))?),
    };
    let count = count("entries", request.entries.len(), BATCH_MAX)?;
    let mut entries = Vec::with_capacity(count);
    let mut ids = Vec::with_capacity(count);
    let mut placed_in = Vec::with_capacity(count);
    for (index, asked) in request.entries.into_iter().enumerate() {
        let field = |name: &str| format!("entries[{index}].{name}");
        let AskedEntry {
            order_id,
            user_id,
            quantity,
            unit_price,
            ticket_expires_ms,
            traceparent,
            placed_at,
        } = asked;
        let order =
            order_of(shard, &order_id).map_err(|wrong| invalid(&field("order_id"), wrong))?;
        let user =
            UserId::try_from(&user_id[..]).map_err(|wrong| invalid(&field("user_id"), wrong))?;
        if quantity == 0 {
            return Err(invalid(&field("quantity"), "must be 1 or more"));
        }
        if unit_price < 0 {
            return Err(invalid(&field("unit_price"), "must not be negative"));
        }
        if traceparent.len() > TRACEPARENT_MAX {
            let wrong = format!("must have at most {TRACEPARENT_MAX} bytes");
            return Err(invalid(&field("traceparent"), wrong));
        }
        entries.push(ReserveEntry {
            order,
            user,
            quantity,
            unit_price,
            ticket_expires_ms,
            // Which epoch it is of is seen when ours is known.
            placed_us: placed_at.map_or(PLACED_NOBODY_SAYS, |at| at.us),
            traceparent,
        });
        placed_in.push(placed_at.map(|at| at.epoch));
        ids.push(EntryIds { order: order_id, user: user_id });
    }
    Ok(Reserve { shard, item, entries, placed_in, ids })
}

/// A request that the catalog knows to be wrong.
pub(super) fn contradicted(contradiction: Contradiction) -> Status {
    match contradiction {
        Contradiction::Item(item) => {
            invalid("item_id", format!("must be that of the shard, {item}"))
        }
        Contradiction::Price { index, unit_price } => {
            let field = format!("entries[{index}].unit_price");
            invalid(&field, format!("must be the item's, {unit_price}"))
        }
    }
}

pub(super) fn settle(request: &SettleRequest) -> Result<Settle, Status> {
    let shard = shard_no("shard_no", request.shard_no)?;
    let epoch = Epoch::new(request.epoch).map_err(|wrong| invalid("epoch", wrong))?;
    count("decisions", request.decisions.len(), DECISIONS_MAX)?;
    let decisions = request.decisions.iter().enumerate().map(|(index, decision)| {
        let field = |name: &str| format!("decisions[{index}].{name}");
        let order = order_of(shard, &decision.order_id)
            .map_err(|wrong| invalid(&field("order_id"), wrong))?;
        let state = match SettledState::try_from(decision.state) {
            Ok(SettledState::Placed) => Settled::Placed,
            Ok(SettledState::Rejected) => Settled::Rejected,
            Ok(SettledState::Released) => Settled::Released,
            Ok(SettledState::Unspecified) | Err(_) => {
                return Err(invalid(&field("state"), "must be PLACED, REJECTED or RELEASED"));
            }
        };
        Ok((order, state))
    });
    let decisions = decisions.collect::<Result<_, Status>>()?;
    Ok(Settle { shard, epoch, generation: request.generation, decisions })
}

pub(super) fn watch_stock(request: &WatchStockRequest) -> Result<Vec<ShardNo>, Status> {
    count("shard_nos", request.shard_nos.len(), BATCH_MAX)?;
    let shards = request.shard_nos.iter().enumerate();
    shards.map(|(index, number)| shard_no(&format!("shard_nos[{index}]"), *number)).collect()
}

pub(super) fn find(request: &FindRequest) -> Result<Find, Status> {
    let shard = shard_no("shard_no", request.shard_no)?;
    count("order_ids", request.order_ids.len(), BATCH_MAX)?;
    let orders = request.order_ids.iter().enumerate().map(|(index, order)| {
        order_of(shard, order).map_err(|wrong| invalid(&format!("order_ids[{index}]"), wrong))
    });
    Ok(Find { shard, orders: orders.collect::<Result<_, Status>>()?, bars: request.bars })
}

pub(super) fn count_shard(request: &CountShardRequest) -> Result<ShardNo, Status> {
    shard_no("shard_no", request.shard_no)
}

pub(super) fn list_known_orders(request: &ListKnownOrdersRequest) -> Result<ShardNo, Status> {
    shard_no("shard_no", request.shard_no)
}

/// A stretch that reaches beyond the last number ends there.
pub(super) fn peek_shards(request: &PeekShardsRequest) -> Result<Vec<ShardNo>, Status> {
    let PeekShardsRequest { first_shard_no: first, count: asked } = *request;
    shard_no("first_shard_no", first)?;
    let asked = usize::try_from(asked).unwrap_or(usize::MAX);
    Ok((first..=u32::MAX)
        .take(count("count", asked, BATCH_MAX)?)
        .map_while(|number| ShardNo::new(number).ok())
        .collect())
}

fn shard_no(field: &str, number: u32) -> Result<ShardNo, Status> {
    ShardNo::new(number).map_err(|wrong| invalid(field, wrong))
}

fn count(field: &str, count: usize, max: usize) -> Result<usize, Status> {
    if (1..=max).contains(&count) {
        Ok(count)
    } else {
        Err(invalid(field, format!("must have 1 to {max} elements, not {count}")))
    }
}

fn order_of(shard: ShardNo, bytes: &[u8]) -> Result<OrderId, String> {
    let order = OrderId::try_from(bytes).map_err(|wrong: ParseError| wrong.to_string())?;
    if order.shard() == shard {
        Ok(order)
    } else {
        Err(format!("must be an order of shard {shard}, not of {}", order.shard()))
    }
}
