//! Questions about the submission topic: what it looks like, and where its partitions begin and end.
//!
//! They have a client of their own that sees records of open transactions too: what was answered `202` lies before the end
//! that it is told, whatever transaction of another service is open in between. (The client that reads must not: what was
//! aborted is no submission.)

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::client;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::domain::time::Mono;
use crate::store::Positions;

/// Longest wait for the answer to one question, all its parts together: two of them are still below a caller's patience.
const ANSWER: Duration = Duration::from_secs(2);
/// Longest wait for one broker to say where its partitions begin and end.
const BOUNDS: Duration = Duration::from_secs(1);
/// The client library gives the cluster's id as a copy that nobody frees: it is not asked for with every look.
const SAME_CLUSTER: Duration = Duration::from_mins(1);

/// A topic as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What its offsets are stored under: the cluster's own id and the topic's name, so that another cluster under the same
    /// address is another topic. One that was deleted and made again is not told from the one before by this (the client
    /// library does not give the topic's own id): that is why a partition is stopped for good when its offset is out of
    /// bounds, and why a topic is never made that something was ingested from.
    pub topic_id: String,
    /// Its partitions are 0 to this, without it.
    pub partitions: i32,
}

/// The topic, when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is there.
    There(Layout),
    /// It does not exist. What its offsets would be stored under.
    Missing(String),
}

/// First and next offset of a partition; or why they are not known.
pub type Bounds = Result<(i64, i64), Unknown>;

/// A partition's bounds are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// None of its brokers leads it: nobody can read it.
    #[error("no broker leads it")]
    NoLeader,
    /// It was not told: perhaps others are.
    #[error("{0}")]
    NoAnswer(String),
}

/// See the module.
pub struct Asking {
    client: BaseConsumer<Quiet>,
    topic: String,
    clock: Clock,
    /// Since when it is known, and the id.
    cluster: Mutex<Option<(Mono, String)>>,
}

/// Of what the brokers do wrong the readers and publishers tell.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: ClientError, reason: &str) {
        log::debug!("a question about the topic: {error}: {reason}");
    }
}

impl ConsumerContext for Quiet {}

impl Asking {
    /// Of the brokers of the settings.
    ///
    /// # Errors
    /// A setting that the client library refuses.
    pub fn new(config: &KafkaConfig, clock: Clock) -> Result<Self, String> {
        let mut settings = client(config);
        settings.set("isolation.level", "read_uncommitted");
        let client = BaseConsumer::from_config_and_context(&settings, Quiet).map_err(|cause| cause.to_string())?;
        Ok(Self { client, topic: config.submission_topic.clone(), clock, cluster: Mutex::default() })
    }

    /// Takes in what the client has to say of itself: it is kept until somebody does.
    pub fn drain(&self) {
        while self.client.poll(Duration::ZERO).is_some() {}
    }

    /// Looks at the topic.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse.
    pub fn look(&self) -> Result<Look, String> {
        self.look_until(self.clock.mono().plus(ANSWER)).inspect_err(|_| *self.cluster() = None)
    }

    fn look_until(&self, until: Mono) -> Result<Look, String> {
        let Some(leaders) = self.leaders(&self.topic, until)? else {
            // Perhaps these are other brokers, who never had it.
            *self.cluster() = None;
            return self.topic_id(until).map(Look::Missing);
        };
        let partitions = i32::try_from(leaders.len()).map_err(|cause| cause.to_string())?;
        Ok(Look::There(Layout { topic_id: self.topic_id(until)?, partitions }))
    }

    /// Another topic exists.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse.
    pub fn exists(&self, topic: &str) -> Result<bool, String> {
        Ok(self.leaders(topic, self.clock.mono().plus(ANSWER))?.is_some())
    }

    /// What each of these partitions has. One that is not known hides no other.
    pub fn bounds(&self, partitions: &[i32]) -> BTreeMap<i32, Bounds> {
        let all = |why: &str| partitions.iter().map(|id| (*id, Err(Unknown::NoAnswer(why.to_owned())))).collect();
        let leaders = match self.leaders(&self.topic, self.clock.mono().plus(ANSWER)) {
            Ok(Some(leaders)) => leaders,
            Ok(None) => return all("there is no such topic"),
            Err(cause) => return all(&cause),
        };
        let mut bounds = BTreeMap::new();
        let mut of_leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for id in partitions {
            match leaders.get(id) {
                Some(leader) if *leader >= 0 => of_leaders.entry(*leader).or_default().push(*id),
                Some(_) => drop(bounds.insert(*id, Err(Unknown::NoLeader))),
                None => drop(bounds.insert(*id, Err(Unknown::NoAnswer("there is no such partition".to_owned())))),
            }
        }
        for led in of_leaders.into_values() {
            let until = self.clock.mono().plus(BOUNDS);
            let answer = self.offsets(&led, Offset::Beginning, until).and_then(|first| {
                let ends = self.offsets(&led, Offset::End, until)?;
                Ok(first.into_iter().filter_map(|(id, first)| Some((id, (first, *ends.get(&id)?)))).collect())
            });
            let answer: Result<BTreeMap<i32, (i64, i64)>, String> = answer;
            bounds.extend(led.into_iter().map(|id| {
                let found = answer.as_ref().map_err(|cause| Unknown::NoAnswer(cause.clone())).and_then(|found| {
                    found.get(&id).copied().ok_or_else(|| Unknown::NoAnswer("the brokers do not say".to_owned()))
                });
                (id, found)
            }));
        }
        bounds
    }

    /// Where each partition ends. Blocks, within one time for all of it.
    ///
    /// # Errors
    /// The brokers do not answer, or there is no such topic.
    pub fn ends(&self) -> Result<Positions, String> {
        let until = self.clock.mono().plus(ANSWER);
        let Look::There(layout) = self.look_until(until)? else {
            return Err(format!("there is no topic {}", self.topic));
        };
        let partitions: Vec<i32> = (0..layout.partitions).collect();
        let ends = self.offsets(&partitions, Offset::End, until)?;
        Ok(Positions { topic_id: layout.topic_id, ends: ends.into_iter().collect() })
    }

    /// The partitions of a topic with their leaders, below 0 where there is none. `None`: it does not exist.
    fn leaders(&self, topic: &str, until: Mono) -> Result<Option<BTreeMap<i32, i32>>, String> {
        let metadata = self.client.fetch_metadata(Some(topic), self.left(until)).map_err(|cause| cause.to_string())?;
        let Some(found) = metadata.topics().iter().find(|one| one.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(None),
            Some(error) => return Err(format!("topic {topic}: {error}")),
        }
        let leaders: BTreeMap<i32, i32> = found.partitions().iter().map(|one| (one.id(), one.leader())).collect();
        Ok((!leaders.is_empty()).then_some(leaders))
    }

    /// One question to each leader, all at once.
    fn offsets(&self, partitions: &[i32], which: Offset, until: Mono) -> Result<BTreeMap<i32, i64>, String> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            list.add_partition_offset(&self.topic, *id, which).map_err(|cause| cause.to_string())?;
        }
        let answer = self.client.offsets_for_times(list, self.left(until)).map_err(|cause| cause.to_string())?;
        let one = |(id, error, offset): (i32, Result<(), ClientError>, Offset)| match (error, offset) {
            (Ok(()), Offset::Offset(offset)) => Ok((id, offset)),
            (Err(cause), _) => Err(format!("partition {id}: {cause}")),
            (Ok(()), other) => Err(format!("partition {id}: the brokers say {other:?}")),
        };
        answer.elements().iter().map(|found| one((found.partition(), found.error(), found.offset()))).collect()
    }

    fn topic_id(&self, until: Mono) -> Result<String, String> {
        let now = self.clock.mono();
        let known = self.cluster().clone().filter(|(since, _)| now.since(*since) < SAME_CLUSTER);
        let id = if let Some((_, id)) = known {
            id
        } else {
            let asked = self.client.client().fetch_cluster_id(self.left(until));
            let id = asked.ok_or("the brokers do not say which cluster they are")?;
            *self.cluster() = Some((now, id.clone()));
            id
        };
        Ok(format!("{id}/{}", self.topic))
    }

    fn left(&self, until: Mono) -> Duration {
        until.since(self.clock.mono())
    }

    fn cluster(&self) -> MutexGuard<'_, Option<(Mono, String)>> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
