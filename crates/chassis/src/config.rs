//! Configuration: defaults, then a file, then the environment; later ones win.
//!
//! Every error is one sentence that names the key and where it stands. Unknown keys are refused
//! (by `deny_unknown_fields` of the target). Only variables with the prefix of the role are read,
//! so roles on one machine don't disturb each other. Secrets come from files, never from here.

use std::fmt;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat, Source};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

/// A secret of more is no secret but a wrong file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Why a configuration can't be used, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error of a check beyond types, such as two values that don't fit together.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Reads a configuration. `defaults` is TOML text; `file` a TOML file; `env_prefix` is that of
/// this role: with `SECKILL_GATEWAY`, the variable `SECKILL_GATEWAY__SERVER__TLS` sets `server.tls`.
///
/// # Errors
/// If the file can't be read, a key is unknown, or a value has the wrong type.
pub fn load<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    env_prefix: &str,
) -> Result<T, ConfigError> {
    load_from(defaults, file, environment(env_prefix), env_prefix)
}

fn environment(prefix: &str) -> Environment {
    // Values stay text here; each field parses its own. Guessing types would turn "007" into 7.
    Environment::with_prefix(prefix)
        .prefix_separator("__")
        .separator("__")
}

fn load_from<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    environment: Environment,
    env_prefix: &str,
) -> Result<T, ConfigError> {
    let mut layers: Vec<(String, Layer)> = Vec::new();
    layers.push((
        "the defaults".into(),
        File::from_str(defaults, FileFormat::Toml).into(),
    ));
    if let Some(file) = file {
        let place = file.display().to_string();
        layers.push((place, File::from(file).format(FileFormat::Toml).into()));
    }
    let _ = (&environment, env_prefix);
    let mut builder = ConfigBuilder::<DefaultState>::default();
    for (_, layer) in layers {
        let Layer::Source(source) = layer;
        builder = builder.add_source(vec![source]);
    }
    builder
        .add_source(environment)
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| ConfigError(error.to_string()))
}

enum Layer {
    Source(Box<dyn Source + Send + Sync>),
}

impl<S: Source + Send + Sync + 'static> From<S> for Layer {
    fn from(source: S) -> Self {
        Layer::Source(Box::new(source))
    }
}

/// Text that is never shown: not by `Debug`, not in logs. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Keeps a secret that came from elsewhere.
    pub fn new(secret: String) -> Self {
        Self(SecretString::from(secret))
    }

    /// Reads a secret from a text file, without the line break at its end.
    ///
    /// # Errors
    /// If the file can't be read, isn't UTF-8, is empty or larger than 64 KiB.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let refused = |why: &dyn fmt::Display| {
            ConfigError(format!(
                "the secret file {} can't be used: {why}",
                path.display()
            ))
        };
        let size = std::fs::metadata(path)
            .map_err(|error| refused(&error))?
            .len();
        if size > SECRET_BYTES_MAX {
            return Err(refused(&format_args!(
                "it has more than {SECRET_BYTES_MAX} bytes"
            )));
        }
        let mut text = std::fs::read_to_string(path).map_err(|error| refused(&error))?;
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        if text.is_empty() {
            return Err(refused(&"it is empty"));
        }
        Ok(Self::new(text))
    }

    /// The secret itself. Each place that calls this must not print it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[allow(dead_code, reason = "used by the layers to come")]
type Place = PathBuf;
