//! `seckill gateway|inventory|order|user`: one role in one process, on the real stores that its
//! configuration names. It waits for those that aren't up yet. The first SIGTERM or SIGINT takes
//! its readiness back and, after a grace, drains it; a second one ends it at once. What it had
//! promised by then is in the journal or the books, so a kill loses nothing.

use std::{
    fmt::Display,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use chassis::{
    Clock, Cores, Listeners, PausePoints, Stopper, TelemetryOwner, TelemetrySettings,
    job::Backoff,
    logs::{self, Lasting, LogFormat, LogSettings},
};
use futures::future::BoxFuture;
use journal::Journal;
use store::PoolSettings;

use crate::{
    failure::Failure,
    screen::say,
    signals::{self, Signals},
};

/// For runtimes that have nothing left to do.
const RUNTIMES_END_WITHIN: Duration = Duration::from_secs(2);

/// For the last spans, after the role has drained: a collector that is there takes milliseconds.
const TELEMETRY_DRAINS_WITHIN: Duration = Duration::from_secs(2);

/// Waits between tries to reach a store at the start: it is in use soon after it is up, and a crowd
/// of roles doesn't keep it from that.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// Options of every role.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// The configuration file; without one, the defaults and the environment hold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Threads that serve; as many as the machine has processors by default
    #[arg(long, value_name = "COUNT")]
    cores: Option<NonZeroUsize>,
    /// What is logged to standard error, such as info,gateway=debug
    #[arg(long, value_name = "DIRECTIVES", default_value = "info")]
    log_filter: String,
    /// JSON for machines, text for people
    #[arg(long, value_enum, default_value_t = Format::Json)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Json,
    Text,
}

/// Which service the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Inventory,
    Order,
    User,
}

/// A role that is about to serve.
struct Built {
    addr: SocketAddr,
    /// Where its metrics are read, if anywhere.
    metrics: Option<SocketAddr>,
    /// From the first signal to the drain.
    grace: Duration,
    /// Ends after a stop, or by itself with the reason.
    run: BoxFuture<'static, Result<(), String>>,
}

/// Runs the role until a signal ends it.
pub(crate) fn run(role: Role, args: &RoleArgs) -> Result<(), Failure> {
    let format = match args.log_format {
        Format::Json => LogFormat::Json,
        Format::Text => LogFormat::Text,
    };
    let settings = LogSettings { format, filter: args.log_filter.clone() };
    logs::init(&settings).map_err(usage)?;
    let count = args.cores.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let cores = Cores::start(count)
        .map_err(|error| Failure::Machine(format!("can't start {count} threads: {error}")))?;
    let cores = Arc::new(cores);
    let ended = crate::block_on(serve(role, args.config.as_deref(), &cores));
    cores.shutdown(RUNTIMES_END_WITHIN);
    ended
}

async fn serve(role: Role, config: Option<&Path>, cores: &Arc<Cores>) -> Result<(), Failure> {
    // Before anything is there to be cleaned up, so that no signal falls between.
    let mut signals = Signals::listen()?;
    let stopper = Stopper::new();
    let Built { addr, metrics, grace, mut run } = tokio::select! {
        built = build(role, config, cores, stopper.clone()) => built?,
        () = signals.next() => return Ok(()),
    };
    say(format!("seckill {} listens on {addr}", role.name()));
    if let Some(addr) = metrics {
        say(format!("metrics at http://{addr}/metrics"));
    }
    let ended = |end: Result<(), String>| end.map_err(Failure::Machine);
    tokio::select! {
        end = &mut run => return ended(end),
        () = signals.next() => stopper.leave(),
    }
    if !grace.is_zero() {
        let ms = grace.as_millis();
        say(format!("not ready any more, and draining in {ms} ms; once more to end at once"));
        tokio::select! {
            end = &mut run => return ended(end),
            () = tokio::time::sleep(grace) => {}
            () = signals.next() => signals::end_at_once(),
        }
    }
    stopper.stop();
    say("draining; once more to end at once");
    tokio::select! {
        end = run => ended(end),
        () = signals.next() => signals::end_at_once(),
    }
}

async fn build(
    role: Role,
    file: Option<&Path>,
    cores: &Arc<Cores>,
    stopper: Stopper,
) -> Result<Built, Failure> {
    match role {
        Role::Gateway => gateway(file, cores, stopper).await,
        Role::Inventory => inventory(file, cores, stopper).await,
        Role::Order => order(file, cores, stopper).await,
        Role::User => user(file, cores, stopper).await,
    }
}

async fn gateway(
    file: Option<&Path>,
    cores: &Arc<Cores>,
    stopper: Stopper,
) -> Result<Built, Failure> {
    let config = gateway::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    // Before it waits for anything: a probe hears that it is there and not ready.
    let telemetry = owner.of("gateway");
    let seams = gateway::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        journal: connect(&config.journal, cores).await?,
        telemetry,
    };
    let doors = gateway::Doors {
        public: bind(config.listen, cores)?,
        operators: config.operator_listen.map(|addr| bind(addr, cores)).transpose()?,
    };
    let grace = Duration::from_millis(config.grace_ms);
    let app = gateway::build(config, doors, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), grace, owner, async move { app.run(stopper).await }))
}

async fn inventory(
    file: Option<&Path>,
    cores: &Arc<Cores>,
    stopper: Stopper,
) -> Result<Built, Failure> {
    let config = inventory_svc::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    let telemetry = owner.of("inventory-svc");
    reach("the catalog", &config.catalog_url, &config.pool, cores).await;
    let seams = inventory_svc::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        ledger: inventory_svc::ledger::open(&config, cores.background())
            .await
            .map_err(unavailable)?,
        journal: connect(&config.journal, cores).await?,
        telemetry,
    };
    let listeners = bind(config.listen, cores)?;
    let grace = Duration::from_millis(config.grace_ms);
    let app = inventory_svc::build(config, listeners, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), grace, owner, async move { app.run(stopper).await }))
}

async fn order(
    file: Option<&Path>,
    cores: &Arc<Cores>,
    stopper: Stopper,
) -> Result<Built, Failure> {
    let config = order_svc::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    let telemetry = owner.of("order-svc");
    reach("the books", &config.books.url, &config.books.pool, cores).await;
    let seams = order_svc::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        journal: connect(&config.journal, cores).await?,
        telemetry,
    };
    let listeners = bind(config.listen, cores)?;
    let grace = Duration::from_millis(config.grace_ms);
    let app = order_svc::build(config, listeners, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), grace, owner, async move { app.run(stopper).await }))
}

async fn user(file: Option<&Path>, cores: &Arc<Cores>, stopper: Stopper) -> Result<Built, Failure> {
    let config = user_svc::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    let telemetry = owner.of("user-svc");
    reach("the accounts", &config.accounts_url, &config.pool, cores).await;
    let seams = user_svc::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        telemetry,
    };
    let listeners = bind(config.listen, cores)?;
    let grace = Duration::from_millis(config.grace_ms);
    let app = user_svc::build(config, listeners, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), grace, owner, async move { app.run(stopper).await }))
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Inventory => "inventory",
            Self::Order => "order",
            Self::User => "user",
        }
    }
}

fn seen(settings: &TelemetrySettings, cores: &Cores) -> Result<TelemetryOwner, Failure> {
    TelemetryOwner::start(settings, cores, env!("CARGO_PKG_VERSION")).map_err(usage)
}

fn built<E: Display>(
    addr: SocketAddr,
    grace: Duration,
    telemetry: TelemetryOwner,
    run: impl Future<Output = Result<(), E>> + Send + 'static,
) -> Built {
    let metrics = telemetry.metrics_addr();
    let run = async move {
        let ended = run.await.map_err(|error| error.to_string());
        telemetry.drain(TELEMETRY_DRAINS_WITHIN).await;
        ended
    };
    Built { addr, metrics, grace, run: Box::pin(run) }
}

fn bind(addr: SocketAddr, cores: &Cores) -> Result<Listeners, Failure> {
    Listeners::bind(addr, cores.serving().len()).map_err(usage)
}

/// Returns once a store could be opened, or can't for a reason that won't pass: the service says
/// that more precisely when it opens it.
async fn reach(what: &'static str, url: &str, settings: &PoolSettings, cores: &Cores) {
    let background = cores.background();
    let tried = until_there(what, async || match store::reach(url, settings, background).await {
        Err(error) if error.is_passing() => Err(error),
        Err(_) | Ok(()) => Ok(()),
    });
    tried.await;
}

/// Asks the brokers who they are, on a thread that may wait, until they answer.
async fn connect(settings: &journal::Settings, cores: &Cores) -> Result<Journal, Failure> {
    let connected = until_there("the journal", async || {
        let settings = settings.clone();
        // Where nobody waits for it if a signal ends the process meanwhile.
        let asked = cores.background().spawn_blocking(move || Journal::connect(&settings)).await;
        match asked {
            Ok(Err(error)) if error.is_passing() => Err(error),
            Ok(answer) => Ok(answer.map_err(unavailable)),
            Err(_) => Ok(Err(Failure::Machine("the journal's client has panicked".to_owned()))),
        }
    });
    connected.await
}

/// Tries again and again. Its waits and its lines are bounded; that it goes on is the promise,
/// since stores and roles are started in any order, and a role that exits is only started again.
async fn until_there<T, E: Display>(
    what: &'static str,
    mut reach: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut backoff = Backoff::new(AGAIN_FIRST, AGAIN_MAX);
    let trouble = Lasting::default();
    loop {
        match reach().await {
            Ok(there) => {
                if let Some(after) = trouble.over() {
                    let seconds = after.as_secs();
                    tracing::info!(store = what, seconds, "the store is there; starting");
                }
                return there;
            }
            Err(error) => {
                if let Some(unsaid) = trouble.again() {
                    tracing::warn!(
                        store = what, %error, unsaid,
                        "a store isn't there yet; waiting for it, alive and not ready: nobody is \
                         served here until then"
                    );
                }
            }
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

fn usage(error: impl Display) -> Failure {
    Failure::Usage(error.to_string())
}

fn unavailable(error: impl Display) -> Failure {
    Failure::Unavailable(error.to_string())
}
