//! The journal's topic: what it has to be like, making it so, and refusing one that isn't. Every
//! rule stands here because a promise rests on it; nothing of a topic that is there already is ever
//! changed, since only its owner knows what else that would do.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::{
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
    },
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};

use crate::{
    Error, Settings,
    client::{Access, Listening},
    journal::setup,
};

mod rules;

use rules::rules;

/// How often a topic that was just made is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a client may have to say of connections that fail, and how long it is asked for that.
const NEWS_MAX: usize = 16;
const NEWS_WAIT: Duration = Duration::from_millis(20);

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrated {
    /// The topic was made.
    Made,
    /// It was there, and is as it has to be.
    AlreadyThere,
}

/// Makes the journal's topic as the settings say, or checks the one that is there. A second run
/// changes nothing, and it may run beside roles. Blocks, for up to six times
/// [`Settings::query_timeout_ms`].
///
/// # Errors
/// [`Error::Refused`] if the brokers won't make it, for example because there are fewer of them
/// than replicas; [`Error::Partitions`] or [`Error::Unfit`] if there is one that isn't as it has to
/// be; and as [`crate::Journal::connect`].
pub fn migrate(settings: &Settings) -> Result<Migrated, Error> {
    let access = Access::kafka(settings)?;
    let asked = Asked::of(&access, settings)?;
    match asked.check(settings) {
        Ok(()) => return Ok(Migrated::AlreadyThere),
        Err(Error::NoTopic { .. }) => {}
        Err(error) => return Err(error),
    }
    let made = asked.make(settings)?;
    // A broker that was asked may hear of it a moment after the one that made it.
    let looks = asked.within.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        match asked.check(settings) {
            Ok(()) => return Ok(made),
            Err(Error::NoTopic { .. }) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(error),
        }
    }
    asked.check(settings).map(|()| made)
}

/// The brokers, asked who they are.
pub(crate) struct Asked {
    client: BaseConsumer<Listening>,
    admin: AdminClient<Listening>,
    brokers: String,
    topic: String,
    within: Duration,
    identity: String,
}

impl Asked {
    /// # Errors
    /// [`Error::Unreachable`] without an answer.
    pub(crate) fn of(access: &Access, settings: &Settings) -> Result<Self, Error> {
        let heard = Listening::default();
        let config = access.asking();
        let client = BaseConsumer::from_config_and_context(&config, heard.clone());
        let client = client.map_err(setup)?;
        let admin = AdminClient::from_config_and_context(&config, heard).map_err(setup)?;
        let within = Duration::from_millis(settings.query_timeout_ms.into());
        let brokers = settings.brokers.clone();
        let identity = client.client().fetch_cluster_id(within);
        let identity = identity.ok_or_else(|| unreachable(&client, &brokers))?;
        Ok(Self { client, admin, brokers, topic: settings.topic.clone(), within, identity })
    }

    /// Kafka's cluster id.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether the topic is there and all that it has to be.
    ///
    /// # Errors
    /// What it is not.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), Error> {
        let topic = self.topic.clone();
        let (has, replicas) = self.partitions()?;
        let wants = settings.partitions;
        if has != wants {
            return Err(Error::Partitions { topic, has, wants });
        }
        let mut flaws = Vec::new();
        if replicas < usize::from(settings.replication_factor) {
            let wants = settings.replication_factor;
            flaws.push(format!("a partition has {replicas} replicas and must have {wants}"));
        }
        let set = self.describe()?;
        flaws.extend(rules(settings).iter().filter_map(|rule| {
            let value = set.get(rule.name).and_then(|entry| entry.value.as_deref());
            rule.flaw(value)
        }));
        if flaws.is_empty() { Ok(()) } else { Err(Error::Unfit { topic, flaws: flaws.join("; ") }) }
    }

    /// How many there are, and how many replicas the one with the fewest has.
    fn partitions(&self) -> Result<(u32, usize), Error> {
        let metadata = self.client.fetch_metadata(Some(&self.topic), self.within);
        let metadata = metadata.map_err(|_| unreachable(&self.client, &self.brokers))?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let missing =
            || Error::NoTopic { topic: self.topic.clone(), brokers: self.brokers.clone() };
        let found = found.ok_or_else(missing)?;
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Err(missing());
            }
            Some(error) => return Err(refused("to say how many partitions there are", &error)),
        }
        let replicas = found.partitions().iter().map(|partition| partition.replicas().len());
        let count = u32::try_from(found.partitions().len()).map_err(setup)?;
        Ok((count, replicas.min().unwrap_or(0)))
    }

    fn describe(&self) -> Result<ConfigResource, Error> {
        const WHAT: &str = "to say how the topic is set";
        let topic = ResourceSpecifier::Topic(&self.topic);
        let described = block_on(self.admin.describe_configs([&topic], &self.options()));
        let described = described.map_err(|error| refused(WHAT, &error))?;
        let described = described.into_iter().next().ok_or_else(|| refused(WHAT, &"no answer"))?;
        described.map_err(|error| refused(WHAT, &error))
    }

    fn make(&self, settings: &Settings) -> Result<Migrated, Error> {
        let what = format!(
            "to make the topic {} with {} partitions and replication factor {}",
            self.topic, settings.partitions, settings.replication_factor
        );
        let partitions = i32::try_from(settings.partitions).map_err(setup)?;
        let replication = TopicReplication::Fixed(settings.replication_factor.into());
        let rules = rules(settings);
        let mut topic = NewTopic::new(&self.topic, partitions, replication);
        for rule in &rules {
            topic = topic.set(rule.name, &rule.value);
        }
        let made = block_on(self.admin.create_topics([&topic], &self.options()));
        match made.map_err(|error| refused(&what, &error))?.into_iter().next() {
            Some(Ok(_)) => Ok(Migrated::Made),
            // Someone else was faster; what they made is looked at next.
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Migrated::AlreadyThere),
            Some(Err((_, error))) => Err(refused(&what, &error)),
            None => Err(refused(&what, &"no answer")),
        }
    }

    fn options(&self) -> AdminOptions {
        let within = Some(self.within);
        AdminOptions::new().request_timeout(within).operation_timeout(within)
    }
}

fn unreachable(client: &BaseConsumer<Listening>, brokers: &str) -> Error {
    // What was heard waits in the client, among what it has to log, until it is asked for it.
    let mut news = 0..NEWS_MAX;
    while client.poll(NEWS_WAIT).is_some() && news.next().is_some() {}
    let heard = client.context().last_heard();
    let last_heard = heard.unwrap_or_else(|| "nothing was heard of them".to_owned());
    Error::Unreachable { brokers: brokers.to_owned(), last_heard }
}

fn refused(what: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Refused { what: what.to_owned(), reason: reason.to_string() }
}
