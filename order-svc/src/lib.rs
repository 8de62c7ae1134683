//! What was bought: the books, and the life of an order in them. Consumes the journal, one writer a
//! partition and one transaction a batch (I-1, I-2, I-4, I-6); tells the ledger what it decided;
//! answers what an order or a shard is. Knows nothing of tickets, tokens or the ledger's inside.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chassis::{
    Clock, Cores, Health, Kind, Listeners, PausePoints, Stopper, TaskOwner, Tasks, Telemetry,
    channel, config::ConfigError, logs::Lasting, reflection,
};
use journal::{Journal, Membership};
use tokio::{runtime::Handle, sync::watch};
use tonic::service::Routes;

mod domain;

mod metrics;

pub mod fold;

pub mod books;

mod consumer;

mod consumers;

mod settle;

mod upstream;

mod grpc;

mod config;

pub use config::{BooksSettings, Config};
pub use consumer::{ConsumerSettings, Place, place};
pub use domain::{Guard, Order, Refusal};
pub use grpc::SnapshotSettings;
pub use upstream::inventory::SettleSettings;

use books::Books;
use consumer::{Consumer, Halted, Look, Looks, Sight};
use consumers::Consumers;
use grpc::OrderApi;
use metrics::Instruments;
use settle::{LeftOver, Settles};

/// What a caller may put in.
pub struct Seams {
    /// The time.
    pub clock: Clock,
    /// Has `order.before_commit` and `order.after_commit`.
    pub pause: PausePoints,
    /// Where everything runs.
    pub cores: Arc<Cores>,
    /// The log.
    pub journal: Journal,
    /// What it is seen by.
    pub telemetry: Telemetry,
}

/// Why the service can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A knob makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The books can't be opened.
    #[error("the books can't be used: {0}")]
    Store(#[from] store::OpenError),
    /// The books' schema isn't this version's.
    #[error("the books can't be used: {0}")]
    Schema(#[from] store::MigrateError),
    /// There is no member of the group.
    #[error("the journal can't be read: {0}")]
    Journal(#[from] journal::Error),
    /// `inventory_url` is no address.
    #[error(transparent)]
    Address(#[from] channel::BadAddress),
    /// A fault of the build.
    #[error(transparent)]
    Reflection(#[from] reflection::BadDescriptors),
}

/// Why it ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A task that must not end did.
    #[error("the task {0} of order-svc ended")]
    TaskEnded(&'static str),
}

/// The service, ready to run. Dropping it, or the future of [`App::run`], is a crash: nothing is
/// tidied up.
pub struct App {
    config: Config,
    listeners: Listeners,
    seams: Seams,
    books: Arc<dyn Books>,
    membership: Membership,
    inventory: channel::Balanced,
    reflection: Routes,
}

/// Makes or updates the books' schema.
///
/// # Errors
/// If the books can't be opened or changed.
pub async fn migrate(config: &Config) -> Result<(), BuildError> {
    books::migrate(&config.books).await
}

/// Opens the books and checks everything that can be checked before anyone is served.
///
/// # Errors
/// See [`BuildError`].
pub async fn build(config: Config, listeners: Listeners, seams: Seams) -> Result<App, BuildError> {
    config.check()?;
    let background = seams.cores.background();
    let (pause, clock) = (seams.pause.clone(), seams.clock.clone());
    let identity = seams.journal.identity();
    let books = books::open(&config.books, identity, pause, clock, background).await?;
    let membership = seams.journal.membership(&config.consumer.group)?;
    let inventory = channel::connect_lazy(background, &config.inventory_url, &config.channel)?;
    let reflection = reflection::reflection(grpc::OFFERED)?;
    Ok(App { config, listeners, seams, books, membership, inventory, reflection })
}

impl App {
    /// Where it is served.
    pub fn addr(&self) -> SocketAddr {
        self.listeners.addr()
    }

    /// Serves and consumes until `stopper` stops, then drains.
    ///
    /// # Errors
    /// [`RunError`] if something that must not end did.
    pub async fn run(self, stopper: Stopper) -> Result<(), RunError> {
        let owner = TaskOwner::new("order-svc", stopper.clone());
        let drain = Duration::from_millis(self.config.drain_ms_max);
        let cores = Arc::clone(&self.seams.cores);
        self.spawn(&owner.tasks(), &cores);
        let ended = tokio::select! {
            biased;
            () = stopper.stopped() => None,
            name = owner.essential_ended() => Some(name),
        };
        owner.drain(drain).await;
        match ended {
            None => Ok(()),
            Some(name) => Err(RunError::TaskEnded(name)),
        }
    }

    fn spawn(self, tasks: &Tasks, cores: &Cores) {
        let Self { config, listeners, seams, books, membership, inventory, reflection } = self;
        let Seams { clock, pause, journal, telemetry, .. } = seams;
        let background = cores.background();

        let log_every = Duration::from_secs(config.settle.log_every_s);
        let instruments = Instruments::new(telemetry.metrics());
        let (told, connections) = (instruments.settle.clone(), instruments.connections.clone());
        let left_over = LeftOver::new(clock.clone(), log_every, instruments.left_over.clone());
        let sight = Sight { tracer: telemetry.tracer().clone(), instruments };
        let (settles, entries) = Settles::new(config.settle.queue_len_max, left_over.clone());
        let stopper = tasks.stopper().clone();
        let telling = upstream::inventory::settle_all(
            entries,
            inventory,
            config.settle,
            left_over,
            told,
            stopper,
        );
        tasks.spawn_on(background, Kind::Drained, "settle", telling);

        let log = journal.clone();
        let (halted, unwritten) = (Halted::default(), Halted::default());
        let (folded, settings) = (Arc::clone(&books), config.consumer);
        let marks = (halted.clone(), unwritten.clone());
        let looks = look_again(&books, &clock, &settings, tasks, background);
        let consumers = Consumers {
            journal,
            assignment: membership.assignment(),
            wait: Duration::from_millis(settings.assignment_wait_ms),
            consume: move |reader, stopper| {
                let consumer = Consumer {
                    books: Arc::clone(&folded),
                    reader,
                    settles: settles.clone(),
                    halted: marks.0.clone(),
                    unwritten: marks.1.clone(),
                    looks: looks.clone(),
                    left: None,
                    clock: clock.clone(),
                    pause: pause.clone(),
                    sight: sight.clone(),
                    settings: settings.clone(),
                };
                consumer.run(stopper)
            },
            tasks: tasks.clone(),
            background: background.clone(),
        };
        tasks.spawn_on(background, Kind::Essential, "consumers", consumers.run());
        stay_a_member(tasks, background, membership);

        let health = Health::new();
        let health_service = health.service(grpc::OFFERED.services);
        telemetry.show(&health);
        let (every, trouble) = (Duration::from_millis(config.health_every_ms), Lasting::default());
        let (stopper, asked) = (tasks.stopper().clone(), Arc::clone(&books));
        tasks.spawn_on(background, Kind::Essential, "health", async move {
            let look = async || {
                // The books are asked anyway, so this is where their connections are counted.
                let store::Connected { open, idle } = asked.connected();
                connections.with(["open"]).set(open.into());
                connections.with(["idle"]).set(idle.into());
                !halted.any() && !unwritten.any() && answers(&*asked, every, &trouble).await
            };
            health.watch(every, &stopper, look).await;
        });

        let api = OrderApi::new(books, log, tasks.clone(), background.clone(), &config.snapshot);
        let routes = api.routes(reflection).add_service(health_service);
        let (words, server) = (grpc::words(), &config.server);
        chassis::serve(tasks, cores, listeners, server, words, &telemetry, |_| routes.clone());
    }
}

/// Asks where the books are from now on, and shows what they say.
fn look_again(
    books: &Arc<dyn Books>,
    clock: &Clock,
    settings: &ConsumerSettings,
    tasks: &Tasks,
    background: &Handle,
) -> Looks {
    let every = Duration::from_millis(settings.look_again_ms);
    let (looked, looks) = watch::channel(Arc::new(Look::default()));
    let (books, clock, stopper) = (Arc::clone(books), clock.clone(), tasks.stopper().clone());
    let looking = consumer::look_again(books, clock, every, looked, stopper);
    tasks.spawn_on(background, Kind::Essential, "look_again", looking);
    looks
}

/// A stop leaves the group at once: the others take over while we finish.
fn stay_a_member(tasks: &Tasks, background: &Handle, membership: Membership) {
    let stopper = tasks.stopper().clone();
    tasks.spawn_on(background, Kind::Essential, "membership", async move {
        tokio::select! {
            biased;
            () = stopper.stopped() => {}
            _ = membership.run() => {}
        }
    });
}

/// Whether its own store answers. Says when that changes.
async fn answers(books: &dyn Books, within: Duration, trouble: &Lasting) -> bool {
    let answer = tokio::time::timeout(within, books.ping()).await;
    let answer = match answer {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    match &answer {
        Ok(()) => {
            if let Some(after) = trouble.over() {
                tracing::info!(seconds = after.as_secs(), "the books can be used again");
            }
        }
        Err(error) => {
            if let Some(unsaid) = trouble.again() {
                tracing::warn!(
                    error,
                    unsaid,
                    "not ready: the books can't be used; orders stay PROCESSING until they can"
                );
            }
        }
    }
    answer.is_ok()
}

#[cfg(test)]
mod tests;
