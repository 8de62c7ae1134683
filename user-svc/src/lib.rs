//! Who: accounts, credentials, tokens.
//!
//! user-svc promises that an e-mail address has one account, that only its password opens a
//! session for it, that a copied refresh token ends the session, and that a token says nothing that
//! this service did not check. Nothing else in the suite keeps or checks passwords or addresses. It
//! doesn't know what is sold.
//!
//! [`build`] is the wiring, read top to bottom.

mod accounts;
mod commands;
mod config;
mod domain;
mod grpc;
mod jobs;
pub mod keys;
mod lockout;
pub mod operator;
mod passwords;
mod refresh_tokens;
mod registry;
mod sessions;
mod tokens;
mod workroom;

pub use config::{Config, Hashing, LockoutSettings, SessionSettings};
pub use domain::{Right, Rights};
pub use tokens::{BUYERS, OPERATORS, SigningError, Token};

use std::{error::Error, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use chassis::{
    Clock, Cores, Health, Kind, Listeners, PausePoints, ServerSettings, Stopper, TaskOwner,
    Telemetry, config::ConfigError, logs::Lasting, reflection::BadDescriptors, token::Verifier,
};
use tonic::service::Routes;

use crate::{
    accounts::{Accounts, Kept},
    commands::{Operators, People, Rehearsal, SessionDesk},
    grpc::{OperatorHandlers, TokenHandlers, UserHandlers},
    lockout::Lockout,
    passwords::{Cost, Passwords},
    sessions::Sessions,
    tokens::Signer,
    workroom::{Bounds, Workroom},
};

/// How often the store is asked whether it answers: a balancer that asks every few seconds sees it.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Batches of a rehearsal grant that wait for signing, over all grants: a few operators at once.
const REHEARSAL_QUEUE_LEN_MAX: usize = 16;
/// Signing a batch takes about 25 ms, so the queue above passes in less than a second.
const REHEARSAL_WAIT_MAX: Duration = Duration::from_secs(10);

/// What a caller may put in the place of the real thing.
#[derive(Debug, Clone)]
pub struct Seams {
    /// Tells the time of tokens.
    pub clock: Clock,
    /// Places to stop at in tests; this service has none yet.
    pub pause: PausePoints,
    /// The runtimes that serve and work.
    pub cores: Arc<Cores>,
    /// What it is seen by.
    pub telemetry: Telemetry,
}

/// Why the service can't be started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A knob makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key is missing, readable to others, or none.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
    /// The accounts can't be opened.
    #[error("accounts: {0}")]
    Open(#[from] store::OpenError),
    /// The schema can't be brought up to date, or isn't.
    #[error("accounts: {0}")]
    Migrate(#[from] store::MigrateError),
    /// The cost of a password hash is out of range, or its memory can't be had.
    #[error("hashing: {0}")]
    Hashing(String),
    /// A defect of the build.
    #[error(transparent)]
    Descriptors(#[from] BadDescriptors),
}

/// Why the service ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[error("the task `{0}` of user-svc ended, and it can't go on without it")]
pub struct RunError(&'static str);

/// The service, built and not yet running.
pub struct App {
    cores: Arc<Cores>,
    listeners: Listeners,
    server: ServerSettings,
    routes: Routes,
    accounts: Arc<dyn Accounts>,
    sessions: Arc<dyn Sessions>,
    clock: Clock,
    health: Health,
    drain_max: Duration,
    telemetry: Telemetry,
}

/// Brings the schema of the accounts up to date. Safe beside running roles, and a second time.
///
/// # Errors
/// If the store can't be opened, or a migration fails (it then changed nothing).
pub async fn migrate(config: &Config) -> Result<(), BuildError> {
    accounts::migrate(config).await
}

/// Opens the store, checks schema and keys, and puts the parts together. Nothing is served before
/// [`App::run`].
///
/// # Errors
/// Whatever keeps it from serving, in one sentence.
pub async fn build(config: Config, listeners: Listeners, seams: Seams) -> Result<App, BuildError> {
    config.check()?;
    let signing_key = keys::load_signing(&config.signing_key_file)?;
    let public_keys = keys::all_public(&config, &signing_key)?;

    let Kept { accounts, sessions, registry } =
        accounts::open(&config, seams.cores.background()).await?;

    let signer = Arc::new(Signer::new(signing_key, config.issuer.clone(), seams.clock.clone()));
    let people = People {
        accounts: Arc::clone(&accounts),
        passwords: passwords(&config, &seams.cores)?,
        lockout: Lockout::new(config.lockout.rules(), seams.clock.clone()),
        desk: SessionDesk {
            sessions: Arc::clone(&sessions),
            signer: Arc::clone(&signer),
            clock: seams.clock.clone(),
            rules: config.sessions.rules(),
            token_lifetime: config.access_token_lifetime(),
        },
        clock: seams.clock.clone(),
    };
    let verifier = Verifier::new(config.issuer.clone(), OPERATORS, seams.clock.clone());
    verifier.set_keys(public_keys.iter().map(|key| (key.key_id.clone(), key.ed25519)).collect());
    let operators = Arc::new(Operators {
        signer,
        verifier,
        registry,
        clock: seams.clock.clone(),
        rehearsal: rehearsal(&config, &seams.cores),
    });

    let users = UserHandlers::new(Arc::new(people), config.issuer.clone(), &public_keys);
    let tokens = TokenHandlers::new(Arc::clone(&operators));
    let operators = OperatorHandlers::new(operators);
    let health = Health::new();
    seams.telemetry.show(&health);
    let routes = grpc::routes(users, operators, tokens, &health)?;

    Ok(App {
        cores: seams.cores,
        listeners,
        drain_max: config.drain_max(),
        server: config.server,
        routes,
        accounts,
        sessions,
        clock: seams.clock,
        health,
        telemetry: seams.telemetry,
    })
}

impl App {
    /// Where it is reached.
    pub fn addr(&self) -> SocketAddr {
        self.listeners.addr()
    }

    /// Serves until the stopper stops, lets calls end, and returns. Dropping the future instead is
    /// a crash: all that was going on ends at its next await.
    ///
    /// # Errors
    /// If a part that it can't do without has ended by itself.
    pub async fn run(self, stopper: Stopper) -> Result<(), RunError> {
        let owner = TaskOwner::new("user-svc", stopper);
        let tasks = owner.tasks();
        let background = self.cores.background();
        tasks.spawn_on(
            background,
            Kind::Drained,
            "health",
            watch_accounts(self.accounts, self.health, tasks.stopper().clone()),
        );
        let stopper = tasks.stopper().clone();
        let remove = jobs::remove_expired_sessions(self.sessions, self.clock, stopper);
        tasks.spawn_on(background, Kind::Drained, "remove expired sessions", remove);
        let routes = self.routes;
        let (cores, words) = (&self.cores, grpc::words());
        let (server, telemetry) = (&self.server, &self.telemetry);
        chassis::serve(&tasks, cores, self.listeners, server, words, telemetry, |_| routes.clone());
        let ended = tokio::select! {
            biased;
            () = tasks.stopper().stopped() => Ok(()),
            name = owner.essential_ended() => Err(RunError(name)),
        };
        owner.drain(self.drain_max).await;
        ended
    }
}

/// Keeps readiness true to whether the accounts answer.
async fn watch_accounts(accounts: Arc<dyn Accounts>, health: Health, stopper: Stopper) {
    let trouble = Lasting::default();
    health.watch(HEALTH_INTERVAL, &stopper, || answers(&*accounts, &trouble)).await;
}

/// Whether the accounts answer. Says when that changes.
async fn answers(accounts: &dyn Accounts, trouble: &Lasting) -> bool {
    let answer = accounts.ping().await;
    match &answer {
        Ok(()) => {
            if let Some(after) = trouble.over() {
                tracing::info!(seconds = after.as_secs(), "the accounts can be used again");
            }
        }
        Err(error) => {
            if let Some(unsaid) = trouble.again() {
                let error = error as &dyn Error;
                tracing::warn!(
                    error,
                    unsaid,
                    "not ready: the accounts can't be used; nobody signs up or in here"
                );
            }
        }
    }
    answer.is_ok()
}

fn passwords(config: &Config, cores: &Cores) -> Result<Passwords, BuildError> {
    let hashing = &config.hashing;
    let bounds = Bounds {
        parallel_max: hashing.parallel(serving_count(cores)),
        queue_len_max: hashing.queue_len_max,
        wait_max: hashing.wait_max(),
    };
    let cost =
        Cost { memory_kib: hashing.memory_kib, passes: hashing.passes, lanes: hashing.lanes };
    Passwords::new(cost, Workroom::new(bounds, cores.heavy().clone()))
        .map_err(|broken| BuildError::Hashing(broken.to_string()))
}

fn rehearsal(config: &Config, cores: &Cores) -> Rehearsal {
    let parallel_max = serving_count(cores);
    let bounds = Bounds {
        parallel_max,
        queue_len_max: REHEARSAL_QUEUE_LEN_MAX,
        wait_max: REHEARSAL_WAIT_MAX,
    };
    Rehearsal {
        is_allowed: config.rehearsal_allowed,
        room: Arc::new(Workroom::new(bounds, cores.heavy().clone())),
        batches_ahead_max: parallel_max.get(),
    }
}

fn serving_count(cores: &Cores) -> NonZeroUsize {
    NonZeroUsize::new(cores.serving().len()).unwrap_or(NonZeroUsize::MIN)
}
