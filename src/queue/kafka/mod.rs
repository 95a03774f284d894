//! The queue of a cluster: a topic of Apache Kafka. A publisher is answered by the delivery report, with all copies made.
//!
//! ```text
//! publish ─▶ publisher ─▶ topic ─▶ reader (own thread) ─▶ reading ─▶ poll
//! ```
//!
//! There is no consumer group: whoever drives the queue says which partitions are read and from where
//! ([`KafkaQueue::read`]), by the offsets that the task database holds. So nothing here is ever lost with a node, and
//! reading the same stretch twice, on one node or two, has no effect.

mod accepted;
mod asking;
mod client;
mod in_turn;
mod lag;
mod letters;
mod looks;
mod producer;
mod publication;
mod publisher;
mod reach;
mod reader;
mod reading;
mod record;
pub mod said;
pub mod topics;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Batch, Polled, PublishError, Published, Queue, Submission};
use crate::clock::DatabaseClock;
use crate::config::{KafkaConfig, QueueConfig};
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::{TaskId, Timestamp};
use crate::store::{DeadLetter, Positions, StoppedPartition};
use accepted::Accepted;
pub use accepted::Unstored;
use asking::Asking;
pub use asking::Layout;
use in_turn::InTurn;
use lag::Ends;
pub use lag::Lag;
pub use letters::Burial;
use publisher::Publisher;
use reach::Reach;
pub(super) use reading::Hold;
use reading::Reading;
pub use reading::Starts;
use topics::Setup;

/// Longest wait for an answer about where the topic ends: the question under way and the next one, and shorter than a
/// caller's patience.
const ANSWER: Duration = Duration::from_millis(4_200);

/// Why the node has no queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Kafka client cannot be made: {0}")]
pub struct KafkaError(String);

/// The submission topic.
pub struct KafkaQueue {
    config: KafkaConfig,
    publisher: Publisher,
    shared: Arc<Shared>,
    ends: Arc<InTurn<Result<Positions, String>>>,
}

/// Between the queue and its reader.
pub(in crate::queue) struct Shared {
    reading: Reading,
    accepted: Arc<Accepted>,
    reach: Reach,
    asking: Asking,
    ends: Arc<Ends>,
    /// How the topic is set up, once that is known.
    setup: OnceLock<Setup>,
}

impl KafkaQueue {
    /// Makes the clients; whether brokers answer is another matter. `topics` are those that tasks may write to.
    ///
    /// # Errors
    /// A setting that the client library refuses, or no thread to be had.
    pub fn new(
        config: &KafkaConfig,
        queue: &QueueConfig,
        clock: Arc<DatabaseClock>,
        topics: KafkaTopics,
    ) -> Result<Self, KafkaError> {
        let accepted = Arc::new(Accepted::default());
        let publisher = Publisher::new(config, queue.bytes_max, Arc::clone(&accepted), clock.clock().clone())?;
        let shared = Arc::new(Shared {
            reading: Reading::new(queue.bytes_max),
            accepted,
            reach: Reach::new(clock.clock().clone()),
            asking: Asking::new(config, clock.clock().clone()).map_err(KafkaError)?,
            ends: Arc::default(),
            setup: OnceLock::new(),
        });
        reader::start(config.clone(), Arc::clone(&shared), clock, topics)?;
        Ok(Self { config: config.clone(), publisher, shared, ends: Arc::default() })
    }

    /// The topic as it was last seen; `None` before brokers have answered.
    pub fn layout(&self) -> Option<Layout> {
        self.shared.reach.layout()
    }

    /// Submissions can be taken. Otherwise why not.
    ///
    /// # Errors
    /// The reason, as a phrase.
    pub fn ready(&self) -> Result<(), &'static str> {
        self.shared.reach.ready()
    }

    /// This node can read the topic: the brokers answer, and no partition is left to others for a while.
    pub fn can_read(&self) -> bool {
        self.shared.reach.is_fresh() && !self.is_aside()
    }

    /// A partition cannot be read here: as long as others read, this node is to leave the topic to them.
    pub fn is_aside(&self) -> bool {
        self.shared.reach.is_aside()
    }

    /// The id of the submission topic if it does not exist, and for how long that has been so.
    pub fn missing(&self) -> Option<(String, Duration)> {
        self.shared.reach.missing()
    }

    /// Nothing was ever ingested from this topic: if it is missing, it may be made.
    pub fn let_make(&self, topic_id: &str) {
        self.shared.reach.let_make(topic_id);
    }

    /// Partitions whose next record the brokers do not have, as long as that is not noted in the database.
    pub fn lost(&self) -> Vec<StoppedPartition> {
        self.shared.reach.lost()
    }

    /// It is noted there, or is not true any more.
    pub fn noted(&self, lost: &StoppedPartition) {
        self.shared.reach.noted(lost);
    }

    /// So many partitions of this node's share are stopped.
    pub fn set_stopped(&self, stopped: usize) {
        self.shared.reach.set_stopped(stopped);
    }

    /// See [`KafkaQueue::set_stopped`].
    pub fn stopped(&self) -> usize {
        self.shared.reach.stopped()
    }

    /// How far this node's reading is behind at `now`, by the database's clock.
    pub fn lag(&self, now: Timestamp) -> Lag {
        self.shared.ends.lag(&self.shared.reading.next_offsets(), self.shared.reading.oldest(), now)
    }

    /// How long the topic keeps records; `None`: for ever, or nobody knows.
    pub fn retention(&self) -> Option<Duration> {
        self.shared.setup.get()?.retention
    }

    /// From now on exactly these partitions are read, each from where it is said.
    pub fn read(&self, starts: Starts) {
        self.shared.reading.begin(starts);
    }

    /// Exactly these partitions are read, wherever they stand.
    pub fn reads(&self, starts: &Starts) -> bool {
        self.shared.reading.reads(starts)
    }

    /// What is read, with each partition's next offset; without those of which a batch is being stored now.
    pub fn positions(&self) -> Option<Starts> {
        self.shared.reading.positions()
    }

    /// The partitions were ingested up to here, by whomever.
    pub fn ingested(&self, offsets: &[(i32, i64)]) {
        self.shared.accepted.forget(offsets);
    }

    /// How it stands if it was accepted here and is perhaps not stored yet.
    pub fn remembered(&self, id: TaskId) -> Option<Unstored> {
        self.shared.accepted.standing(id)
    }

    /// It was called off before it was stored.
    pub fn cancelled(&self, id: TaskId) {
        self.shared.accepted.cancel(id);
    }

    /// Where the topic ends now. One question at a time, however many want to know.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub fn ends(&self) -> BoxFuture<'static, Result<Positions, String>> {
        if !self.shared.reach.is_fresh() {
            return std::future::ready(Err("the brokers do not answer".to_owned())).boxed();
        }
        let shared = Arc::clone(&self.shared);
        let told = self.ends.ask(move || shared.asking.ends());
        async move {
            match tokio::time::timeout(ANSWER, told).await {
                Ok(Ok(ends)) => ends,
                Ok(Err(_)) => Err("the question has failed; the log says more".to_owned()),
                Err(_) => Err("the brokers did not answer in time".to_owned()),
            }
        }
        .boxed()
    }

    /// Puts dead letters on their topic; resolves with the end of each, in their order.
    ///
    /// # Errors
    /// Nothing is known of any.
    pub async fn publish_dead(&self, letters: &[DeadLetter]) -> Result<Vec<Burial>, PublishError> {
        self.publisher.publish_dead(&self.config.dead_letter_topic(), letters).await
    }
}

impl Queue for KafkaQueue {
    fn publish(&self, batch: Vec<Submission>) -> BoxFuture<'_, Result<Published, PublishError>> {
        if batch.is_empty() {
            return std::future::ready(Ok(Published::Queued)).boxed();
        }
        self.publisher.publish(&self.config.submission_topic, &batch)
    }

    fn poll(&self, limit: usize) -> BoxFuture<'_, Option<Polled>> {
        async move {
            loop {
                let arrived = self.shared.reading.arrived();
                if let Some((stretch, hold)) = self.shared.reading.take(limit) {
                    return Some(Polled {
                        batch: Batch::Stretch(stretch),
                        acknowledge: super::Acknowledge::Topic(hold),
                    });
                }
                if self.shared.reading.is_closed() {
                    return None;
                }
                arrived.await;
            }
        }
        .boxed()
    }

    fn close(&self) {
        self.publisher.close();
        self.shared.reading.close();
    }

    fn depth(&self) -> usize {
        self.shared.reading.depth()
    }
}

impl Drop for KafkaQueue {
    fn drop(&mut self) {
        self.shared.reading.close();
    }
}
