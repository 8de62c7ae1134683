//! The books of order-svc, read on their primary: the guard row of a shard, which orders they know,
//! and the snapshot that a load stages.

use std::{future::Future, time::Duration};

use chassis::{channel::Balanced, status::reason_of};
use ids::{Epoch, ItemId, OrderId, ShardNo, UserId};
use proto::{
    error::v1::ErrorReason,
    order::v1::{
        FindOrdersRequest, GetShardRequest, HighestShardRequest, OrderState, ShardSnapshotRequest,
        ShardSnapshotResponse, SnapshotOrder, order_service_client::OrderServiceClient,
        shard_snapshot_response::Part,
    },
    reason_text,
};
use tonic::{Code, Request, Status, Streaming};

use super::Silent;
use crate::domain::{Settled, StagedOrder};

/// A client of order-svc. Cloning is cheap; clones share one connection.
#[derive(Clone)]
pub struct Books {
    client: OrderServiceClient<Balanced>,
    deadline: Duration,
}

/// What the books say of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardRow {
    /// Whose units they are.
    pub item: ItemId,
    /// The epoch that the log has elected.
    pub open: Option<Epoch>,
    /// Of the position row of the shard's partition.
    pub generation: u64,
}

/// What the books know of some orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Those that they know.
    pub decided: Vec<(OrderId, Settled)>,
    /// Of the position rows, read before the orders were.
    pub generations: Vec<(ShardNo, u64)>,
}

/// A snapshot that shows the wanted epoch as the open one; its orders are still on their way.
pub struct Snapshot {
    /// What isn't an order.
    pub head: SnapshotHead,
    orders: Streaming<ShardSnapshotResponse>,
    deadline: Duration,
}

/// The figures of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Units of the shard.
    pub total: u64,
    /// Units of live orders.
    pub sold: u64,
    /// Of the position row.
    pub generation: u64,
    /// The highest movement made.
    pub movement_watermark: u64,
    /// How many orders follow.
    pub orders: u64,
}

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another epoch is open, or the books don't know the shard.
    #[error("the books show another epoch")]
    OtherEpoch,
    /// They give others as many as they may. That is as it should be: ask again.
    #[error("the books give enough snapshots already")]
    Busy,
    /// Can't tell.
    #[error(transparent)]
    Silent(#[from] Silent),
}

impl Books {
    /// Over `channel`; each call, and each part of a stream, has `deadline`.
    pub fn new(channel: Balanced, deadline: Duration) -> Self {
        Self { client: OrderServiceClient::new(channel), deadline }
    }

    /// The guard row of a shard; none before `ItemOpened` was consumed.
    ///
    /// # Errors
    /// [`Silent`].
    pub async fn shard(&self, shard: ShardNo) -> Result<Option<GuardRow>, Silent> {
        let mut client = self.client.clone();
        let request = self.request(GetShardRequest { shard_no: shard.get() });
        match within(self.deadline, client.get_shard(request)).await? {
            Ok(answer) => {
                let answer = answer.into_inner();
                let item = ItemId::try_from(answer.item_id.as_ref()).map_err(strange)?;
                let open = Epoch::from_wire(answer.open_epoch).map_err(strange)?;
                Ok(Some(GuardRow { item, open, generation: answer.generation }))
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(refused(&status)),
        }
    }

    /// The highest shard number that books or journal have seen; 0 if none.
    ///
    /// # Errors
    /// [`Silent`], also if the books haven't read the whole log.
    pub async fn highest_shard(&self) -> Result<u32, Silent> {
        let mut client = self.client.clone();
        let request = self.request(HighestShardRequest {});
        let answer = within(self.deadline, client.highest_shard(request)).await?;
        Ok(answer.map_err(|status| refused(&status))?.into_inner().shard_no)
    }

    /// Which of at most 4,096 orders the books know.
    ///
    /// # Errors
    /// [`Silent`].
    pub async fn find(&self, orders: &[OrderId]) -> Result<Known, Silent> {
        if orders.is_empty() {
            return Ok(Known::default());
        }
        let mut client = self.client.clone();
        let order_ids = orders.iter().map(|order| order.as_bytes().to_vec().into()).collect();
        let request = self.request(FindOrdersRequest { order_ids });
        let answer = within(self.deadline, client.find_orders(request)).await?;
        let answer = answer.map_err(|status| refused(&status))?.into_inner();
        let decided = answer.orders.iter().map(|order| {
            let id = OrderId::try_from(order.order_id.as_ref()).map_err(strange)?;
            Ok((id, settled(order.state())?))
        });
        let generations = answer
            .shards
            .iter()
            .map(|row| Ok((ShardNo::new(row.shard_no).map_err(strange)?, row.generation)));
        Ok(Known {
            decided: decided.collect::<Result<_, Silent>>()?,
            generations: generations.collect::<Result<_, Silent>>()?,
        })
    }

    /// One transaction's view of a shard that itself shows `to` as the open epoch.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub async fn snapshot(&self, shard: ShardNo, to: Epoch) -> Result<Snapshot, SnapshotError> {
        let mut client = self.client.clone();
        let request = ShardSnapshotRequest { shard_no: shard.get(), epoch: to.get() };
        // The stream as a whole takes as long as it takes; its parts don't.
        let mut orders = match within(self.deadline, client.shard_snapshot(request)).await? {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Err(no_snapshot(&status)),
        };
        match within(self.deadline, orders.message()).await? {
            Ok(Some(ShardSnapshotResponse { part: Some(Part::Head(head)) })) => {
                let head = SnapshotHead {
                    total: head.total,
                    sold: head.sold,
                    generation: head.generation,
                    movement_watermark: head.movement_watermark,
                    orders: head.orders,
                };
                Ok(Snapshot { head, orders, deadline: self.deadline })
            }
            Ok(_) => Err(strange("a snapshot without a head").into()),
            Err(status) => Err(no_snapshot(&status)),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline);
        request
    }
}

impl Snapshot {
    /// The next orders; none at the end.
    ///
    /// # Errors
    /// [`Silent`] if the stream breaks off.
    pub async fn next_orders(&mut self) -> Result<Option<Vec<StagedOrder>>, Silent> {
        let message = within(self.deadline, self.orders.message()).await?;
        match message.map_err(|status| refused(&status))? {
            None => Ok(None),
            Some(ShardSnapshotResponse { part: Some(Part::Orders(part)) }) => {
                part.orders.iter().map(staged).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(strange("a part of a snapshot that isn't orders")),
        }
    }
}

fn staged(order: &SnapshotOrder) -> Result<StagedOrder, Silent> {
    Ok(StagedOrder {
        order: OrderId::try_from(order.order_id.as_ref()).map_err(strange)?,
        user: UserId::try_from(order.user_id.as_ref()).map_err(strange)?,
        quantity: order.quantity,
        state: settled(order.state())?,
    })
}

fn settled(state: OrderState) -> Result<Settled, Silent> {
    match state {
        OrderState::Placed | OrderState::Paid => Ok(Settled::Placed),
        OrderState::Cancelled | OrderState::Expired => Ok(Settled::Released),
        OrderState::Rejected => Ok(Settled::Rejected),
        OrderState::Unspecified => Err(strange("an order without a state")),
    }
}

/// The client's own timer covers the time until an answer begins; this one covers all of it.
async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<Result<T, Status>, Silent> {
    tokio::time::timeout(deadline, call).await.map_err(|_| strange("the deadline has passed"))
}

fn no_snapshot(status: &Status) -> SnapshotError {
    match status.code() {
        Code::FailedPrecondition | Code::NotFound => SnapshotError::OtherEpoch,
        _ if reason_of(status).as_deref() == Some(reason_text(ErrorReason::Overloaded)) => {
            SnapshotError::Busy
        }
        _ => refused(status).into(),
    }
}

fn refused(status: &Status) -> Silent {
    strange(format!("{:?}: {}", status.code(), status.message()))
}

fn strange(why: impl ToString) -> Silent {
    Silent { service: "order-svc", why: why.to_string() }
}
