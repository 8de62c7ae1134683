//! Who reads which partition, when a service has several instances. Kafka's group only spreads the
//! partitions: nothing is fetched by its members and nothing committed, readers are assigned by
//! hand at the positions that the books keep. So it may be late or wrong: an instance that is cut
//! off keeps what it had, and two that read the same partition meet in the books.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::watch;

use crate::client::{self, Access, EndsElsewhere, NoTasks};

/// How often a member shows that its process isn't stuck. The client counts it as stuck after ten
/// times this; see [`Access::member`].
const SHOW_UP_EVERY: Duration = Duration::from_secs(1);

/// The partitions that the group has given to this member; `None` until it has given some or none
/// for the first time.
pub type Assignment = Option<BTreeSet<u32>>;

/// A member of a group. Dropping it leaves the group at once, so that the others take over.
pub struct Membership {
    group: Group,
    assignment: watch::Receiver<Assignment>,
}

enum Group {
    /// All partitions, for ever. The embedded broker is reached from this process alone, so there
    /// is nobody to share with. Its own groups won't do: they wait for 5 s after each member that
    /// comes or goes, and a service that is started again in one process would stand still so long.
    Alone(watch::Sender<Assignment>),
    Kafka(EndsElsewhere<StreamConsumer<Member, NoTasks>>),
}

impl Membership {
    pub(crate) fn alone(partitions: u32) -> Self {
        let (told, assignment) = watch::channel(Some((0..partitions).collect()));
        Self { group: Group::Alone(told), assignment }
    }

    pub(crate) fn join(access: &Access, group: &str) -> KafkaResult<Self> {
        let (told, assignment) = watch::channel(None);
        let member: StreamConsumer<_, _> =
            StreamConsumer::from_config_and_context(&access.member(group), Member { told })?;
        member.subscribe(&[access.topic()])?;
        Ok(Self { group: Group::Kafka(EndsElsewhere::new(member)), assignment })
    }

    /// What the group has assigned, as it changes while [`Membership::run`] runs. It never shrinks
    /// to nothing because the group can't be reached.
    pub fn assignment(&self) -> watch::Receiver<Assignment> {
        self.assignment.clone()
    }

    /// Takes part in the group until it is dropped. A process in which this isn't polled for 10 s
    /// is thrown out; one that is gone altogether, after 6 s.
    pub async fn run(self) -> Infallible {
        let member = match self.group {
            Group::Alone(told) => {
                let _told = told;
                return std::future::pending().await;
            }
            Group::Kafka(member) => member,
        };
        let mut last_error = None;
        loop {
            match tokio::time::timeout(SHOW_UP_EVERY, member.recv()).await {
                // It polled. Nothing is fetched, so there is no record.
                Err(_) | Ok(Ok(_)) => last_error = None,
                // The client tries again by itself. In an outage it queues one such piece of news
                // for each try, and the group's word behind them: they are passed over at once.
                Ok(Err(error)) => {
                    let error = Some(error.to_string());
                    if error != last_error {
                        tracing::warn!(error, "the group that spreads partitions has trouble");
                        last_error = error;
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let assignment = self.assignment.borrow();
        f.debug_struct("Membership").field("assignment", &*assignment).finish_non_exhaustive()
    }
}

/// Takes what the group decides, in the poll of [`Membership::run`].
struct Member {
    told: watch::Sender<Assignment>,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::report(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(
        &self,
        member: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let elements = partitions.elements();
            let given = elements.iter().filter_map(|one| u32::try_from(one.partition()).ok());
            self.told.send_replace(Some(given.collect()));
            // The client has to be told that the decision is taken; with an empty list, since it
            // shall fetch nothing.
            member.assign(&TopicPartitionList::new())
        } else {
            // Begins every change, and follows when the group can't be reached. Whoever else gets
            // the partitions doesn't wait for us, so we don't stop before we are told what is ours.
            member.unassign()
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the group that spreads partitions has trouble");
        }
    }
}
