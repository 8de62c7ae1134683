//! The four services, wired as `seckill dev` runs them: one broker and one ledger in memory, a
//! SQLite file for each service, all on the same serving cores. The internal three listen on free
//! ports of the loopback.

use std::{
    collections::VecDeque,
    fmt::Display,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chassis::{Clock, Cores, Kind, Listeners, PausePoints, Stopper, TaskOwner, TelemetryOwner};
use futures::future::select_all;
use inventory_svc::ledger::MemoryLedger;
use journal::embedded::Broker;
use tokio::sync::oneshot;

use super::{DevArgs, data_dir::DataDir};
use crate::{failure::Failure, keys, screen::complain, target::Addresses};

/// Enough to see that shards spread over partitions; each has a writer of its own.
const PARTITIONS: u32 = 4;

/// How often a drain looks whether the books have everything; they need some milliseconds a batch.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The four services, built; nobody is served yet.
pub(super) struct Shop {
    addresses: Addresses,
    gateway_addr: SocketAddr,
    issuer: String,
    broker: Broker,
    user: user_svc::App,
    inventory: inventory_svc::App,
    order: order_svc::App,
    gateway: gateway::App,
}

impl Shop {
    /// Binds all addresses first, so that each service can be told those of the others.
    pub(super) async fn build(
        args: &DevArgs,
        data: &DataDir,
        cores: &Arc<Cores>,
        telemetry: &TelemetryOwner,
    ) -> Result<Self, Failure> {
        let count = cores.serving().len();
        let bind = |addr| Listeners::bind(addr, count).map_err(usage);
        let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let at_gateway =
            gateway::Doors { public: bind(args.listen)?, operators: Some(bind(args.operators)?) };
        let (at_user, at_inventory, at_order) = (bind(inside)?, bind(inside)?, bind(inside)?);
        let addresses = Addresses {
            gateway: url(at_gateway.public.addr()),
            inventory: url(at_inventory.addr()),
            order: url(at_order.addr()),
            user: url(at_user.addr()),
        };
        let broker = Broker::start(PARTITIONS).map_err(machine)?;
        let journal = || broker.journal(&journal::Settings::default()).map_err(machine);
        let (clock, pause) = (Clock::system(), PausePoints::default());

        let config = user_config(data)?;
        let issuer = config.issuer.clone();
        let seams = user_svc::Seams {
            clock: clock.clone(),
            pause: pause.clone(),
            cores: Arc::clone(cores),
            telemetry: telemetry.of("user-svc"),
        };
        let user = user_svc::build(config, at_user, seams).await.map_err(usage)?;
        let seams = inventory_svc::Seams {
            clock: clock.clone(),
            pause: pause.clone(),
            cores: Arc::clone(cores),
            ledger: Arc::new(MemoryLedger::new(clock.clone())),
            journal: journal()?,
            telemetry: telemetry.of("inventory-svc"),
        };
        let inventory =
            inventory_svc::build(inventory_config(data, &addresses)?, at_inventory, seams)
                .await
                .map_err(usage)?;
        let seams = order_svc::Seams {
            clock: clock.clone(),
            pause: pause.clone(),
            cores: Arc::clone(cores),
            journal: journal()?,
            telemetry: telemetry.of("order-svc"),
        };
        let order = order_svc::build(order_config(data, &addresses)?, at_order, seams)
            .await
            .map_err(usage)?;
        let seams = gateway::Seams {
            clock,
            pause,
            cores: Arc::clone(cores),
            journal: journal()?,
            telemetry: telemetry.of("gateway"),
        };
        let gateway_addr = at_gateway.public.addr();
        let mut config = gateway_config(data, &addresses)?;
        config.clients.trusted_proxies.clone_from(&args.trusted_proxies);
        config.cors.allowed_origins.clone_from(&args.allow_origin);
        let gateway = gateway::build(config, at_gateway, seams).await.map_err(usage)?;
        Ok(Self { addresses, gateway_addr, issuer, broker, user, inventory, order, gateway })
    }

    pub(super) fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    pub(super) fn gateway_addr(&self) -> SocketAddr {
        self.gateway_addr
    }

    /// Where operators reach the gateway.
    pub(super) fn operator_addr(&self) -> Option<SocketAddr> {
        self.gateway.operator_addr()
    }

    /// The issuer of all tokens.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Serves.
    pub(super) fn run(self, cores: &Cores) -> RunningShop {
        let owner = TaskOwner::new("dev", Stopper::new());
        let Self { broker, user, inventory, order, gateway, .. } = self;
        // Each is stopped before those that it asks.
        let roles = VecDeque::from([
            role(&owner, cores, "gateway", |stopper| gateway.run(stopper)),
            role(&owner, cores, "order-svc", |stopper| order.run(stopper)),
            role(&owner, cores, "inventory-svc", |stopper| inventory.run(stopper)),
            role(&owner, cores, "user-svc", |stopper| user.run(stopper)),
        ]);
        RunningShop { _owner: owner, broker, roles, is_draining: false }
    }
}

/// The shop while it serves. Dropping it is a crash.
pub(super) struct RunningShop {
    _owner: TaskOwner,
    broker: Broker,
    /// In the order in which they are stopped.
    roles: VecDeque<Role>,
    /// Whether one has ended: nothing more is accepted.
    is_draining: bool,
}

struct Role {
    name: &'static str,
    stopper: Stopper,
    /// Why it ended, if that wasn't asked for.
    ended: oneshot::Receiver<Result<(), String>>,
}

impl RunningShop {
    /// Returns when a service ends that nobody stopped. Cancel safe.
    pub(super) async fn ended(&mut self) -> Failure {
        let ends = self.roles.iter_mut().map(|role| &mut role.ended);
        let (end, at, _) = select_all(ends).await;
        let name = self.roles.remove(at).map_or("a service", |role| role.name);
        let why = match end {
            Ok(Ok(())) => "without saying why".to_owned(),
            Ok(Err(why)) => why,
            Err(_) => "by a panic".to_owned(),
        };
        Failure::Machine(format!("{name} has ended: {why}"))
    }

    /// Stops one after the other, each with all the time that it takes; bound it from outside.
    ///
    /// The first is the gateway, so that nothing more is accepted. Then the books get all that was:
    /// what the journal still holds goes with this process. Cancel safe: the next call goes on.
    pub(super) async fn drain(&mut self) {
        while !self.roles.is_empty() {
            if self.is_draining && self.unread() > 0 {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                continue;
            }
            let Some(role) = self.roles.front_mut() else { return };
            role.stopper.stop();
            if let Ok(Err(why)) = (&mut role.ended).await {
                complain(format!("{}: {why}", role.name));
            }
            self.roles.pop_front();
            self.is_draining = true;
        }
    }

    /// Records of the journal that the books don't have yet.
    pub(super) fn unread(&self) -> u64 {
        (0..PARTITIONS).map(|partition| self.broker.unread(partition).records).sum()
    }
}

fn role<F, E>(
    owner: &TaskOwner,
    cores: &Cores,
    name: &'static str,
    run: impl FnOnce(Stopper) -> F,
) -> Role
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display,
{
    let stopper = Stopper::new();
    let (tx, ended) = oneshot::channel();
    let running = run(stopper.clone());
    owner.tasks().spawn_on(cores.background(), Kind::Drained, name, async move {
        let end = running.await.map_err(|error| error.to_string());
        // Nobody listens any more only if the process is ending.
        let _ = tx.send(end);
    });
    Role { name, stopper, ended }
}

fn user_config(data: &DataDir) -> Result<user_svc::Config, Failure> {
    let mut config = user_svc::Config::load(None).map_err(usage)?;
    config.accounts_url = data.sqlite_url("user.db");
    config.migrate_on_start = true;
    config.signing_key_file = data.signing_key()?;
    config.rehearsal_allowed = true;
    Ok(config)
}

fn inventory_config(data: &DataDir, at: &Addresses) -> Result<inventory_svc::Config, Failure> {
    let mut config = inventory_svc::Config::load(None).map_err(usage)?;
    config.catalog_url = data.sqlite_url("inventory.db");
    config.migrate_on_start = true;
    config.upstream.order_svc = at.order.clone();
    config.upstream.user_svc = at.user.clone();
    Ok(config)
}

fn order_config(data: &DataDir, at: &Addresses) -> Result<order_svc::Config, Failure> {
    let mut config = order_svc::Config::load(None).map_err(usage)?;
    config.books.url = data.sqlite_url("order.db");
    config.books.migrate_on_start = true;
    config.inventory_url = at.inventory.clone();
    Ok(config)
}

fn gateway_config(data: &DataDir, at: &Addresses) -> Result<gateway::Config, Failure> {
    let mut config = gateway::Config::load(None).map_err(usage)?;
    config.upstream.inventory = at.inventory.clone();
    config.upstream.order = at.order.clone();
    config.upstream.user = at.user.clone();
    config.tickets.key_file = data.random_key(keys::TICKET)?;
    config.tickets.order_id_key_file = data.random_key(keys::ORDER_ID)?;
    config.identity.rehearsal_allowed = true;
    Ok(config)
}

fn url(addr: SocketAddr) -> String {
    // Whoever listens on all addresses is reached on the loopback.
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, addr.port()))
}

fn usage(error: impl Display) -> Failure {
    Failure::Usage(error.to_string())
}

fn machine(error: impl Display) -> Failure {
    Failure::Machine(error.to_string())
}
