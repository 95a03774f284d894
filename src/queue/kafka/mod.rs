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
mod client;
mod lag;
mod letters;
mod producer;
mod publisher;
mod reader;
mod reading;
mod record;
pub mod topics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::producer::Producer as _;

use super::{Batch, Polled, PublishError, Published, Queue, Submission};
use crate::clock::DatabaseClock;
use crate::config::{KafkaConfig, QueueConfig};
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::{TaskId, Timestamp};
use crate::store::{DeadLetter, Positions};
use accepted::Accepted;
pub use accepted::Unstored;
use lag::Ends;
pub use lag::Lag;
pub use letters::Burial;
use publisher::Publisher;
pub(super) use reading::Hold;
use reading::Reading;
pub use reading::Starts;
use topics::{Layout, Setup};

/// Longest wait for an answer about where the topic ends: shorter than a caller's patience.
const ANSWER: Duration = Duration::from_secs(4);

/// Why the node has no queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Kafka client cannot be made: {0}")]
pub struct KafkaError(String);

/// The submission topic.
pub struct KafkaQueue {
    config: KafkaConfig,
    publisher: Publisher,
    shared: Arc<Shared>,
}

/// Between the queue and its reader.
pub(in crate::queue) struct Shared {
    reading: Reading,
    accepted: Arc<Accepted>,
    layout: Mutex<Option<Layout>>,
    in_reach: AtomicBool,
    ends: Arc<Ends>,
    /// How the topic is set up, once that is known.
    setup: OnceLock<Setup>,
}

impl Shared {
    fn layout(&self) -> Option<Layout> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_layout(&self, layout: Layout) {
        *self.layout.lock().unwrap_or_else(PoisonError::into_inner) = Some(layout);
    }
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
            layout: Mutex::default(),
            in_reach: AtomicBool::new(false),
            ends: Arc::default(),
            setup: OnceLock::new(),
        });
        reader::start(config.clone(), Arc::clone(&shared), clock, topics)?;
        Ok(Self { config: config.clone(), publisher, shared })
    }

    /// The topic as it was last seen; `None` before brokers have answered.
    pub fn layout(&self) -> Option<Layout> {
        self.shared.layout()
    }

    /// The brokers have answered the last question about the topic.
    pub fn is_in_reach(&self) -> bool {
        self.shared.in_reach.load(Ordering::SeqCst)
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

    /// Where the topic ends now. Blocks.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub fn ends(&self) -> Result<Positions, String> {
        let producer = self.publisher.producer().asked();
        topics::ends(producer.client(), &self.config.submission_topic, ANSWER)
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
