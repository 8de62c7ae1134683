//! The knobs of user-svc. Their defaults, with the reason for each, stand in
//! `config.default.toml`; no knob has a second default in code.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use chassis::{ServerSettings, TelemetrySettings, config::ConfigError};
use serde::Deserialize;
use store::PoolSettings;

use crate::{
    domain::{Patience, SessionRules},
    keys,
    lockout::LockoutRules,
};

const DEFAULTS: &str = include_str!("../config.default.toml");
const ENV_PREFIX: &str = "SECKILL_USER";

/// Longer than any client waits before it asks again.
const LOST_ANSWER_S_MAX: u32 = 60;

/// All knobs; see `config.default.toml` for their reasons.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where calls are taken, for whoever binds the listeners.
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `mysql://USER@HOST:PORT/DATABASE`.
    pub accounts_url: String,
    /// Whether `build` brings the schema up to date.
    pub migrate_on_start: bool,
    /// Ed25519 private key, PKCS#8 PEM; a secret file.
    pub signing_key_file: PathBuf,
    /// Ed25519 public keys, PEM.
    pub further_public_key_files: Vec<PathBuf>,
    /// The `iss` of all tokens.
    pub issuer: String,
    /// Life of a buyer's token, in seconds.
    pub access_token_lifetime_s: u32,
    /// Whether operators may grant rehearsals.
    pub rehearsal_allowed: bool,
    /// How long it goes on after a stop was asked for, for whoever asks.
    pub grace_ms: u64,
    /// How long a stop waits for calls, in milliseconds.
    pub drain_ms_max: u64,
    /// Sessions and their refresh tokens.
    pub sessions: SessionSettings,
    /// Failures to sign in.
    pub lockout: LockoutSettings,
    /// Password hashes.
    pub hashing: Hashing,
    /// Listeners and connections.
    pub server: ServerSettings,
    /// What the process is seen by, for whoever makes the telemetry of the seams.
    pub telemetry: TelemetrySettings,
    /// Connections to the accounts.
    pub pool: PoolSettings,
}

/// How long sessions live, and how many a user may have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// Without being refreshed, in seconds.
    pub idle_s_max: u32,
    /// However often it is refreshed, in seconds.
    pub life_s_max: u32,
    /// How long the answer to a spent token is given again, in seconds.
    pub lost_answer_s: u32,
    /// Sessions of one user.
    pub per_user_max: u32,
}

/// How failures to sign in are counted, and what they cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockoutSettings {
    /// Free failures of an account from one neighbourhood.
    pub pair_failures_max: u32,
    /// Of an account from anywhere.
    pub account_failures_max: u32,
    /// Of a neighbourhood at any account.
    pub neighbourhood_failures_max: u32,
    /// After this long one failure less counts for an account, in seconds.
    pub forgiven_after_s: u32,
    /// The same for a neighbourhood.
    pub neighbourhood_forgiven_after_s: u32,
    /// The wait after the first failure too many, in milliseconds.
    pub first_wait_ms: u32,
    /// The longest wait, in seconds.
    pub wait_s_max: u32,
    /// How long it is remembered where a user has signed in, in seconds.
    pub home_s: u32,
    /// Tallies of each kind.
    pub entries_max: u64,
}

/// What a password hash costs, and how many are made at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashing {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes in it.
    pub lanes: u32,
    /// Hashes at the same time; 0: as many as serving cores.
    pub parallel_max: usize,
    /// Callers that may wait while those run.
    pub queue_len_max: usize,
    /// How long one waits at most, in milliseconds.
    pub wait_ms_max: u64,
}

impl Config {
    /// The defaults, then the file, then the environment (`SECKILL_USER__…`).
    ///
    /// # Errors
    /// What can't be read or understood, in one sentence.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        chassis::config::load(DEFAULTS, file, ENV_PREFIX)
    }

    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        let lifetime_s = self.access_token_lifetime_s;
        if self.signing_key_file.as_os_str().is_empty() {
            return wrong(
                "signing_key_file is not set: it must name an Ed25519 private key in PEM",
            );
        }
        if let Err(error) = store::Kind::of(&self.accounts_url) {
            return wrong(format!("accounts_url: {error}"));
        }
        if self.issuer.is_empty() {
            return wrong("issuer must not be empty");
        }
        if !(60..=86_400).contains(&lifetime_s) {
            return wrong(format!(
                "access_token_lifetime_s is {lifetime_s}: it must be 60 to 86400"
            ));
        }
        self.sessions.check(lifetime_s)?;
        self.lockout.check()?;
        if self.hashing.wait_ms_max == 0 {
            return wrong("hashing.wait_ms_max must be above 0");
        }
        self.telemetry.check()?;
        self.server.check()
    }

    /// Reads every file that the start would read, keys and passwords, and asks nobody.
    ///
    /// # Errors
    /// As the start would say, in one sentence.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        let as_sentence = |error: &dyn std::fmt::Display| ConfigError::new(error.to_string());
        let signing = keys::load_signing(&self.signing_key_file);
        let signing = signing.map_err(|error| as_sentence(&error))?;
        keys::all_public(self, &signing).map_err(|error| as_sentence(&error))?;
        store::check_secrets(&self.accounts_url, &self.pool).map_err(|error| as_sentence(&error))
    }

    pub(crate) fn access_token_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.access_token_lifetime_s))
    }

    pub(crate) fn drain_max(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}

impl SessionSettings {
    fn check(&self, access_s: u32) -> Result<(), ConfigError> {
        let Self { idle_s_max, life_s_max, lost_answer_s, per_user_max } = *self;
        if idle_s_max < access_s {
            return wrong(format!(
                "sessions.idle_s_max is {idle_s_max}: below access_token_lifetime_s, nobody could \
                 refresh in time"
            ));
        }
        if life_s_max < idle_s_max {
            return wrong(format!(
                "sessions.life_s_max is {life_s_max}: it must be sessions.idle_s_max or more"
            ));
        }
        if lost_answer_s > LOST_ANSWER_S_MAX {
            return wrong(format!(
                "sessions.lost_answer_s is {lost_answer_s}: above {LOST_ANSWER_S_MAX}, a copied \
                 token would be of use"
            ));
        }
        if per_user_max == 0 {
            return wrong("sessions.per_user_max must be above 0");
        }
        Ok(())
    }

    pub(crate) fn rules(&self) -> SessionRules {
        SessionRules {
            idle_max: Duration::from_secs(u64::from(self.idle_s_max)),
            life_max: Duration::from_secs(u64::from(self.life_s_max)),
            lost_answer: Duration::from_secs(u64::from(self.lost_answer_s)),
            per_user_max: self.per_user_max,
        }
    }
}

impl LockoutSettings {
    fn check(&self) -> Result<(), ConfigError> {
        let above_zero = [
            ("pair_failures_max", self.pair_failures_max),
            ("account_failures_max", self.account_failures_max),
            ("neighbourhood_failures_max", self.neighbourhood_failures_max),
            ("forgiven_after_s", self.forgiven_after_s),
            ("neighbourhood_forgiven_after_s", self.neighbourhood_forgiven_after_s),
            ("first_wait_ms", self.first_wait_ms),
            ("wait_s_max", self.wait_s_max),
            ("home_s", self.home_s),
        ];
        match above_zero.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => wrong(format!("lockout.{name} must be above 0")),
            None if self.entries_max == 0 => wrong("lockout.entries_max must be above 0"),
            None => Ok(()),
        }
    }

    pub(crate) fn rules(&self) -> LockoutRules {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let patience = |failures_max, forgiven_after_s| Patience {
            failures_max,
            forgiven_after: seconds(forgiven_after_s),
            first_wait: Duration::from_millis(u64::from(self.first_wait_ms)),
            wait_max: seconds(self.wait_s_max),
        };
        LockoutRules {
            pair: patience(self.pair_failures_max, self.forgiven_after_s),
            account: patience(self.account_failures_max, self.forgiven_after_s),
            neighbourhood: patience(
                self.neighbourhood_failures_max,
                self.neighbourhood_forgiven_after_s,
            ),
            home: seconds(self.home_s),
            entries_max: self.entries_max,
        }
    }
}

impl Hashing {
    pub(crate) fn parallel(&self, serving_cores: NonZeroUsize) -> NonZeroUsize {
        NonZeroUsize::new(self.parallel_max).unwrap_or(serving_cores)
    }

    pub(crate) fn wait_max(&self) -> Duration {
        Duration::from_millis(self.wait_ms_max)
    }
}

fn wrong(sentence: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::new(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_understood_and_lack_only_the_key() {
        let mut config = Config::load(None).unwrap();
        assert!(!config.rehearsal_allowed);
        let lacking = config.check().unwrap_err().to_string();
        assert!(lacking.starts_with("signing_key_file is not set"), "{lacking}");
        config.signing_key_file = PathBuf::from("signing.pem");
        config.check().unwrap();
    }

    #[test]
    fn knobs_without_sense_are_named() {
        let good = Config {
            signing_key_file: PathBuf::from("signing.pem"),
            ..Config::load(None).unwrap()
        };
        type Spoil = fn(&mut Config);
        let table: [(Spoil, &str); 13] = [
            (|config| config.accounts_url = "postgres://me@db/people".to_owned(), "accounts_url"),
            (|config| config.accounts_url = "mysql://me@db".to_owned(), "accounts_url"),
            (|config| config.issuer.clear(), "issuer"),
            (|config| config.access_token_lifetime_s = 59, "access_token_lifetime_s"),
            (|config| config.access_token_lifetime_s = 86_401, "access_token_lifetime_s"),
            (|config| config.sessions.idle_s_max = 899, "sessions.idle_s_max"),
            (|config| config.sessions.life_s_max = 1_000, "sessions.life_s_max"),
            (|config| config.sessions.lost_answer_s = 61, "sessions.lost_answer_s"),
            (|config| config.sessions.per_user_max = 0, "sessions.per_user_max"),
            (|config| config.lockout.pair_failures_max = 0, "lockout.pair_failures_max"),
            (|config| config.lockout.entries_max = 0, "lockout.entries_max"),
            (|config| config.hashing.wait_ms_max = 0, "hashing.wait_ms_max"),
            (|config| config.server.default_deadline_ms = 0, "server.default_deadline_ms"),
        ];
        for (spoil, name) in table {
            let mut bad = good.clone();
            spoil(&mut bad);
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.starts_with(name), "{sentence}");
        }
    }

    #[test]
    fn unknown_knobs_are_refused_by_name() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("user.toml");
        std::fs::write(&file, "[hashing]\nmemmory_kib = 1\n").unwrap();
        let refused = Config::load(Some(&file)).unwrap_err().to_string();
        assert!(refused.contains("memmory_kib"), "{refused}");
    }
}
