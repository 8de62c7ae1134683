//! order-svc: the books, read on their primary.

use std::collections::HashMap;

use bytes::Bytes;
use chassis::{Clock, channel::Balanced};
use ids::{Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use proto::order::v1 as wire;

use super::{ReadError, Until, call, millis, nonsense, read_error};
use crate::domain::{item::Money, order::Row};

/// The most ids that one question may name.
pub(crate) const FIND_LEN_MAX: usize = 4096;

const SERVICE: &str = "order-svc";

/// What the books know of orders and of their shards, at one moment of theirs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    rows: HashMap<OrderId, Row>,
    open: HashMap<ShardNo, Option<Epoch>>,
}

impl Found {
    /// Takes out the row of an order, if it is this user's.
    pub(crate) fn of_user(&mut self, order: OrderId, user: UserId) -> Option<Row> {
        self.rows.remove(&order).filter(|row| row.user == user)
    }

    /// The epoch of a shard that they have open; none if they have none, or don't know the shard.
    pub(crate) fn open_epoch(&self, shard: ShardNo) -> Option<Epoch> {
        self.open.get(&shard).copied().flatten()
    }
}

/// A client of order-svc.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    client: wire::order_service_client::OrderServiceClient<Balanced>,
    clock: Clock,
}

impl Orders {
    /// Over a channel that connects when it is first used.
    pub(crate) fn new(channel: Balanced, clock: Clock) -> Self {
        Self { client: wire::order_service_client::OrderServiceClient::new(channel), clock }
    }

    /// The row of an order, if the books have one of this user's.
    pub(crate) async fn row(
        &self,
        order: OrderId,
        user: UserId,
        until: Until,
    ) -> Result<Option<Row>, ReadError> {
        let mut client = self.client.clone();
        let request = wire::GetOrderRequest {
            order_id: bytes(order.as_bytes()),
            user_id: bytes(user.as_bytes()),
        };
        let limit = until.left(&self.clock);
        let answer = call(limit, request, |request| async move { client.get_order(request).await });
        match answer.await.map_err(|status| read_error(SERVICE, &status)) {
            Ok(answer) => {
                let row = answer.order.and_then(row);
                let row = row.filter(|row| row.order == order && row.user == user);
                row.map(Some).ok_or_else(|| nonsense(SERVICE, "GetOrder"))
            }
            Err(ReadError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the books know of these orders and their shards. At most [`FIND_LEN_MAX`].
    pub(crate) async fn find(&self, orders: &[OrderId], until: Until) -> Result<Found, ReadError> {
        let mut client = self.client.clone();
        let order_ids = orders.iter().map(|order| bytes(order.as_bytes())).collect();
        let request = wire::FindOrdersRequest { order_ids };
        let limit = until.left(&self.clock);
        let answer =
            call(limit, request, |request| async move { client.find_orders(request).await });
        let answer = answer.await.map_err(|status| read_error(SERVICE, &status))?;
        found(answer).ok_or_else(|| nonsense(SERVICE, "FindOrders"))
    }

    /// A page of a user's orders and the token of the next one.
    pub(crate) async fn list(
        &self,
        user: UserId,
        page_size: u32,
        page_token: String,
        until: Until,
    ) -> Result<(Vec<Row>, String), ReadError> {
        let mut client = self.client.clone();
        let user_id = bytes(user.as_bytes());
        let request = wire::ListOrdersRequest { user_id, page_size, page_token };
        let limit = until.left(&self.clock);
        let answer =
            call(limit, request, |request| async move { client.list_orders(request).await });
        let answer = answer.await.map_err(|status| read_error(SERVICE, &status))?;
        let rows: Option<Vec<Row>> = answer.orders.into_iter().map(row).collect();
        // Someone else's order must not come out of here, whatever the books answered.
        let rows = rows.filter(|rows| rows.iter().all(|row| row.user == user));
        let rows = rows.ok_or_else(|| nonsense(SERVICE, "ListOrders"))?;
        Ok((rows, answer.next_page_token))
    }
}

fn bytes(id: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(id)
}

fn found(answer: wire::FindOrdersResponse) -> Option<Found> {
    let rows = answer.orders.into_iter().map(|order| row(order).map(|row| (row.order, row)));
    let open = answer.shards.into_iter().map(|known| {
        let open = Epoch::from_wire(known.open_epoch).ok()?;
        Some((ShardNo::new(known.shard_no).ok()?, open))
    });
    Some(Found { rows: rows.collect::<Option<_>>()?, open: open.collect::<Option<_>>()? })
}

fn row(order: wire::Order) -> Option<Row> {
    Some(Row {
        order: OrderId::try_from(order.order_id.as_ref()).ok()?,
        user: UserId::try_from(order.user_id.as_ref()).ok()?,
        sale: SaleId::try_from(order.sale_id.as_ref()).ok()?,
        item: ItemId::try_from(order.item_id.as_ref()).ok()?,
        state: state(order.state())?,
        quantity: order.quantity,
        unit_price: Money { currency: order.currency, minor_units: order.unit_price },
        placed_at_ms: order.placed_at.as_ref().and_then(millis),
        pay_by_ms: order.pay_by.as_ref().and_then(millis),
    })
}

fn state(state: wire::OrderState) -> Option<law::OrderState> {
    match state {
        wire::OrderState::Unspecified => None,
        wire::OrderState::Placed => Some(law::OrderState::Placed),
        wire::OrderState::Paid => Some(law::OrderState::Paid),
        wire::OrderState::Cancelled => Some(law::OrderState::Cancelled),
        wire::OrderState::Expired => Some(law::OrderState::Expired),
        wire::OrderState::Rejected => Some(law::OrderState::Rejected),
    }
}
