//! Configuration: defaults, then a file, then the environment; later ones win.
//!
//! Every error is one sentence that names the key and where it stands. Unknown keys are refused
//! (by `deny_unknown_fields` of the target). Only variables with the prefix of the role are read,
//! so roles on one machine don't disturb each other. Secrets come from files, never from here.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Source};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use crate::config::lists::WithLists;
use crate::secret_file;

mod lists;

/// Between the prefix and the key, and between the parts of a key.
const ENV_SEPARATOR: &str = "__";

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

/// Reads a configuration. `defaults` is TOML text; `file` a TOML file; `env_prefix` is that of this
/// role: with `SECKILL_GATEWAY`, the variable `SECKILL_GATEWAY__SERVER__TLS` sets `server.tls`.
/// In a variable, the values of a list that the defaults or the file have are separated by commas.
///
/// # Errors
/// If the file can't be read, a key is unknown, or a value has the wrong type.
pub fn load<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    env_prefix: &str,
) -> Result<T, ConfigError> {
    load_from(defaults, file, env_prefix, None)
}

/// `variables` are the process's own if `None`.
fn load_from<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    env_prefix: &str,
    variables: Option<HashMap<String, String>>,
) -> Result<T, ConfigError> {
    let mut layers = vec![Layer::from_toml(Place::Defaults, defaults)?];
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            ConfigError(format!("the configuration file {} can't be read: {error}", file.display()))
        })?;
        layers.push(Layer::from_toml(Place::File(file.to_owned()), &text)?);
    }
    // Values stay text here, and each field parses its own. Guessing types would turn "007" into 7.
    let environment = Environment::with_prefix(env_prefix)
        .prefix_separator(ENV_SEPARATOR)
        .separator(ENV_SEPARATOR)
        .source(variables);
    let lists = layers.iter().flat_map(|layer| lists::keys(&layer.values.cache)).collect();
    let environment = WithLists { variables: environment, lists };
    layers.push(Layer::new(Place::Environment(env_prefix.to_owned()), environment)?);

    layers
        .iter()
        .fold(Config::builder(), |merged, layer| merged.add_source(layer.values.clone()))
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|error| Fault::of(error).in_layers(&layers))
}

/// What one source says.
struct Layer {
    place: Place,
    values: Config,
}

enum Place {
    Defaults,
    File(PathBuf),
    Environment(String),
}

impl Layer {
    fn from_toml(place: Place, text: &str) -> Result<Self, ConfigError> {
        Self::new(place, File::from_str(text, FileFormat::Toml))
    }

    fn new(place: Place, source: impl Source + Send + Sync + 'static) -> Result<Self, ConfigError> {
        match Config::builder().add_source(source).build() {
            Ok(values) => Ok(Self { place, values }),
            Err(error) => Err(ConfigError(format!("{}: {}", place.name(), Fault::of(error).what))),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.values.get::<config::Value>(key).is_ok()
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Place::Defaults => "the built-in defaults".to_owned(),
            Place::File(file) => file.display().to_string(),
            Place::Environment(prefix) => format!("the variables {prefix}{ENV_SEPARATOR}*"),
        }
    }

    fn name_of(&self, key: &str) -> String {
        match self {
            Place::Defaults | Place::File(_) => format!("{key} in {}", self.name()),
            Place::Environment(prefix) => {
                let variable = key.replace('.', ENV_SEPARATOR).to_uppercase();
                format!("{key} in the variable {prefix}{ENV_SEPARATOR}{variable}")
            }
        }
    }
}

/// An error of the `config` crate, taken apart.
struct Fault {
    key: Option<String>,
    what: String,
}

impl Fault {
    fn of(error: config::ConfigError) -> Self {
        use config::ConfigError as E;
        match error {
            E::NotFound(key) => Self { key: None, what: format!("the key {key} is missing") },
            E::Type { unexpected, expected, key, .. } => {
                Self { key, what: format!("this is {unexpected}, and must be {expected}") }
            }
            E::At { error, key, .. } => {
                let inner = Self::of(*error);
                let keys: Vec<String> = key.into_iter().chain(inner.key).collect();
                let key = (!keys.is_empty()).then(|| keys.join("."));
                Self { key, what: inner.what }
            }
            E::FileParse { cause, .. } => Self { key: None, what: one_line(&cause.to_string()) },
            other => Self::of_text(&other.to_string()),
        }
    }

    /// serde names an unknown field in its text only.
    fn of_text(text: &str) -> Self {
        match text.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, ")) {
            Some((field, expected)) => Self {
                key: Some(field.to_owned()),
                what: format!("there is no such key, {expected}"),
            },
            None => Self { key: None, what: text.to_owned() },
        }
    }

    /// The sentence, with the place that the faulty value comes from: the last one that has it.
    fn in_layers(self, layers: &[Layer]) -> ConfigError {
        let Self { key, what } = self;
        let Some(key) = key else {
            return ConfigError(what);
        };
        let place = layers.iter().rev().find(|layer| layer.has(&key));
        let place = place.map_or_else(|| key.clone(), |layer| layer.place.name_of(&key));
        ConfigError(format!("{place}: {what}"))
    }
}

/// A parser's message without the picture of the line that it draws.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(": ")
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
    /// If it isn't as [`secret_file`] wants it, or empty.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        secret_file::read(path).map(Self).map_err(|error| ConfigError(error.to_string()))
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

/// An address, or none for an empty text: the knob of a port that may be switched off.
///
/// # Errors
/// If it is neither.
pub fn address_or_empty<'de, D: Deserializer<'de>>(
    text: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(text)?;
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse();
    address.map(Some).map_err(|_| {
        de::Error::custom(format!(
            "{text:?} is neither empty nor an address such as 127.0.0.1:9464"
        ))
    })
}

#[cfg(test)]
mod tests;
