//! A running user-svc, its files in a directory that goes when the house goes.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use chassis::{
    Clock, ClockShift, Cores, Kind, Listeners, PausePoints, Stopper, TaskOwner, status::reason_of,
    token::Verifier,
};
use proto::user::v1::{
    ListPublicKeysRequest, RegisterRequest, SignInRequest, SignInResponse,
    operator_service_client::OperatorServiceClient, user_service_client::UserServiceClient,
};
use tempfile::TempDir;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt as _;
use user_svc::{BuildError, Config, OPERATORS, Rights, Seams};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) shift: ClockShift,
    pub(crate) channel: Channel,
    pub(crate) stopper: Stopper,
    pub(crate) ended: tokio::sync::oneshot::Receiver<Result<(), String>>,
    clock: Clock,
    owner: Mutex<Option<TaskOwner>>,
    dir: TempDir,
}

/// A configuration for tests: hashes cost little, everything else is as shipped.
pub(crate) fn config(dir: &TempDir) -> Config {
    let mut config = Config::load(None).unwrap();
    config.accounts_url = format!("sqlite:{}", dir.path().join("user.db").display());
    config.signing_key_file = dir.path().join("signing.pem");
    config.migrate_on_start = true;
    config.rehearsal_allowed = true;
    config.hashing.memory_kib = 64;
    config.hashing.passes = 1;
    config
}

/// The reason why it doesn't start, as one sentence.
pub(crate) async fn refusal_to_start(config: Config) -> String {
    let cores = Arc::new(Cores::start(1).unwrap());
    match build(config, &cores, &Clock::system()).await {
        Ok(_) => panic!("it starts"),
        Err(refused) => refused.to_string(),
    }
}

async fn build(
    config: Config,
    cores: &Arc<Cores>,
    clock: &Clock,
) -> Result<user_svc::App, BuildError> {
    let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), cores.serving().len()).unwrap();
    let seams = Seams {
        clock: clock.clone(),
        pause: PausePoints::default(),
        cores: Arc::clone(cores),
        telemetry: chassis::Telemetry::off("user-svc"),
    };
    user_svc::build(config, listeners, seams).await
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    /// A house whose configuration was changed.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut config = config(&dir);
        user_svc::keys::generate(&config.signing_key_file).unwrap();
        change(&mut config);
        Self::open_in(dir, config).await
    }

    async fn open_in(dir: TempDir, config: Config) -> Self {
        let cores = Arc::new(Cores::start(2).unwrap());
        let (clock, shift) = Clock::adjustable();
        let app = build(config.clone(), &cores, &clock).await.unwrap();
        let addr = app.addr();
        let stopper = Stopper::new();
        let owner = TaskOwner::new("house", Stopper::new());
        let (tell, ended) = tokio::sync::oneshot::channel();
        let run = app.run(stopper.clone());
        owner.tasks().spawn_on(cores.background(), Kind::Disposable, "app", async move {
            let result = run.await.map_err(|error| error.to_string());
            // Nobody listens in most tests.
            let _ = tell.send(result);
        });
        let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
        let owner = Mutex::new(Some(owner));
        Self { config, shift, channel, stopper, ended, clock, owner, dir }
    }

    /// The process dies on the spot: whatever it was doing ends at its next await.
    pub(crate) fn crash(&self) {
        drop(self.owner.lock().unwrap().take());
    }

    /// Another process starts on the files of this one.
    pub(crate) async fn open_again(self) -> Self {
        self.crash();
        Self::open_in(self.dir, self.config).await
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel.clone())
    }

    pub(crate) fn operators(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> Result<String, Status> {
        let request = RegisterRequest { email: email.to_owned(), password: password.to_owned() };
        Ok(self.users().register(request).await?.into_inner().user_id)
    }

    pub(crate) async fn sign_in(
        &self,
        email: &str,
        password: &str,
    ) -> Result<SignInResponse, Status> {
        let request = SignInRequest { email: email.to_owned(), password: password.to_owned() };
        Ok(self.users().sign_in(request).await?.into_inner())
    }

    /// A verifier with the keys that the service publishes.
    pub(crate) async fn verifier(&self, audience: &str) -> Verifier {
        let listed =
            self.users().list_public_keys(ListPublicKeysRequest {}).await.unwrap().into_inner();
        let verifier = Verifier::new(listed.issuer, audience, self.clock.clone());
        let keys = listed.keys.into_iter();
        verifier.set_keys(
            keys.map(|key| (key.key_id, key.ed25519.as_ref().try_into().unwrap())).collect(),
        );
        verifier
    }

    pub(crate) fn now_s(&self) -> i64 {
        i64::try_from(self.clock.wall_ms() / 1_000).unwrap()
    }

    /// A token as the command line makes it.
    pub(crate) fn first_operator(&self) -> String {
        self.operator_by("signing.pem")
    }

    /// The same by the key of another file.
    pub(crate) fn operator_by(&self, key_file: &str) -> String {
        self.operator_named("Ann of ops", key_file, &Rights::all())
    }

    /// The same with a name and with rights.
    pub(crate) fn operator_named(&self, name: &str, key_file: &str, rights: &Rights) -> String {
        let day = Duration::from_secs(86_400);
        let key_file = self.file(key_file);
        let token = user_svc::operator::issue(&key_file, "seckill", name, day, rights).unwrap();
        token.expose().to_owned()
    }

    pub(crate) async fn operator_verifier(&self) -> Verifier {
        self.verifier(OPERATORS).await
    }
}

/// The request with a token.
pub(crate) fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// Code and reason of a refusal; also checks that it names the suite's domain.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no details: {status:?}"));
    assert_eq!(info.domain, "seckill");
    (status.code(), reason_of(&status).unwrap())
}

/// The field violations of an INVALID_INPUT.
#[track_caller]
pub(crate) fn violations<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<(String, String)> {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason_of(&status).as_deref(), Some("INVALID_INPUT"));
    let bad_request = status.get_details_bad_request().unwrap();
    bad_request.field_violations.into_iter().map(|v| (v.field, v.description)).collect()
}

/// What [`violations`] gives, from literals.
pub(crate) fn said(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(field, rule)| ((*field).to_owned(), (*rule).to_owned())).collect()
}
