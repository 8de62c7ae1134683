//! The four services of a house: how each is configured, started, stopped and crashed.

use std::{
    fmt::Display,
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chassis::{Clock, Listeners, PausePoints, Stopper};
use tokio::task::JoinHandle;

use super::{House, PATIENCE, url};

/// As `seckill dev` has them.
pub(super) const PARTITIONS: u32 = 4;

/// Where each service listens; a restarted one listens there again.
pub(super) struct Places {
    pub(super) user: SocketAddr,
    pub(super) inventory: SocketAddr,
    pub(super) neighbour: SocketAddr,
    pub(super) orders: SocketAddr,
    pub(super) gateway: SocketAddr,
    /// Keeps the ports ours while nobody has been built yet.
    reserved: Vec<Option<Listeners>>,
    count: usize,
}

impl Places {
    /// Free ports of the loopback.
    pub(super) fn find(count: usize) -> Self {
        let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bind = || Listeners::bind(inside, count).expect("the loopback has free ports");
        let reserved: Vec<_> = (0..5).map(|_| bind()).collect();
        let at = |nth: usize| reserved[nth].addr();
        let (user, inventory, neighbour, orders, gateway) = (at(0), at(1), at(2), at(3), at(4));
        let reserved = reserved.into_iter().map(Some).collect();
        Self { user, inventory, neighbour, orders, gateway, reserved, count }
    }

    /// Listeners at one of the places, the first time or again. Those of a service that crashed are
    /// gone after their next await.
    async fn listen(&mut self, at: SocketAddr) -> Listeners {
        let kept = self
            .reserved
            .iter_mut()
            .find_map(|listeners| listeners.take_if(|listeners| listeners.addr() == at));
        if let Some(kept) = kept {
            return kept;
        }
        let free = async {
            loop {
                if let Ok(listeners) = Listeners::bind(at, self.count) {
                    return listeners;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.expect("the port was ours")
    }
}

/// A service that runs.
pub(super) struct Role {
    stopper: Stopper,
    running: JoinHandle<()>,
}

impl Role {
    fn run<E: Display + 'static>(run: impl FnOnce(Stopper) -> BoxedRun<E>) -> Self {
        let stopper = Stopper::new();
        let run = run(stopper.clone());
        #[expect(clippy::disallowed_methods, reason = "a crash is this task being dropped")]
        let running = tokio::spawn(async move {
            if let Err(error) = run.await {
                panic!("a service ended by itself: {error}");
            }
        });
        Self { stopper, running }
    }

    /// Drops the running service where it stands.
    pub(super) async fn crash(self) {
        self.running.abort();
        let end = self.running.await.expect_err("it was running");
        assert!(end.is_cancelled(), "{end}");
    }

    /// Asks it to stop.
    pub(super) async fn stop(self, within: Duration) {
        self.stopper.stop();
        let ended = tokio::time::timeout(within, self.running).await;
        ended.expect("a service drains in time").expect("a service ends in order");
    }
}

type BoxedRun<E> = futures::future::BoxFuture<'static, Result<(), E>>;

/// The signing key and the gateway's keys, as `seckill dev` would make them.
pub(super) fn make_keys(data: &Path) -> PathBuf {
    let signing = data.join("signing.pem");
    user_svc::keys::generate(&signing).expect("the directory is ours");
    for name in ["ticket.key", "order-id.key"] {
        let key: [u8; 32] = rand::random();
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(data.join(name), text).expect("the directory is ours");
        // Nobody but its owner may have access, or the gateway refuses it.
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(data.join(name), private).expect("the directory is ours");
    }
    signing
}

/// A token as the command line makes it.
pub(super) fn operator_token(key: &Path, name: &str, rights: &user_svc::Rights) -> String {
    let lifetime = Duration::from_secs(3600);
    let token = user_svc::operator::issue(key, "seckill", name, lifetime, rights);
    token.expect("the key is good").expose().to_owned()
}

impl House {
    pub(super) async fn start_user(&mut self) {
        let mut config = user_svc::Config::load(None).expect("the defaults are good");
        config.accounts_url = self.sqlite("user.db");
        config.migrate_on_start = true;
        config.signing_key_file = self.data.path().join("signing.pem");
        config.rehearsal_allowed = true;
        let seams = user_svc::Seams {
            clock: Clock::system(),
            pause: PausePoints::default(),
            cores: Arc::clone(&self.cores),
            telemetry: self.telemetry.of("user-svc"),
        };
        let listeners = self.places.listen(self.places.user).await;
        let app = user_svc::build(config, listeners, seams).await.expect("user-svc is built");
        self.user = Some(Role::run(|stopper| Box::pin(app.run(stopper))));
    }

    /// Starts the first inventory-svc, the first time or after a crash.
    pub(crate) async fn start_inventory(&mut self) {
        let (clock, pause) = (self.inventory_clock.0.clone(), self.inventory_pause.clone());
        self.inventory = Some(self.run_inventory(self.places.inventory, clock, pause).await);
    }

    pub(super) async fn start_neighbour(&mut self) {
        let (clock, pause) = (Clock::system(), self.neighbour_pause.clone());
        self.neighbour = Some(self.run_inventory(self.places.neighbour, clock, pause).await);
    }

    async fn run_inventory(&mut self, at: SocketAddr, clock: Clock, pause: PausePoints) -> Role {
        let mut config = inventory_svc::Config::load(None).expect("the defaults are good");
        config.catalog_url = self.catalog_url();
        config.migrate_on_start = true;
        config.upstream.order_svc = url(self.places.orders);
        config.upstream.user_svc = url(self.places.user);
        // Watched by the monotonic clock, which goes at its own pace here.
        config.loading.retire_after_s = 1;
        if let Some(lease) = self.loader_lease {
            config.loading.loader_lease_ms = lease.as_millis() as u64;
        }
        let seams = inventory_svc::Seams {
            clock,
            pause,
            cores: Arc::clone(&self.cores),
            ledger: Arc::clone(&self.keeper),
            journal: self.journal(),
            telemetry: self.telemetry.of("inventory-svc"),
        };
        let listeners = self.places.listen(at).await;
        let app = inventory_svc::build(config, listeners, seams).await;
        let app = app.expect("inventory-svc is built");
        Role::run(|stopper| Box::pin(app.run(stopper)))
    }

    /// Starts order-svc, the first time or after a crash.
    pub(crate) async fn start_orders(&mut self) {
        let mut config = order_svc::Config::load(None).expect("the defaults are good");
        config.books.url = self.books_url();
        config.books.migrate_on_start = true;
        config.inventory_url = self.inventory_urls();
        let seams = order_svc::Seams {
            clock: Clock::system(),
            pause: self.orders_pause.clone(),
            cores: Arc::clone(&self.cores),
            journal: self.journal(),
            telemetry: self.telemetry.of("order-svc"),
        };
        let listeners = self.places.listen(self.places.orders).await;
        let app = order_svc::build(config, listeners, seams).await.expect("order-svc is built");
        self.orders = Some(Role::run(|stopper| Box::pin(app.run(stopper))));
    }

    /// Starts the gateway, the first time or after a crash.
    pub(crate) async fn start_gateway(&mut self) {
        let mut config = gateway::Config::load(None).expect("the defaults are good");
        config.upstream.inventory = self.inventory_urls();
        config.upstream.order = url(self.places.orders);
        config.upstream.user = url(self.places.user);
        config.tickets.key_file = self.data.path().join("ticket.key");
        config.tickets.order_id_key_file = self.data.path().join("order-id.key");
        config.identity.rehearsal_allowed = true;
        // All shoppers come from one address, and some of them ask without rest.
        let plenty = gateway::Allowance { per_s: 100_000, burst: 100_000 };
        (config.rates.user, config.rates.network) = (plenty, plenty);
        (self.tune)(&mut config);
        let seams = gateway::Seams {
            clock: self.gateway_clock.0.clone(),
            pause: self.gateway_pause.clone(),
            cores: Arc::clone(&self.cores),
            journal: self.journal(),
            telemetry: self.telemetry.of("gateway"),
        };
        let listeners = self.places.listen(self.places.gateway).await;
        let app = gateway::build(config, listeners, seams).await.expect("the gateway is built");
        self.gateway = Some(Role::run(|stopper| Box::pin(app.run(stopper))));
    }

    /// Where the books are.
    pub(crate) fn books_url(&self) -> String {
        match &self.books {
            Some(books) => books.url().to_owned(),
            None => self.sqlite("order.db"),
        }
    }

    /// The books' database file, for damage.
    pub(crate) fn books_file(&self) -> PathBuf {
        self.data.path().join("order.db")
    }

    fn inventory_urls(&self) -> String {
        let first = url(self.places.inventory);
        match &self.neighbour {
            Some(_) => format!("{first},{}", url(self.places.neighbour)),
            None => first,
        }
    }

    pub(super) fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.data.path().join(name).display())
    }

    pub(crate) fn journal(&self) -> journal::Journal {
        let settings = journal::Settings::default();
        self.broker.journal(&settings).expect("the embedded broker takes the defaults")
    }
}
