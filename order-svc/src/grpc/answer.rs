//! Rows as messages.

use ids::Epoch;
use law::OrderState;
use proto::order::v1 as pb;

use crate::{
    books::{Count, Guarded, RowTerms, SnapshotOrder},
    domain::{Guard, Order, Refusal},
};

pub(super) fn order(order: &Order) -> pb::Order {
    pb::Order {
        order_id: order.id.as_bytes().to_vec().into(),
        user_id: order.user.as_bytes().to_vec().into(),
        sale_id: order.sale.as_bytes().to_vec().into(),
        item_id: order.item.as_bytes().to_vec().into(),
        shard_no: order.id.shard().get(),
        quantity: order.quantity,
        unit_price: order.unit_price,
        currency: order.currency.clone(),
        state: state(order.state).into(),
        held_at: Some(timestamp(order.held_at_ms)),
        placed_at: Some(timestamp(order.placed_at_ms)),
        pay_by: Some(timestamp(order.pay_by_ms)),
        refusal: order.refusal.map_or(pb::OrderRefusal::Unspecified, refusal).into(),
    }
}

pub(super) fn snapshot_head(
    guarded: &Guarded,
    movement_watermark: u64,
    orders: u64,
) -> pb::ShardSnapshotResponse {
    let Guarded { guard, generation } = guarded;
    let head = pb::SnapshotHead {
        total: guard.total,
        sold: guard.sold,
        generation: *generation,
        movement_watermark,
        orders,
    };
    pb::ShardSnapshotResponse { part: Some(pb::shard_snapshot_response::Part::Head(head)) }
}

pub(super) fn snapshot_page(page: &[SnapshotOrder]) -> pb::ShardSnapshotResponse {
    let order = |order: &SnapshotOrder| pb::SnapshotOrder {
        order_id: order.id.as_bytes().to_vec().into(),
        user_id: order.user.as_bytes().to_vec().into(),
        quantity: order.quantity,
        state: state(order.state).into(),
    };
    let orders = pb::SnapshotOrders { orders: page.iter().map(order).collect() };
    pb::ShardSnapshotResponse { part: Some(pb::shard_snapshot_response::Part::Orders(orders)) }
}

pub(super) fn shard_row(guard: &Guard) -> pb::ShardRow {
    pb::ShardRow {
        shard_no: guard.shard.get(),
        sale_id: guard.sale.as_bytes().to_vec().into(),
        item_id: guard.item.as_bytes().to_vec().into(),
        total: guard.total,
        sold: guard.sold,
    }
}

pub(super) fn count(count: &Count) -> pb::CountShardResponse {
    let RowTerms { foreign_orders, unit_prices, quantity_max } = count.terms;
    pb::CountShardResponse {
        open_epoch: Epoch::to_wire(count.guard.open_epoch),
        total: count.guard.total,
        sold: count.guard.sold,
        limit_per_user: count.guard.limit_per_user,
        live_orders: count.live_orders,
        live_units: count.live_units,
        rejected_orders: count.rejected_orders,
        duplicate_orders: count.duplicate_orders,
        // More than the field can say breaks the limit in any case.
        user_units_max: u32::try_from(count.user_units_max).unwrap_or(u32::MAX),
        movement_watermark: count.movement_watermark,
        dead_letters: count.dead_letters,
        sale_id: count.guard.sale.as_bytes().to_vec().into(),
        item_id: count.guard.item.as_bytes().to_vec().into(),
        currency: count.guard.currency.clone(),
        foreign_orders,
        unit_price_min: unit_prices.map(|(least, _)| least),
        unit_price_max: unit_prices.map(|(_, highest)| highest),
        quantity_max,
    }
}

const fn state(state: OrderState) -> pb::OrderState {
    match state {
        OrderState::Placed => pb::OrderState::Placed,
        OrderState::Paid => pb::OrderState::Paid,
        OrderState::Cancelled => pb::OrderState::Cancelled,
        OrderState::Expired => pb::OrderState::Expired,
        OrderState::Rejected => pb::OrderState::Rejected,
    }
}

const fn refusal(refusal: Refusal) -> pb::OrderRefusal {
    match refusal {
        Refusal::Oversold => pb::OrderRefusal::Oversold,
        Refusal::OverLimit => pb::OrderRefusal::OverLimit,
        Refusal::Key => pb::OrderRefusal::Key,
        Refusal::OtherItem => pb::OrderRefusal::OtherItem,
        Refusal::OtherPrice => pb::OrderRefusal::OtherPrice,
    }
}

fn timestamp(ms: u64) -> prost_types::Timestamp {
    let nanos = i32::try_from(ms % 1000).expect("below 1,000") * 1_000_000;
    prost_types::Timestamp { seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX), nanos }
}
