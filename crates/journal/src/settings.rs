//! How the journal is reached, what its topic has to be like, and what bounds its use. Everything
//! that has no knob here is fixed in `client.rs` or `topic.rs`, because a promise rests on it.

use std::path::PathBuf;

use chassis::config::ConfigError;
use serde::Deserialize;

use crate::client::Access;

/// The name of the topic, unless another one is set.
pub const TOPIC: &str = "seckill.journal.v1";

/// The longest name that Kafka takes.
const TOPIC_LEN_MAX: usize = 249;

/// Books that are restored from a copy read the log again from there on, so the log has to reach
/// back further than any copy that anybody would restore.
const RETENTION_DAYS_MIN: u32 = 7;

/// Settings of a [`crate::Journal`]. The embedded broker brings its own address, topic and
/// partitions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Kafka's bootstrap servers, `host:port` with commas between. No default: nobody's brokers
    /// are everybody's. Unused with the embedded broker.
    pub brokers: String,
    /// The topic of all commands, the same for all roles: [`TOPIC`]. Another one lets two systems,
    /// or two tests, share a cluster.
    pub topic: String,
    /// Partitions of the topic, the same for all roles. 16: each has one writer at a time, which
    /// alone decides tens of thousands of orders a second, and they are what instances of order-svc
    /// can be spread over. A shard's partition is fixed when its item is made, so this never
    /// changes.
    pub partitions: u32,
    /// Brokers that keep each record. 3: one may be down and another one fail meanwhile. It can't
    /// be more than there are brokers; with a single one it is 1, and with that broker's disk the
    /// log is gone.
    pub replication_factor: u16,
    /// Brokers that must have a record before it counts as written. 2: an acknowledged record
    /// outlives a broker, and one of three may be down. Below it nothing is written at all, rather
    /// than promised and lost.
    pub min_insync_replicas: u16,
    /// How long the log keeps records. 7 days, and it can't be less: it must be longer than the age
    /// of any copy that the books could be restored from, since they then read the log from there.
    pub retention_days: u32,
    /// After how many records a broker syncs its disk. 0 leaves it to the operating system: several
    /// brokers in several places don't lose power together. 1 with a single broker or a single
    /// site, at the price of a sync for each record; what was acknowledged then outlives a loss of
    /// power.
    pub flush_every_records: u32,
    /// How long an append may take before it is [`crate::AppendError::Unknown`]. 1.5 s: it has to
    /// be below the lease of the shards (2 s by default), or a late acknowledgement could never
    /// make an ACCEPTED and the wait for it would be wasted.
    pub message_timeout_ms: u32,
    /// Records of one producer that are sent and not acknowledged; one more is
    /// [`crate::AppendError::Full`]. 4,096: a record is a whole batch of purchases, so thousands of
    /// them in flight mean a broker that doesn't answer.
    pub queue_records_max: u32,
    /// The same in KiB. 2 MiB: below the half of the embedded broker's 5 MiB that
    /// [`crate::Journal::has_room`] leaves free.
    pub queue_kib_max: u32,
    /// How long a question about the topic (watermarks, one record, the cluster's identity) may
    /// take. 3 s: a broker answers in milliseconds, and a new leader is elected within this.
    pub query_timeout_ms: u32,
    /// Encrypts the connections; absent, they are plain. None by default: a broker on the loopback
    /// has no certificate.
    pub tls: Option<Tls>,
    /// Says who we are; absent, nobody. None by default, for the same reason.
    pub sasl: Option<Sasl>,
}

/// How connections to the brokers are encrypted. The brokers' certificates are always verified, and
/// that they are for the host that was asked for. Files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The authorities that vouch for the brokers. Empty: those that the system trusts.
    pub ca_file: PathBuf,
    /// Our own certificate, for brokers that ask for one. Empty: none.
    pub cert_file: PathBuf,
    /// Its private key, which others can't read (`chassis::secret_file`).
    pub key_file: PathBuf,
}

/// Who we are to the brokers. Where they have access lists, a role may Describe, DescribeConfigs
/// and Write the topic; order-svc may also Read it, and Read its group; whoever migrates may Create
/// the topic, Describe and DescribeConfigs it. Nobody needs a right on the cluster (since Kafka
/// 3.0).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How the password is shown.
    pub mechanism: SaslMechanism,
    /// The name.
    pub username: String,
    /// A text file with the password, which others can't read; a line break at its end doesn't
    /// count.
    pub password_file: PathBuf,
}

/// How a password is shown to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// As it is; only over TLS.
    #[serde(rename = "plain")]
    Plain,
    /// Proven without being sent.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// The same with the longer digest.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            topic: TOPIC.to_owned(),
            partitions: 16,
            replication_factor: 3,
            min_insync_replicas: 2,
            retention_days: RETENTION_DAYS_MIN,
            flush_every_records: 0,
            message_timeout_ms: 1500,
            queue_records_max: 4096,
            queue_kib_max: 2048,
            query_timeout_ms: 3000,
            tls: None,
            sasl: None,
        }
    }
}

impl Settings {
    /// Checks what types can't say, for a configuration that has these settings under `journal`.
    /// Without brokers they make sense too: the embedded one needs none.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (knob, value) in [
            ("partitions", self.partitions),
            ("replication_factor", self.replication_factor.into()),
            ("min_insync_replicas", self.min_insync_replicas.into()),
            ("message_timeout_ms", self.message_timeout_ms),
            ("queue_records_max", self.queue_records_max),
            ("queue_kib_max", self.queue_kib_max),
            ("query_timeout_ms", self.query_timeout_ms),
        ] {
            if value == 0 {
                return wrong(&format!("{knob} must be above 0"));
            }
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=TOPIC_LEN_MAX).contains(&self.topic.len()) || !self.topic.chars().all(is_name) {
            return wrong(&format!("topic must be 1 to {TOPIC_LEN_MAX} letters, digits, . _ or -"));
        }
        if self.min_insync_replicas > self.replication_factor {
            return wrong("min_insync_replicas is above journal.replication_factor");
        }
        if self.retention_days < RETENTION_DAYS_MIN {
            return wrong(&format!("retention_days must be at least {RETENTION_DAYS_MIN}"));
        }
        self.check_access()
    }

    /// Whether the password and the private key can be had, as far as that can be seen without the
    /// brokers. Without brokers none is needed.
    ///
    /// # Errors
    /// As connecting would say, in one sentence.
    pub fn check_secrets(&self) -> Result<(), ConfigError> {
        if self.brokers.is_empty() {
            return Ok(());
        }
        Access::kafka(self).map(drop).map_err(|error| ConfigError::new(error.to_string()))
    }

    fn check_access(&self) -> Result<(), ConfigError> {
        if let Some(Tls { cert_file, key_file, .. }) = &self.tls
            && cert_file.as_os_str().is_empty() != key_file.as_os_str().is_empty()
        {
            return wrong("tls.cert_file and journal.tls.key_file go together");
        }
        let Some(Sasl { mechanism, username, password_file }) = &self.sasl else { return Ok(()) };
        if username.is_empty() || password_file.as_os_str().is_empty() {
            return wrong("sasl.username and journal.sasl.password_file must be set");
        }
        if *mechanism == SaslMechanism::Plain && self.tls.is_none() {
            return wrong("sasl.mechanism plain would send the password in the clear without tls");
        }
        Ok(())
    }
}

fn wrong(sentence: &str) -> Result<(), ConfigError> {
    Err(ConfigError::new(format!("journal.{sentence}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        Settings::default().check().unwrap();
    }

    #[test]
    fn knobs_without_sense_are_named() {
        type Spoil = fn(&mut Settings);
        let sasl = |mechanism| {
            Some(Sasl { mechanism, username: "us".to_owned(), password_file: "file".into() })
        };
        let table: [(&str, Spoil); 7] = [
            ("partitions", |settings| settings.partitions = 0),
            ("topic", |settings| settings.topic = "ours/theirs".to_owned()),
            ("min_insync_replicas", |settings| settings.replication_factor = 1),
            ("retention_days", |settings| settings.retention_days = 6),
            ("message_timeout_ms", |settings| settings.message_timeout_ms = 0),
            ("tls.cert_file", |settings| {
                settings.tls = Some(Tls { cert_file: "ours.pem".into(), ..Tls::default() });
            }),
            ("sasl.username", |settings| {
                settings.sasl = Some(Sasl {
                    mechanism: SaslMechanism::ScramSha512,
                    username: String::new(),
                    password_file: "file".into(),
                });
            }),
        ];
        for (name, spoil) in table {
            let mut bad = Settings::default();
            spoil(&mut bad);
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.starts_with(&format!("journal.{name}")), "{sentence}");
        }
        let mut plain = Settings { sasl: sasl(SaslMechanism::Plain), ..Settings::default() };
        assert!(plain.check().is_err(), "the password would be sent in the clear");
        plain.tls = Some(Tls::default());
        plain.check().unwrap();
        let scram = sasl(SaslMechanism::ScramSha256);
        Settings { sasl: scram, ..Settings::default() }.check().unwrap();
    }
}
