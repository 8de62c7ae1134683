//! A running inventory-svc with everything that it needs, in a directory that goes with it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::{
    Clock, ClockShift, Cores, Kind, Listeners, PausePoints, ServerSettings, Stopper, TaskOwner,
    Words,
};
use ids::ShardNo;
use inventory_svc::{
    App, BuildError, Config, Seams,
    ledger::{self, Ledger, MemoryLedger},
};
use journal::{Journal, embedded::Broker};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{AlgorithmParameters, Jwk},
};
use proto::{
    inventory::v1::{
        self as v1, CreateSaleRequest, GetItemRequest, NewItem, ScheduleSaleRequest, ShardPhase,
        catalog_service_client::CatalogServiceClient, get_item_request::By,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::order_service_server::OrderServiceServer,
    user::v1::{token_service_server::TokenServiceServer, user_service_server::UserServiceServer},
};
use serde_json::json;
use tempfile::TempDir;
use tonic::{Request, Status, service::Routes, transport::Channel};
use tonic_types::StatusExt as _;

use crate::books::{Books, order};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const PARTITIONS: u32 = 4;

/// An Ed25519 private key in the format of PKCS #8 is this and 32 bytes of seed.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) books: Books,
    pub(crate) broker: Broker,
    pub(crate) journal: Journal,
    /// Of the service, unless its configuration names a Redis.
    pub(crate) ledger: Arc<MemoryLedger>,
    keeper: Arc<dyn Ledger>,
    /// Moves the ledger's time alone.
    pub(crate) ledger_shift: ClockShift,
    clock: Clock,
    key: EncodingKey,
    channel: Channel,
    cores: Arc<Cores>,
    owner: Mutex<Option<TaskOwner>>,
    /// Of what outlives a crash of the service.
    _others: TaskOwner,
    _dir: TempDir,
}

/// The configuration of the house: faster than shipped where a test would have to wait.
pub(crate) fn config(dir: &TempDir) -> Config {
    let mut config = Config::load(None).unwrap();
    config.catalog_url = format!("sqlite:{}", dir.path().join("inventory.db").display());
    config.migrate_on_start = true;
    config.loading.look_ms = 20;
    config.loading.send_ms = 100;
    config.loading.again_ms = 20;
    config.loading.keeper_ms = 20;
    config.loading.compare_ms = 100;
    config.loading.loader_lease_ms = 1_000;
    config.roll_forward.interval_ms = 50;
    config.upstream.revocations_interval_ms = 20;
    config
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    /// A house where nobody says which operators' tokens are revoked.
    pub(crate) async fn open_untold() -> Self {
        Self::open_as(|_| (), |books| books.tell_revocations(None)).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open_as(change, |_| ()).await
    }

    async fn open_as(change: impl FnOnce(&mut Config), set: impl FnOnce(&Books)) -> Self {
        let dir = TempDir::new().unwrap();
        let cores = Arc::new(Cores::start(1).unwrap());
        let broker = Broker::start(PARTITIONS).unwrap();
        let journal = broker.journal(&journal::Settings::default()).unwrap();
        let key = EncodingKey::from_ed_der(&[PKCS8_HEAD.as_slice(), &[7; 32]].concat());
        let others = TaskOwner::new("others", Stopper::new());

        let books = Books::with_key(public(&key));
        set(&books);
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let url = format!("http://{}", listeners.addr());
        let routes = Routes::new(OrderServiceServer::new(books.clone()))
            .add_service(TokenServiceServer::new(books.clone()))
            .add_service(UserServiceServer::new(books.clone()));
        let tasks = others.tasks();
        let words = Words {
            domain: proto::ERROR_DOMAIN,
            invalid_input: "INVALID_INPUT",
            overloaded: "OVERLOADED",
            unimplemented: "UNIMPLEMENTED",
            not_found: "NOT_FOUND",
        };
        let settings = ServerSettings::default();
        let off = chassis::Telemetry::off("stubs");
        chassis::serve(&tasks, &cores, listeners, &settings, words, &off, |_| routes.clone());
        for partition in 0..PARTITIONS {
            let follow = books.clone().follow(journal.clone(), partition);
            tasks.spawn_on(cores.background(), Kind::Disposable, "books", follow);
        }

        let mut config = config(&dir);
        config.upstream.order_svc = url.clone();
        config.upstream.user_svc = url;
        change(&mut config);
        let (ledger_clock, ledger_shift) = Clock::adjustable();
        let ledger = Arc::new(MemoryLedger::new(ledger_clock));
        let keeper: Arc<dyn Ledger> = if config.ledger_url == "memory" {
            Arc::clone(&ledger) as _
        } else {
            ledger::open(&config, cores.background()).await.unwrap()
        };
        let mut house = Self {
            config,
            books,
            broker,
            journal,
            ledger,
            keeper,
            ledger_shift,
            clock: Clock::system(),
            key,
            channel: Channel::from_static("http://127.0.0.1:1").connect_lazy(),
            cores,
            owner: Mutex::default(),
            _others: others,
            _dir: dir,
        };
        house.start().await;
        house
    }

    pub(crate) async fn build(&self, config: Config) -> Result<App, BuildError> {
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let seams = Seams {
            clock: self.clock.clone(),
            pause: PausePoints::default(),
            cores: Arc::clone(&self.cores),
            ledger: Arc::clone(&self.keeper),
            journal: self.journal.clone(),
            telemetry: chassis::Telemetry::off("inventory-svc"),
        };
        // The future is a large one, and every test would carry it.
        Box::pin(inventory_svc::build(config, listeners, seams)).await
    }

    /// A process of the service starts on this house's files.
    pub(crate) async fn start(&mut self) {
        let app = self.build(self.config.clone()).await.unwrap();
        let url = format!("http://{}", app.addr());
        self.channel = Channel::from_shared(url).unwrap().connect_lazy();
        let owner = TaskOwner::new("house", Stopper::new());
        let run = app.run(Stopper::new());
        owner.tasks().spawn_on(self.cores.background(), Kind::Disposable, "app", async move {
            run.await.unwrap();
        });
        *self.owner.lock().unwrap() = Some(owner);
    }

    /// Another process of the service, beside the one that clients are connected to.
    pub(crate) async fn neighbour(&self) -> InventoryServiceClient<Channel> {
        let app = self.build(self.config.clone()).await.unwrap();
        let url = format!("http://{}", app.addr());
        let run = app.run(Stopper::new());
        self._others.tasks().spawn_on(
            self.cores.background(),
            Kind::Disposable,
            "neighbour",
            async move { run.await.unwrap() },
        );
        InventoryServiceClient::new(Channel::from_shared(url).unwrap().connect_lazy())
    }

    /// The process dies on the spot; ledger, journal and books live on.
    pub(crate) fn crash(&self) {
        drop(self.owner.lock().unwrap().take());
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel.clone())
    }

    pub(crate) fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(self.channel.clone())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// A token that holds, for `audience`, and may run sales.
    pub(crate) fn token(&self, audience: &str) -> String {
        self.token_with(audience, "RUN_SALES")
    }

    /// The same with another claim `scope`.
    pub(crate) fn token_with(&self, audience: &str, scope: &str) -> String {
        let now_s = self.now_ms() / 1_000;
        let claims = json!({
            "iss": "seckill", "aud": audience, "sub": "operator-1", "name": "Ann",
            "iat": now_s, "nbf": now_s, "exp": now_s + 600, "scope": scope,
            "makers": ["Root"],
        });
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("test".to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }

    /// A request with an operator's token.
    pub(crate) fn operators<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.token("seckill-operator"));
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    }

    /// A sale of one item with ten units, at most two a user, and a lease of 400 ms.
    pub(crate) async fn create(&self, request_id: &str) -> v1::Sale {
        let request = self.operators(sale(request_id));
        self.catalog().create_sale(request).await.unwrap().into_inner().sale.unwrap()
    }

    /// That sale, open since a second ago, for an hour.
    pub(crate) async fn schedule(&self, sale: &v1::Sale) -> ShardNo {
        self.schedule_for(sale, Duration::from_secs(3_600)).await
    }

    /// That sale, open since a second ago, for so long from then on.
    pub(crate) async fn schedule_for(&self, sale: &v1::Sale, open_for: Duration) -> ShardNo {
        let opens_ms = self.now_ms() - 1_000;
        let closes_ms = opens_ms + u64::try_from(open_for.as_millis()).unwrap();
        let request = ScheduleSaleRequest {
            sale_id: sale.sale_id.clone(),
            opens_at: Some(timestamp(opens_ms)),
            closes_at: Some(timestamp(closes_ms)),
            warm_up_seconds: 10,
        };
        self.catalog().schedule_sale(self.operators(request)).await.unwrap();
        ShardNo::new(sale.items[0].shards[0].shard_no).unwrap()
    }

    /// A shard that is open, and its epoch.
    pub(crate) async fn open_shard(&self) -> (ShardNo, i64) {
        let sale = self.create("open").await;
        let shard = self.schedule(&sale).await;
        (shard, self.opened(shard).await)
    }

    pub(crate) async fn phase(&self, shard: ShardNo) -> ShardPhase {
        let by = Some(By::ShardNo(shard.get()));
        let item = self.catalog().get_item(GetItemRequest { by }).await.unwrap().into_inner();
        item.item.unwrap().shards[0].phase()
    }

    /// Waits until buyers are served, and tells the epoch.
    pub(crate) async fn opened(&self, shard: ShardNo) -> i64 {
        let mut epoch = 0;
        eventually("the shard opens", async || {
            let Some(count) = self.try_count(shard).await else { return false };
            epoch = count.epoch;
            self.phase(shard).await == ShardPhase::Open
        })
        .await;
        epoch
    }

    /// Waits until buyers are served in another epoch than `before`.
    pub(crate) async fn loaded_after(&self, shard: ShardNo, before: i64) {
        eventually("another epoch is loaded", async || {
            self.try_count(shard).await.is_some_and(|count| count.epoch != before)
        })
        .await;
        self.opened(shard).await;
    }

    /// What the service answers to a batch of one-unit requests of these users.
    pub(crate) async fn reserve(&self, shard: ShardNo, users: &[u8]) -> v1::ReserveResponse {
        self.inventory().reserve(self.batch(shard, users)).await.unwrap().into_inner()
    }

    /// One unit for each of these users.
    pub(crate) fn batch(&self, shard: ShardNo, users: &[u8]) -> v1::ReserveRequest {
        let entries = users.iter().map(|number| {
            let (order, user) = order(shard, *number);
            v1::ReserveEntry {
                placed_at: None,
                order_id: order.as_bytes().to_vec().into(),
                user_id: user.as_bytes().to_vec().into(),
                quantity: 1,
                unit_price: 1_250,
                ticket_expires_ms: self.now_ms() + 3_000_000,
                traceparent: String::new(),
            }
        });
        v1::ReserveRequest {
            shard_no: shard.get(),
            entries: entries.collect(),
            ..Default::default()
        }
    }

    /// Takes one unit for each of these users; all of them must be held.
    pub(crate) async fn hold(&self, shard: ShardNo, users: &[u8]) -> v1::ReservedBatch {
        let mut batch = None;
        eventually("the units are taken", async || {
            match self.reserve(shard, users).await.answer.unwrap() {
                v1::reserve_response::Answer::Batch(taken) => batch = Some(taken),
                v1::reserve_response::Answer::Refusal(_) => {}
            }
            batch.is_some()
        })
        .await;
        let batch = batch.unwrap();
        let is_held = |answer: &v1::EntryAnswer| {
            matches!(answer.answer, Some(v1::entry_answer::Answer::Held(_)))
        };
        assert!(batch.answers.iter().all(is_held), "{batch:?}");
        batch
    }

    /// What the ledger counts; none while it can't be asked.
    pub(crate) async fn try_count(&self, shard: ShardNo) -> Option<v1::CountShardResponse> {
        let request = v1::CountShardRequest { shard_no: shard.get() };
        self.inventory().count_shard(request).await.ok().map(tonic::Response::into_inner)
    }

    /// What the ledger counts, once it can be asked.
    pub(crate) async fn count(&self, shard: ShardNo) -> v1::CountShardResponse {
        let mut count = None;
        eventually("the ledger can be asked", async || {
            count = self.try_count(shard).await;
            count.is_some()
        })
        .await;
        count.unwrap()
    }
}

pub(crate) fn sale(request_id: &str) -> CreateSaleRequest {
    let item = NewItem {
        sku: "mug".to_owned(),
        title: "A mug".to_owned(),
        price: Some(v1::Money { currency: "EUR".to_owned(), minor_units: 1_250 }),
        total_units: 10,
        limit_per_user: 2,
        pay_within_seconds: 0,
        lease_ms: 400,
    };
    CreateSaleRequest {
        request_id: request_id.to_owned(),
        title: "Spring".to_owned(),
        items: vec![item],
    }
}

pub(crate) fn timestamp(ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(ms / 1_000).unwrap(),
        nanos: i32::try_from(ms % 1_000 * 1_000_000).unwrap(),
    }
}

/// Waits until `is_so`, with patience.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: never"));
}

/// The fields that a status says are wrong.
pub(crate) fn wrong_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    fields.into_iter().map(|violation| violation.field).collect()
}

fn public(key: &EncodingKey) -> [u8; 32] {
    let jwk = Jwk::from_encoding_key(key, Algorithm::EdDSA).unwrap();
    let AlgorithmParameters::OctetKeyPair(pair) = jwk.algorithm else { panic!("another kind") };
    URL_SAFE_NO_PAD.decode(pair.x).unwrap().try_into().unwrap()
}
