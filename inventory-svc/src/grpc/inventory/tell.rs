//! Answers, as messages. Straight translation: nothing is decided and nothing is left out.

use bytes::Bytes;
use ids::{Epoch, ShardNo};
use proto::inventory::v1::{
    CountShardResponse, EntryAnswer as ToldAnswer, EntryRefusal, FindResponse, FoundState,
    Hold as ToldHold, KnownOrder as ToldOrder, KnownState, ListKnownOrdersResponse, OpenShard,
    PeekShardsResponse, ReserveResponse, ReservedBatch, SettledState,
    ShardRefusal as ToldShardRefusal, WatchStockResponse, entry_answer, reserve_response,
};

use super::ask::EntryIds;
use crate::{
    commands::{find::Known, reserve::ShardRefusal, watch::Left},
    ledger::{
        Count, EntryAnswer, Found, Hold, KnownOrder, KnownOrders, Look, Peek, Refusal, Reserved,
        Settled,
    },
};

/// `ids` are those of the request's entries.
pub(super) fn batch(reserved: Reserved, lease_lapsed: bool, ids: Vec<EntryIds>) -> ReserveResponse {
    let Reserved { epoch, left, version, now_us, answers } = reserved;
    let answers = answers.into_iter().zip(ids).map(|(answer, ids)| ToldAnswer {
        answer: Some(match answer {
            EntryAnswer::Held(held) => entry_answer::Answer::Held(hold(held, ids)),
            EntryAnswer::Open(open) => entry_answer::Answer::Open(hold(open, ids)),
            EntryAnswer::Settled(state) => entry_answer::Answer::Settled(settled(state).into()),
            EntryAnswer::Refused(refusal) => {
                entry_answer::Answer::Refusal(entry_refusal(refusal).into())
            }
        }),
    });
    let answers = answers.collect();
    let batch = ReservedBatch { epoch: epoch.get(), left, version, lease_lapsed, answers, now_us };
    ReserveResponse { answer: Some(reserve_response::Answer::Batch(batch)) }
}

fn hold(hold: Hold, ids: EntryIds) -> ToldHold {
    let Hold { order, user, quantity, unit_price, taken_at_ms, traceparent } = hold;
    ToldHold {
        order_id: the_same(ids.order, order.as_bytes()),
        user_id: the_same(ids.user, user.as_bytes()),
        quantity,
        unit_price,
        taken_at_ms,
        traceparent,
    }
}

/// What was stored, in the request's own bytes where they are the same.
fn the_same(asked: Bytes, stored: &[u8; 16]) -> Bytes {
    if asked[..] == stored[..] { asked } else { Bytes::copy_from_slice(stored) }
}

fn settled(state: Settled) -> SettledState {
    match state {
        Settled::Placed => SettledState::Placed,
        Settled::Rejected => SettledState::Rejected,
        Settled::Released => SettledState::Released,
    }
}

fn entry_refusal(refusal: Refusal) -> EntryRefusal {
    match refusal {
        Refusal::NotOpen => EntryRefusal::NotOpen,
        Refusal::Closed => EntryRefusal::Closed,
        Refusal::TicketExpired => EntryRefusal::TicketExpired,
        Refusal::Paused => EntryRefusal::Paused,
        Refusal::LimitReached => EntryRefusal::LimitReached,
        Refusal::SoldOut => EntryRefusal::SoldOut,
        Refusal::TooLate => EntryRefusal::TooLate,
    }
}

pub(super) fn shard_refusal(refusal: ShardRefusal) -> ReserveResponse {
    let refusal = match refusal {
        ShardRefusal::Loading => ToldShardRefusal::Loading,
        ShardRefusal::Unreachable => ToldShardRefusal::Unreachable,
        ShardRefusal::Retired => ToldShardRefusal::Retired,
        ShardRefusal::UnknownShard => ToldShardRefusal::UnknownShard,
    };
    ReserveResponse { answer: Some(reserve_response::Answer::Refusal(refusal.into())) }
}

/// The same for all of the `asked` orders, unless each is known.
pub(super) fn found(known: Known, asked: usize) -> FindResponse {
    let state = |found| match found {
        Found::Open => FoundState::Open,
        Found::Settled(Settled::Placed | Settled::Rejected | Settled::Released) => {
            FoundState::Settled
        }
        Found::Nothing => FoundState::Nothing,
        Found::Unsure => FoundState::Unknown,
    };
    let all = |state: FoundState| vec![state.into(); asked];
    let (states, retired, epoch, now_us) = match known {
        Known::Each(epoch, Look { now_us, found }) => {
            let states = found.into_iter().map(|found| state(found).into()).collect();
            (states, None, Some(epoch), now_us)
        }
        Known::Unknown | Known::Unable => (all(FoundState::Unknown), None, None, 0),
        Known::Retired(last) => (all(FoundState::Retired), Some(last), None, 0),
    };
    FindResponse {
        states,
        retired_epoch: Epoch::to_wire(retired),
        epoch: Epoch::to_wire(epoch),
        now_us,
    }
}

pub(super) fn left(shard: ShardNo, left: Left) -> WatchStockResponse {
    let shard_no = shard.get();
    match left {
        Left::Open { epoch, version, left, paused } => WatchStockResponse {
            shard_no,
            is_open: true,
            epoch: epoch.get(),
            version,
            left,
            paused,
        },
        Left::NotOpen => WatchStockResponse {
            shard_no,
            is_open: false,
            epoch: Epoch::to_wire(None),
            version: 0,
            left: 0,
            paused: false,
        },
    }
}

/// A head without orders, and pages of them.
pub(super) fn known(known: KnownOrders) -> impl Iterator<Item = ListKnownOrdersResponse> {
    const PAGE: usize = 4_096;
    let KnownOrders { epoch, limit_per_user, orders } = known;
    let page = move |orders| ListKnownOrdersResponse { epoch: epoch.get(), limit_per_user, orders };
    let mut orders = orders.into_iter();
    let pages = std::iter::from_fn(move || {
        let some: Vec<_> = orders.by_ref().take(PAGE).map(known_order).collect();
        (!some.is_empty()).then_some(some)
    });
    std::iter::once(Vec::new()).chain(pages).map(page)
}

fn known_order(known: KnownOrder) -> ToldOrder {
    let state = match known.state {
        // A keeper tells of known ones only.
        Found::Nothing | Found::Unsure => KnownState::Unspecified,
        Found::Open => KnownState::Open,
        Found::Settled(Settled::Placed) => KnownState::Placed,
        Found::Settled(Settled::Rejected) => KnownState::Rejected,
        Found::Settled(Settled::Released) => KnownState::Released,
    };
    let id = |bytes: &[u8; 16]| Bytes::copy_from_slice(bytes);
    ToldOrder {
        order_id: id(known.order.as_bytes()),
        state: state.into(),
        user_id: known.units.map(|(user, _)| id(user.as_bytes())).unwrap_or_default(),
        quantity: known.units.map_or(0, |(_, quantity)| quantity),
    }
}

pub(super) fn open(shards: Vec<(ShardNo, Peek)>) -> PeekShardsResponse {
    let open = shards.into_iter().filter_map(|(shard, peek)| match peek {
        Peek::Open { epoch, left, .. } => {
            Some(OpenShard { shard_no: shard.get(), epoch: epoch.get(), left })
        }
        Peek::Closed { .. } | Peek::Fenced => None,
    });
    PeekShardsResponse { open: open.collect() }
}

pub(super) fn count(count: Count) -> CountShardResponse {
    CountShardResponse {
        epoch: count.epoch.get(),
        stock: count.stock,
        open_holds: count.open_holds,
        open_units: count.open_units,
        placed_orders: count.placed_orders,
        placed_units: count.placed_units,
        tombstones: count.tombstones,
        user_units: count.user_units,
        user_units_max: count.user_units_max,
        movement_watermark: count.movement_watermark,
        oldest_open_ms: count.oldest_open_ms,
    }
}
