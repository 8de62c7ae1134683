//! `seckill gateway|inventory|order|user`: one role in one process, on the real stores that its
//! configuration names. The first SIGTERM or SIGINT drains it, a second one ends it at once; what
//! it had promised by then is in the journal or the books, so a kill loses nothing.

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
    logs::{self, LogFormat, LogSettings},
};
use futures::future::BoxFuture;
use journal::Journal;

use crate::{
    failure::Failure,
    screen::say,
    signals::{self, Signals},
};

/// For runtimes that have nothing left to do.
const RUNTIMES_END_WITHIN: Duration = Duration::from_secs(2);

/// For the last spans, after the role has drained: a collector that is there takes milliseconds.
const TELEMETRY_DRAINS_WITHIN: Duration = Duration::from_secs(2);

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
    let Built { addr, metrics, mut run } = tokio::select! {
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
        () = signals.next() => stopper.stop(),
    }
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
    let seams = gateway::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        journal: connect(&config.journal).await?,
        telemetry: owner.of("gateway"),
    };
    let doors = gateway::Doors {
        public: bind(config.listen, cores)?,
        operators: config.operator_listen.map(|addr| bind(addr, cores)).transpose()?,
    };
    let app = gateway::build(config, doors, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), owner, async move { app.run(stopper).await }))
}

async fn inventory(
    file: Option<&Path>,
    cores: &Arc<Cores>,
    stopper: Stopper,
) -> Result<Built, Failure> {
    let config = inventory_svc::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    let seams = inventory_svc::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        ledger: inventory_svc::ledger::open(&config, cores.background())
            .await
            .map_err(unavailable)?,
        journal: connect(&config.journal).await?,
        telemetry: owner.of("inventory-svc"),
    };
    let listeners = bind(config.listen, cores)?;
    let app = inventory_svc::build(config, listeners, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), owner, async move { app.run(stopper).await }))
}

async fn order(
    file: Option<&Path>,
    cores: &Arc<Cores>,
    stopper: Stopper,
) -> Result<Built, Failure> {
    let config = order_svc::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    let seams = order_svc::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        journal: connect(&config.journal).await?,
        telemetry: owner.of("order-svc"),
    };
    let listeners = bind(config.listen, cores)?;
    let app = order_svc::build(config, listeners, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), owner, async move { app.run(stopper).await }))
}

async fn user(file: Option<&Path>, cores: &Arc<Cores>, stopper: Stopper) -> Result<Built, Failure> {
    let config = user_svc::Config::load(file).map_err(usage)?;
    config.check().and_then(|()| config.check_files()).map_err(usage)?;
    let owner = seen(&config.telemetry, cores)?;
    let seams = user_svc::Seams {
        clock: Clock::system(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        telemetry: owner.of("user-svc"),
    };
    let listeners = bind(config.listen, cores)?;
    let app = user_svc::build(config, listeners, seams).await.map_err(unavailable)?;
    Ok(built(app.addr(), owner, async move { app.run(stopper).await }))
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
    telemetry: TelemetryOwner,
    run: impl Future<Output = Result<(), E>> + Send + 'static,
) -> Built {
    let metrics = telemetry.metrics_addr();
    let run = async move {
        let ended = run.await.map_err(|error| error.to_string());
        telemetry.drain(TELEMETRY_DRAINS_WITHIN).await;
        ended
    };
    Built { addr, metrics, run: Box::pin(run) }
}

fn bind(addr: SocketAddr, cores: &Cores) -> Result<Listeners, Failure> {
    Listeners::bind(addr, cores.serving().len()).map_err(usage)
}

/// Asks the brokers who they are, on a thread that may wait.
async fn connect(settings: &journal::Settings) -> Result<Journal, Failure> {
    let settings = settings.clone();
    let connected = tokio::task::spawn_blocking(move || Journal::connect(&settings)).await;
    match connected {
        Ok(connected) => connected.map_err(unavailable),
        Err(_) => Err(Failure::Machine("the journal's client has panicked".to_owned())),
    }
}

fn usage(error: impl Display) -> Failure {
    Failure::Usage(error.to_string())
}

fn unavailable(error: impl Display) -> Failure {
    Failure::Unavailable(error.to_string())
}
