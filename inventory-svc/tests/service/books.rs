//! Order-svc and user-svc as far as inventory-svc asks them: books that follow the embedded journal
//! by the rules of protocol section 5, in memory, and one public key.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::Stream;
use ids::{Epoch, ItemId, OrderId, ShardNo, UserId};
use journal::{Command, Journal, Record};
use proto::{
    order::v1::{self as v1, OrderState, order_service_server::OrderService},
    user::v1::{
        ListPublicKeysRequest, ListPublicKeysResponse, ListRevocationsRequest,
        ListRevocationsResponse, PublicKey, RefreshSessionRequest, RefreshSessionResponse,
        RegisterRequest, RegisterResponse, Revocation, SignInRequest, SignInResponse,
        SignOutRequest, SignOutResponse, token_service_server::TokenService,
        user_service_server::UserService,
    },
};
use tonic::{Request, Response, Status};

#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub(crate) item: ItemId,
    pub(crate) total: u64,
    pub(crate) open: Option<Epoch>,
    pub(crate) orders: BTreeMap<OrderId, (UserId, u32)>,
    pub(crate) generation: u64,
}

impl Shard {
    pub(crate) fn sold(&self) -> u64 {
        self.orders.values().map(|(_, quantity)| u64::from(*quantity)).sum()
    }
}

/// Clones are the same books.
#[derive(Clone, Default)]
pub(crate) struct Books(Arc<Inner>);

#[derive(Default)]
struct Inner {
    shards: Mutex<BTreeMap<u32, Shard>>,
    is_down: AtomicBool,
    silent: Mutex<BTreeSet<u32>>,
    silent_about: Mutex<Option<u32>>,
    keys_asked: AtomicUsize,
    shards_asked: AtomicUsize,
    uncommitted: Mutex<BTreeSet<u32>>,
    unread: Mutex<BTreeSet<u32>>,
    public_key: Mutex<Vec<u8>>,
    /// Of operators' tokens; none while nobody is told.
    revocations: Mutex<Option<Vec<Revocation>>>,
}

impl Books {
    pub(crate) fn with_key(public_key: [u8; 32]) -> Self {
        let books = Self::default();
        *books.0.public_key.lock().unwrap() = public_key.to_vec();
        books.tell_revocations(Some(&[]));
        books
    }

    /// Names (empty: everyone), and before which second their tokens are void; or silence.
    pub(crate) fn tell_revocations(&self, known: Option<&[(&str, i64)]>) {
        let message = |(name, seconds): &(&str, i64)| Revocation {
            name: (*name).to_owned(),
            issued_before: Some(prost_types::Timestamp { seconds: *seconds, nanos: 0 }),
        };
        *self.0.revocations.lock().unwrap() =
            known.map(|known| known.iter().map(message).collect());
    }

    /// What the books have of a shard.
    pub(crate) fn shard(&self, shard: u32) -> Option<Shard> {
        self.0.shards.lock().unwrap().get(&shard).cloned()
    }

    /// While it is down, order-svc answers nobody.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Questions about orders of this shard aren't answered.
    pub(crate) fn set_silent_about(&self, shard: Option<u32>) {
        *self.0.silent_about.lock().unwrap() = shard;
    }

    /// As if it were restored from an older copy: it has the epoch open that was before.
    pub(crate) fn set_open(&self, shard: u32, open: Option<Epoch>) {
        self.0.shards.lock().unwrap().get_mut(&shard).unwrap().open = open;
    }

    /// As if the number had been this item's all along.
    pub(crate) fn set_item(&self, shard: u32, item: ItemId) {
        self.0.shards.lock().unwrap().get_mut(&shard).unwrap().item = item;
    }

    /// The same of an older copy of the partition's position.
    pub(crate) fn set_generation(&self, shard: u32, generation: u64) {
        self.0.shards.lock().unwrap().get_mut(&shard).unwrap().generation = generation;
    }

    /// Nobody is answered about this shard from now on.
    pub(crate) fn silence(&self, shard: u32) {
        self.0.silent.lock().unwrap().insert(shard);
    }

    pub(crate) fn shards_asked(&self) -> usize {
        self.0.shards_asked.load(Ordering::SeqCst)
    }

    pub(crate) fn keys_asked(&self) -> usize {
        self.0.keys_asked.load(Ordering::SeqCst)
    }

    /// Whether what is read of a partition is committed, so that the broker has room for more.
    pub(crate) fn set_committing(&self, partition: u32, is_committing: bool) {
        let mut uncommitted = self.0.uncommitted.lock().unwrap();
        if is_committing {
            uncommitted.remove(&partition);
        } else {
            uncommitted.insert(partition);
        }
    }

    /// Whether a partition is read; what isn't waits.
    pub(crate) fn set_reading(&self, partition: u32, is_reading: bool) {
        let mut unread = self.0.unread.lock().unwrap();
        if is_reading {
            unread.remove(&partition);
        } else {
            unread.insert(partition);
        }
    }

    /// Follows one partition for ever.
    pub(crate) async fn follow(self, journal: Journal, partition: u32) {
        let mut reader = journal.reader(partition).unwrap();
        reader.start(0).unwrap();
        let mut next_offset = 0;
        loop {
            let batch = reader.next_batch(100, Duration::from_millis(100)).await.unwrap();
            while self.0.unread.lock().unwrap().contains(&partition) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for raw in batch {
                self.apply(journal::decode(&raw.bytes).unwrap());
                next_offset = raw.offset + 1;
            }
            if !self.0.uncommitted.lock().unwrap().contains(&partition) {
                reader.committed(next_offset);
            }
        }
    }

    fn apply(&self, record: Record) {
        let mut shards = self.0.shards.lock().unwrap();
        let no = record.shard.get();
        match record.command {
            Command::ItemOpened(item) => {
                let new = Shard {
                    item: item.item,
                    total: item.total.into(),
                    open: None,
                    orders: BTreeMap::new(),
                    generation: 0,
                };
                shards.entry(no).or_insert(new).generation += 1;
            }
            Command::EpochChanged { from, to } => {
                let Some(shard) = shards.get_mut(&no) else { return };
                shard.generation += 1;
                if shard.open == from {
                    shard.open = Some(to);
                }
            }
            Command::HoldsPlaced { epoch, holds, .. } => {
                let Some(shard) = shards.get_mut(&no) else { return };
                shard.generation += 1;
                for hold in holds {
                    if shard.open == Some(epoch) {
                        shard.orders.insert(hold.order, (hold.user, hold.quantity));
                    }
                }
                assert!(shard.sold() <= shard.total, "the guard would refuse a hold");
            }
        }
    }

    fn read(&self, shard: u32) -> Result<Shard, Status> {
        let is_silent = self.0.silent.lock().unwrap().contains(&shard);
        if is_silent || self.0.is_down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("down"));
        }
        self.shard(shard).ok_or_else(|| Status::not_found("no such shard"))
    }
}

type Snapshot = Pin<Box<dyn Stream<Item = Result<v1::ShardSnapshotResponse, Status>> + Send>>;

#[tonic::async_trait]
impl OrderService for Books {
    async fn get_shard(
        &self,
        request: Request<v1::GetShardRequest>,
    ) -> Result<Response<v1::GetShardResponse>, Status> {
        self.0.shards_asked.fetch_add(1, Ordering::SeqCst);
        let shard = self.read(request.into_inner().shard_no)?;
        Ok(Response::new(v1::GetShardResponse {
            item_id: shard.item.as_bytes().to_vec().into(),
            open_epoch: Epoch::to_wire(shard.open),
            total: shard.total,
            sold: shard.sold(),
            generation: shard.generation,
        }))
    }

    async fn highest_shard(
        &self,
        _: Request<v1::HighestShardRequest>,
    ) -> Result<Response<v1::HighestShardResponse>, Status> {
        if self.0.is_down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("down"));
        }
        let highest = self.0.shards.lock().unwrap().keys().next_back().copied();
        Ok(Response::new(v1::HighestShardResponse { shard_no: highest.unwrap_or_default() }))
    }

    async fn find_orders(
        &self,
        request: Request<v1::FindOrdersRequest>,
    ) -> Result<Response<v1::FindOrdersResponse>, Status> {
        let mut answer = v1::FindOrdersResponse::default();
        for id in request.into_inner().order_ids {
            let order = OrderId::try_from(id.as_ref()).unwrap();
            if *self.0.silent_about.lock().unwrap() == Some(order.shard().get()) {
                return Err(Status::unavailable("not about this one"));
            }
            let shard = self.read(order.shard().get())?;
            if shard.orders.contains_key(&order) {
                let state = OrderState::Placed.into();
                answer.orders.push(v1::Order { order_id: id, state, ..Default::default() });
            }
            answer.shards = vec![v1::KnownShard {
                shard_no: order.shard().get(),
                generation: shard.generation,
                open_epoch: Epoch::to_wire(shard.open),
            }];
        }
        Ok(Response::new(answer))
    }

    type ShardSnapshotStream = Snapshot;

    async fn shard_snapshot(
        &self,
        request: Request<v1::ShardSnapshotRequest>,
    ) -> Result<Response<Snapshot>, Status> {
        let v1::ShardSnapshotRequest { shard_no, epoch } = request.into_inner();
        let shard = self.read(shard_no)?;
        if Epoch::to_wire(shard.open) != epoch {
            return Err(Status::failed_precondition("another epoch is open"));
        }
        let head = v1::SnapshotHead {
            total: shard.total,
            sold: shard.sold(),
            generation: shard.generation,
            movement_watermark: 0,
            orders: shard.orders.len() as u64,
        };
        let part = |part| Ok(v1::ShardSnapshotResponse { part: Some(part) });
        let mut parts = vec![part(v1::shard_snapshot_response::Part::Head(head))];
        // One order a message, so that staging takes more than one step.
        for (order, (user, quantity)) in shard.orders {
            let order = v1::SnapshotOrder {
                order_id: order.as_bytes().to_vec().into(),
                user_id: user.as_bytes().to_vec().into(),
                quantity,
                state: OrderState::Placed.into(),
            };
            let orders = v1::SnapshotOrders { orders: vec![order] };
            parts.push(part(v1::shard_snapshot_response::Part::Orders(orders)));
        }
        Ok(Response::new(Box::pin(futures::stream::iter(parts))))
    }

    async fn get_order(
        &self,
        _: Request<v1::GetOrderRequest>,
    ) -> Result<Response<v1::GetOrderResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }

    async fn list_orders(
        &self,
        _: Request<v1::ListOrdersRequest>,
    ) -> Result<Response<v1::ListOrdersResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }

    async fn count_shard(
        &self,
        _: Request<v1::CountShardRequest>,
    ) -> Result<Response<v1::CountShardResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }

    async fn list_shards(
        &self,
        _: Request<v1::ListShardsRequest>,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }
}

#[tonic::async_trait]
impl UserService for Books {
    async fn list_public_keys(
        &self,
        _: Request<ListPublicKeysRequest>,
    ) -> Result<Response<ListPublicKeysResponse>, Status> {
        self.0.keys_asked.fetch_add(1, Ordering::SeqCst);
        let ed25519 = self.0.public_key.lock().unwrap().clone().into();
        let keys = vec![PublicKey { key_id: "test".to_owned(), ed25519 }];
        Ok(Response::new(ListPublicKeysResponse { keys, issuer: "seckill".to_owned() }))
    }

    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }

    async fn sign_in(&self, _: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }

    async fn refresh_session(
        &self,
        _: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }

    async fn sign_out(
        &self,
        _: Request<SignOutRequest>,
    ) -> Result<Response<SignOutResponse>, Status> {
        Err(Status::unimplemented("not asked by inventory-svc"))
    }
}

#[tonic::async_trait]
impl TokenService for Books {
    async fn list_revocations(
        &self,
        _: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let known = self.0.revocations.lock().unwrap().clone();
        let revocations = known.ok_or_else(|| Status::unavailable("user-svc is down"))?;
        Ok(Response::new(ListRevocationsResponse { revocations }))
    }
}

/// An order of a user, minted as the gateway would.
pub(crate) fn order(shard: ShardNo, number: u8) -> (OrderId, UserId) {
    (OrderId::mint(shard, [number; 12]), UserId::from_bytes([number; 16]))
}
