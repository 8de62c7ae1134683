//! What every story needs: a gateway that runs, the world behind it, a clock and pause points in
//! the test's hand, buyers with tokens, and a reader of the journal.

use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use chassis::{
    Clock, ClockShift, Cores, Kind, Listeners, PausePoints, ServerSettings, Stopper, TaskOwner,
    Telemetry, Words,
};
use gateway::{Config, Doors, Seams};
use ids::{ItemId, OrderId, SaleId, UserId};
use journal::{Command, Journal, PlacedHold, embedded::Broker};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proto::{
    gateway::v1::{
        self as wire, PurchaseRequest, PurchaseResponse, PurchaseState,
        gateway_service_client::GatewayServiceClient,
    },
    inventory::v1::{
        self as inventory, catalog_service_server::CatalogServiceServer,
        inventory_service_server::InventoryServiceServer,
    },
    order::v1::{self as order, order_service_server::OrderServiceServer},
    user::v1::{
        PublicKey, operator_service_server::OperatorServiceServer,
        token_service_server::TokenServiceServer, user_service_server::UserServiceServer,
    },
};
use tonic::{Request, Status, service::Routes, transport::Channel};

use crate::stubs::{Stub, World, lock};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const LEASE_MS: u32 = 2000;
pub(crate) const SHARD: u32 = 3;
pub(crate) const PARTITION: u32 = 1;

/// A running gateway and everything around it.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) broker: Broker,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) shift: ClockShift,
    pub(crate) pause: PausePoints,
    pub(crate) stopper: Stopper,
    pub(crate) item: ItemId,
    pub(crate) sale: SaleId,
    pub(crate) url: String,
    pub(crate) operator_url: String,
    pub(crate) telemetry: Telemetry,
    pub(crate) owner: TaskOwner,
    _cores: Arc<Cores>,
    _dir: tempfile::TempDir,
}

/// What a story wants to be otherwise.
pub(crate) struct Plan {
    pub(crate) config: Box<dyn FnOnce(&mut Config)>,
    pub(crate) journal: journal::Settings,
    pub(crate) lease_ms: u32,
    pub(crate) limit_per_user: u32,
    /// From now; negative: in the past.
    pub(crate) opens_in_s: i64,
    pub(crate) closes_in_s: i64,
    pub(crate) is_user_down: bool,
    /// user-svc says nothing of operators' tokens.
    pub(crate) hides_revocations: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            config: Box::new(|_| {}),
            journal: journal::Settings::default(),
            lease_ms: LEASE_MS,
            limit_per_user: 5,
            opens_in_s: -60,
            closes_in_s: 3600,
            is_user_down: false,
            hides_revocations: false,
        }
    }
}

impl Stage {
    /// An open sale of one item with 100 units.
    pub(crate) async fn open() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        let cores = Arc::new(Cores::start(2).unwrap());
        let (clock, shift) = Clock::adjustable();
        let (sale, item) = (SaleId::random(), ItemId::random());
        let world = Arc::new(World::default());
        lock(&world.ledger).stock = 100;
        *lock(&world.clock) = Some(clock.clone());
        lock(&world.sales).push(sale_of(sale, item, &clock, &plan));
        *lock(&world.keys) = vec![key("one", &KEY_ONE)];
        world.is_user_down.store(plan.is_user_down, std::sync::atomic::Ordering::SeqCst);
        world.hides_revocations.store(plan.hides_revocations, std::sync::atomic::Ordering::SeqCst);

        let stopper = Stopper::new();
        let owner = TaskOwner::new("stage", Stopper::new());
        let behind = format!("http://{}", serve_stubs(&owner, &cores, &world));
        let broker = Broker::start(2).unwrap();
        let journal = broker.journal(&plan.journal).unwrap();
        let dir = tempfile::TempDir::new().unwrap();
        let mut config = config(dir.path(), &behind);
        (plan.config)(&mut config);
        let pause = PausePoints::armed();
        let bind = || Listeners::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let doors = Doors { public: bind(), operators: Some(bind()) };
        let telemetry = Telemetry::off("gateway");
        let seams = Seams {
            clock: clock.clone(),
            pause: pause.clone(),
            cores: Arc::clone(&cores),
            journal: journal.clone(),
            telemetry: telemetry.clone(),
        };
        let app = gateway::build(config, doors, seams).await.unwrap();
        let url = format!("http://{}", app.addr());
        let operator_url = format!("http://{}", app.operator_addr().unwrap());
        let run = app.run(stopper.clone());
        let run = async move { run.await.unwrap() };
        owner.tasks().spawn_on(cores.background(), Kind::Drained, "gateway", run);
        Self {
            world,
            broker,
            journal,
            clock,
            shift,
            pause,
            stopper,
            item,
            sale,
            url,
            operator_url,
            telemetry,
            owner,
            _cores: cores,
            _dir: dir,
        }
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.url.clone()).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> GatewayServiceClient<Channel> {
        GatewayServiceClient::new(self.channel().await)
    }

    /// Someone new.
    pub(crate) async fn buyer(&self) -> Buyer {
        let user = UserId::random();
        let token = Token::of(user, &self.clock).signed();
        let channel = self.channel().await;
        let client = GatewayServiceClient::new(channel.clone());
        Buyer { user, token, channel, client, item: self.item }
    }

    /// Holds that stand in the journal, once there are so many.
    pub(crate) async fn recorded(&self, count: usize) -> Vec<PlacedHold> {
        self.records(count).await.into_iter().flatten().collect()
    }

    /// The same, record by record.
    pub(crate) async fn records(&self, holds: usize) -> Vec<Vec<PlacedHold>> {
        let mut reader = self.journal.reader(PARTITION).unwrap();
        reader.start(0).unwrap();
        let mut records: Vec<Vec<PlacedHold>> = Vec::new();
        let read = async {
            while records.iter().map(Vec::len).sum::<usize>() < holds {
                for raw in reader.next_batch(100, Duration::from_millis(100)).await.unwrap() {
                    let record = journal::decode(&raw.bytes).unwrap();
                    assert_eq!(record.shard.get(), SHARD);
                    let Command::HoldsPlaced { epoch, holds, .. } = record.command else {
                        panic!("a gateway records holds only")
                    };
                    assert_eq!(epoch.get(), 7);
                    records.push(holds);
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, read).await;
        assert!(in_time.is_ok(), "{holds} holds in the journal");
        records
    }

    /// How many records there are.
    pub(crate) async fn record_count(&self) -> u64 {
        self.journal.reader(PARTITION).unwrap().watermarks().await.unwrap().1
    }

    /// Lets `step` become true.
    pub(crate) async fn until(&self, what: &str, mut step: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !step().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}");
    }

    /// The sum of an instrument over all its labels.
    pub(crate) fn measured(&self, name: &str) -> f64 {
        let text = self.telemetry.metrics().text();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// The shard's stock as inventory-svc tells it.
    pub(crate) fn tell_stock(&self, left: u32) {
        *lock(&self.world.stock) = Some(inventory::WatchStockResponse {
            shard_no: SHARD,
            is_open: true,
            epoch: 7,
            version: 1,
            left,
            paused: false,
        });
    }

    /// A row in the books.
    pub(crate) fn write_row(&self, order: OrderId, user: UserId, state: order::OrderState) {
        let row = order::Order {
            order_id: bytes::Bytes::copy_from_slice(order.as_bytes()),
            user_id: bytes::Bytes::copy_from_slice(user.as_bytes()),
            sale_id: bytes::Bytes::copy_from_slice(self.sale.as_bytes()),
            item_id: bytes::Bytes::copy_from_slice(self.item.as_bytes()),
            shard_no: SHARD,
            quantity: 1,
            unit_price: 1999,
            currency: "EUR".into(),
            state: state.into(),
            held_at: None,
            placed_at: Some(time(1_767_268_800_000)),
            pay_by: Some(time(1_767_269_700_000)),
            ..Default::default()
        };
        lock(&self.world.rows).insert(row.order_id.clone(), row);
    }
}

/// A client with an access token.
#[derive(Clone)]
pub(crate) struct Buyer {
    pub(crate) user: UserId,
    pub(crate) token: String,
    /// The client's.
    pub(crate) channel: Channel,
    pub(crate) client: GatewayServiceClient<Channel>,
    pub(crate) item: ItemId,
}

/// A ticket and its order.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) text: String,
    pub(crate) order: OrderId,
}

impl Buyer {
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    pub(crate) async fn ticket(&self, quantity: u32, name: &str) -> Ticket {
        let issued = self.wish(quantity, name).await.unwrap();
        Ticket { text: issued.ticket, order: issued.order_id.parse().unwrap() }
    }

    pub(crate) async fn wish(
        &self,
        quantity: u32,
        name: &str,
    ) -> Result<wire::IssueTicketResponse, Status> {
        let message = wire::IssueTicketRequest {
            item_id: self.item.to_string(),
            quantity,
            request_id: name.into(),
        };
        let answer = self.client.clone().issue_ticket(self.request(message)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn send(
        &self,
        ticket: &str,
        attempt: u32,
    ) -> Result<PurchaseResponse, Status> {
        let message = PurchaseRequest { ticket: ticket.into(), attempt };
        let answer = self.client.clone().purchase(self.request(message)).await;
        answer.map(tonic::Response::into_inner)
    }

    /// The state that comes of a ticket; it must be of the ticket's order.
    pub(crate) async fn buy(&self, ticket: &Ticket, attempt: u32) -> Result<PurchaseState, Status> {
        let answer = self.send(&ticket.text, attempt).await?;
        assert_eq!(answer.order_id, ticket.order.to_string());
        Ok(answer.state())
    }

    pub(crate) async fn order(
        &self,
        order_id: impl ToString,
        ticket: &str,
    ) -> Result<wire::Order, Status> {
        let order_id = order_id.to_string();
        let message = wire::GetOrderRequest { order_id, ticket: ticket.into() };
        let answer = self.client.clone().get_order(self.request(message)).await?;
        Ok(answer.into_inner().order.unwrap())
    }
}

/// The claims of an access token, to be made wrong one by one.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) claims: serde_json::Value,
    pub(crate) key_id: &'static str,
    pub(crate) seed: [u8; 32],
}

impl Token {
    pub(crate) fn of(user: UserId, clock: &Clock) -> Self {
        let now_s = clock.wall_ms() / 1000;
        let claims = serde_json::json!({
            "iss": "seckill", "aud": "seckill", "sub": user.to_string(),
            "iat": now_s, "nbf": now_s, "exp": now_s + 36_000,
        });
        Self { claims, key_id: "one", seed: KEY_ONE.0 }
    }

    pub(crate) fn signed(&self) -> String {
        // PKCS#8 of an Ed25519 key: a fixed head, then the seed.
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend_from_slice(&self.seed);
        let header = Header { kid: Some(self.key_id.into()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &self.claims, &EncodingKey::from_ed_der(&der)).unwrap()
    }
}

/// Seed and public key of the first two test vectors of RFC 8032.
pub(crate) type KeyPair = ([u8; 32], [u8; 32]);

pub(crate) const KEY_ONE: KeyPair = (
    hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
    hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
);

pub(crate) const KEY_TWO: KeyPair = (
    hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
    hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
);

const fn hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 }
    }
    let (text, mut bytes, mut place) = (text.as_bytes(), [0; 32], 0);
    while place < 32 {
        bytes[place] = digit(text[2 * place]) * 16 + digit(text[2 * place + 1]);
        place += 1;
    }
    bytes
}

pub(crate) fn key(key_id: &str, pair: &KeyPair) -> PublicKey {
    PublicKey { key_id: key_id.into(), ed25519: bytes::Bytes::copy_from_slice(&pair.1) }
}

/// Code, reason, and whether it says when to come back.
pub(crate) fn said<T: std::fmt::Debug>(answer: Result<T, Status>) -> (tonic::Code, String, bool) {
    let status = answer.expect_err("a refusal");
    let reason = chassis::status::reason_of(&status).unwrap_or_default();
    (status.code(), reason, chassis::status::retry_after_of(&status).is_some())
}

/// The reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    said(answer).1
}

/// The field that malformed input names.
pub(crate) fn bad_field<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    bad_field_of(&status)
}

/// The field that a refusal names.
pub(crate) fn bad_field_of(status: &Status) -> String {
    let details = tonic_types::StatusExt::get_details_bad_request(status).expect("a BadRequest");
    details.field_violations[0].field.clone()
}

pub(crate) fn time(ms: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(ms % 1000).unwrap() * 1_000_000;
    prost_types::Timestamp { seconds: ms / 1000, nanos }
}

fn config(dir: &Path, behind: &str) -> Config {
    let mut config = Config::load(None).unwrap();
    for (name, file) in [
        ("ticket.key", &mut config.tickets.key_file),
        ("order.key", &mut config.tickets.order_id_key_file),
    ] {
        *file = dir.join(name);
        write_secret(file, &format!("a secret for tests only: {name}{}", "x".repeat(32)));
    }
    behind.clone_into(&mut config.upstream.inventory);
    behind.clone_into(&mut config.upstream.order);
    behind.clone_into(&mut config.upstream.user);
    config.identity.revocations_interval_ms = 20;
    config
}

/// Others may not read it, or it is refused.
pub(crate) fn write_secret(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(file, private).unwrap();
}

/// Everything that is behind a gateway, over `world`.
pub(crate) fn serve_stubs(
    owner: &TaskOwner,
    cores: &Cores,
    world: &Arc<World>,
) -> std::net::SocketAddr {
    let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let addr = listeners.addr();
    let stub = Stub(Arc::clone(world));
    let routes = Routes::new(InventoryServiceServer::new(stub.clone()))
        .add_service(CatalogServiceServer::new(stub.clone()))
        .add_service(OrderServiceServer::new(stub.clone()))
        .add_service(OperatorServiceServer::new(stub.clone()))
        .add_service(TokenServiceServer::new(stub.clone()))
        .add_service(UserServiceServer::new(stub));
    let settings = ServerSettings::default();
    let words = Words {
        domain: proto::ERROR_DOMAIN,
        invalid_input: "INVALID_INPUT",
        overloaded: "OVERLOADED",
        unimplemented: "UNIMPLEMENTED",
        not_found: "NOT_FOUND",
    };
    let off = chassis::Telemetry::off("stubs");
    chassis::serve(&owner.tasks(), cores, listeners, &settings, words, &off, |_| routes.clone());
    addr
}

/// A sale of one item, with a window as planned.
pub(crate) fn sale_of(sale: SaleId, item: ItemId, clock: &Clock, plan: &Plan) -> inventory::Sale {
    let now_ms = i64::try_from(clock.wall_ms()).unwrap();
    let shard = inventory::Shard {
        shard_no: SHARD,
        partition: PARTITION,
        total_units: 100,
        lease_ms: plan.lease_ms,
        phase: inventory::ShardPhase::Open.into(),
        paused: false,
        foreign_item_id: String::new(),
    };
    let item = inventory::Item {
        item_id: item.to_string(),
        sale_id: sale.to_string(),
        sku: "BOOK".into(),
        title: "A book".into(),
        price: Some(inventory::Money { currency: "EUR".into(), minor_units: 1999 }),
        total_units: 100,
        limit_per_user: plan.limit_per_user,
        pay_within_seconds: 900,
        shards: vec![shard],
    };
    inventory::Sale {
        sale_id: sale.to_string(),
        title: "A sale".into(),
        state: inventory::SaleState::Scheduled.into(),
        opens_at: Some(time(now_ms + plan.opens_in_s * 1000)),
        closes_at: Some(time(now_ms + plan.closes_in_s * 1000)),
        warm_up_seconds: 60,
        items: vec![item],
        created_at: None,
    }
}
