//! One connection to the master that many calls share, and that comes back by itself.
//!
//! It promises that a call which wasn't sent says so, and that every new connection is asked who
//! keeps the ledger: only a master is used, and a change of identity is told. A connection is given
//! up when it breaks, when it is in doubt and doesn't answer, or when its master is none any more;
//! with sentinels, the next one goes to the master that they name then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{Kind, Tasks};
use redis::{
    AsyncConnectionConfig, Cmd, PushInfo, PushKind, RedisError, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{RedisSettings, address::Address};
use crate::ledger::{Error, Identity};

/// How often a connection is asked for its master though nothing is wrong with it: one that died
/// in silence is noticed before it is needed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module. Clones are the same one.
#[derive(Clone)]
pub(super) struct Lane(Arc<Inner>);

struct Inner {
    name: &'static str,
    address: Arc<Address>,
    shown: Arc<str>,
    settings: RedisSettings,
    keeper: Arc<Keeper>,
    up: watch::Sender<Option<MultiplexedConnection>>,
    /// Somebody got no answer, or an answer that no master gives.
    doubt: Notify,
    places: Semaphore,
}

/// Who was met last, over all lanes.
#[derive(Default)]
pub(super) struct Keeper(Mutex<Option<Identity>>);

/// Why a connection can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Silent,
    #[error("it is a replica")]
    Replica,
}

/// What `INFO` says of a server.
pub(super) struct Info {
    text: String,
}

impl Keeper {
    /// Takes note of who answers.
    pub(super) fn met(&self, identity: &Identity) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace(identity.clone());
        drop(known);
        if before.as_ref().is_some_and(|before| before != identity) {
            tracing::warn!(?before, now = ?identity, "another process keeps the ledger");
        }
    }
}

impl Info {
    /// Asks who keeps the ledger.
    pub(super) fn question() -> Cmd {
        Self::about(&["server", "replication"])
    }

    pub(super) fn about(sections: &[&str]) -> Cmd {
        let mut question = redis::cmd("INFO");
        question.arg(sections);
        question
    }

    pub(super) fn read(answer: Value) -> Result<Self, RedisError> {
        Ok(Self { text: redis::from_redis_value(answer.extract_error()?)? })
    }

    /// None if it is a replica. The same text as the functions make (`keeper.lua`).
    pub(super) fn identity(&self) -> Option<Identity> {
        let run_id = self.field("run_id")?;
        let replid = self.field("master_replid")?;
        (self.field("role") == Some("master")).then(|| Identity::new(&format!("{run_id}:{replid}")))
    }

    /// The value of `name:value`.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.text.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value.trim_end())
    }
}

impl Lane {
    /// A lane whose connection is made, watched and made again by a task of `tasks`.
    pub(super) fn start(
        name: &'static str,
        (address, shown): (Arc<Address>, Arc<str>),
        settings: &RedisSettings,
        keeper: Arc<Keeper>,
        (tasks, runtime): (&Tasks, &Handle),
    ) -> Self {
        let lane = Self(Arc::new(Inner {
            name,
            address,
            shown,
            settings: settings.clone(),
            keeper,
            up: watch::Sender::new(None),
            doubt: Notify::new(),
            places: Semaphore::new(settings.calls_in_flight_max),
        }));
        let inner = Arc::clone(&lane.0);
        tasks.spawn_on(runtime, Kind::Disposable, name, async move { inner.keep().await });
        lane
    }

    /// Returns once there is a connection.
    pub(super) async fn connected(&self) {
        // The sender lives as long as this.
        let _ = self.0.up.subscribe().wait_for(Option::is_some).await;
    }

    /// Sends a command and returns its answer, which may be an error of Redis.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it wasn't sent, [`Error::Unknown`] if it was and no answer came.
    pub(super) async fn call(&self, command: &Cmd, within: Duration) -> Result<Value, Error> {
        let mut is_sent = false;
        let answer = timeout(within, async {
            // Never closed.
            let _place = self.0.places.acquire().await.ok()?;
            let mut connection = self.0.up.borrow().clone()?;
            is_sent = true;
            Some(connection.send_packed_command(command).await)
        });
        match answer.await {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(None) => Err(Error::Unreachable),
            Err(_) if !is_sent => Err(Error::Unreachable),
            Ok(Some(Err(_))) | Err(_) => {
                self.doubt();
                Err(Error::Unknown)
            }
        }
    }

    /// Has the connection looked at, since its answers are none of a master.
    pub(super) fn doubt(&self) {
        self.0.doubt.notify_one();
    }
}

impl Inner {
    async fn keep(&self) {
        let mut backoff = self.settings.backoff();
        let mut said = String::new();
        loop {
            let lost = Arc::new(Notify::new());
            let why = match self.connect(&lost).await {
                Ok(connection) => {
                    tracing::info!(lane = self.name, redis = %self.shown, "connected");
                    said.clear();
                    backoff.reset();
                    self.up.send_replace(Some(connection.clone()));
                    let why = self.watch(connection, &lost).await;
                    self.up.send_replace(None);
                    why
                }
                Err(why) => why.to_string(),
            };
            // As long as it says the same, once is enough.
            if why != said {
                tracing::warn!(lane = self.name, redis = %self.shown, why, "not connected");
                said = why;
            }
            sleep(backoff.next_wait()).await;
        }
    }

    async fn connect(&self, lost: &Arc<Notify>) -> Result<MultiplexedConnection, NoConnection> {
        let heard = Arc::clone(lost);
        let within = self.settings.connect_max();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            // Each call has its own deadline.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(self.settings.calls_in_flight_max)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    heard.notify_one();
                }
                Ok::<_, SendError>(())
            });
        let connected = timeout(within, async {
            let connection = self.address.connect(&config).await?;
            self.look(&connection).await?;
            Ok(connection)
        });
        connected.await.unwrap_or(Err(NoConnection::Silent))
    }

    /// Whether a master answers, and who it is.
    async fn look(&self, connection: &MultiplexedConnection) -> Result<(), NoConnection> {
        let question = Info::question();
        let mut connection = connection.clone();
        let answer =
            timeout(self.settings.connect_max(), connection.send_packed_command(&question));
        let answer = answer.await.map_err(|_| NoConnection::Silent)??;
        let identity = Info::read(answer)?.identity().ok_or(NoConnection::Replica)?;
        self.keeper.met(&identity);
        Ok(())
    }

    /// Returns once the connection can't be used any more, with the reason.
    async fn watch(&self, connection: MultiplexedConnection, lost: &Notify) -> String {
        loop {
            tokio::select! {
                biased;
                () = lost.notified() => return "the connection broke".to_owned(),
                () = self.doubt.notified() => {}
                () = sleep(LOOK_EVERY) => {}
            }
            if let Err(why) = self.look(&connection).await {
                return why.to_string();
            }
        }
    }
}
