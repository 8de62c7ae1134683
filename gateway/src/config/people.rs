//! Who is let in: access tokens, tickets and their keys.

use std::{path::PathBuf, time::Duration};

use chassis::{Secret, config::ConfigError};
use serde::Deserialize;

use crate::tickets::Tickets;

/// Tickets and their keys. Key files are secret files with text of at least 32 bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketSettings {
    /// The key that signs.
    pub key_file: PathBuf,
    /// The key that signed before; empty if there is none.
    pub previous_key_file: PathBuf,
    /// The key of order ids.
    pub order_id_key_file: PathBuf,
    /// How long a ticket may be used, in seconds.
    pub lifetime_s: u32,
}

impl TicketSettings {
    /// The keys, from their files.
    ///
    /// # Errors
    /// If a file can't be used, or a key can't, in one sentence.
    pub(crate) fn read_keys(&self) -> Result<Tickets, ConfigError> {
        let current = Secret::read(&self.key_file)?;
        let previous = match &self.previous_key_file {
            none if none.as_os_str().is_empty() => None,
            file => Some(Secret::read(file)?),
        };
        let order_ids = Secret::read(&self.order_id_key_file)?;
        let previous = previous.as_ref().map(|key| key.expose().as_bytes());
        let (current, order_ids) = (current.expose().as_bytes(), order_ids.expose().as_bytes());
        Tickets::new(current, previous, order_ids)
            .map_err(|error| ConfigError::new(error.to_string()))
    }

    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_s.into())
    }
}

/// Access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    /// The `iss` of all tokens.
    pub issuer: String,
    /// Whether tokens of a rehearsal count.
    pub rehearsal_allowed: bool,
    /// Checked tokens that are remembered.
    pub known_tokens_max: u64,
    /// For how long without being shown, in milliseconds.
    pub known_ms: u64,
    /// How often public keys are fetched, in milliseconds.
    pub keys_interval_ms: u64,
    /// How often an unknown key may make us fetch them, in milliseconds.
    pub unknown_key_pause_ms: u64,
    /// How often it is asked which operators' tokens are revoked, in milliseconds.
    pub revocations_interval_ms: u64,
    /// How long either may take, in milliseconds.
    pub keys_ms_max: u64,
}

impl IdentitySettings {
    pub(crate) fn known_for(&self) -> Duration {
        Duration::from_millis(self.known_ms)
    }

    pub(crate) fn keys_interval(&self) -> Duration {
        Duration::from_millis(self.keys_interval_ms)
    }

    pub(crate) fn unknown_key_pause(&self) -> Duration {
        Duration::from_millis(self.unknown_key_pause_ms)
    }

    pub(crate) fn revocations_interval(&self) -> Duration {
        Duration::from_millis(self.revocations_interval_ms)
    }

    pub(crate) fn keys_limit(&self) -> Duration {
        Duration::from_millis(self.keys_ms_max)
    }
}
