//! Puts submissions on their topic: idempotent, in batches, answered by the delivery reports.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::client::Client;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::KafkaError;
use super::accepted::Accepted;
use super::client::{RECORD_BYTES_MAX, client};
use super::record::RECEIVED_AT;
use crate::config::KafkaConfig;
use crate::domain::TaskId;
use crate::queue::{PublishError, Submission};
use crate::store::DeadLetter;

/// Longest time until a record is delivered; then its publisher is told to repeat. Below the 5 s within which a caller is
/// promised an answer.
const DELIVERY: Duration = Duration::from_secs(4);
/// The same with what the client library may need to notice.
const PATIENCE: Duration = Duration::from_millis(4_700);
/// Most of a dead letter that is put on its topic: what brokers take by default, less headers.
const LETTER_BYTES_MAX: usize = 1_000_000;
/// Counted for each record besides its document.
const RECORD_BYTES: usize = 512;

/// The producer.
pub struct Publisher {
    producer: ThreadedProducer<Reports>,
    accepted: Arc<Accepted>,
    room: Arc<Semaphore>,
    closed: AtomicBool,
}

/// Takes the delivery reports.
pub struct Reports(Arc<Accepted>);

/// One record on its way.
pub struct Sent {
    publication: Arc<Publication>,
    id: Option<TaskId>,
}

/// Some records whose publisher waits.
struct Publication {
    left: AtomicUsize,
    failed: Mutex<Option<String>>,
    done: Mutex<Option<oneshot::Sender<()>>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Publication {
    fn new(records: usize, room: Option<OwnedSemaphorePermit>) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (done, ended) = oneshot::channel();
        // One more than there are: the sender's own, so that it cannot end before all are sent.
        let left = AtomicUsize::new(records.saturating_add(1));
        (Arc::new(Self { left, failed: Mutex::default(), done: Mutex::new(Some(done)), _room: room }), ended)
    }

    fn fail(&self, reason: String) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn one_less(&self, records: usize) {
        if self.left.fetch_sub(records, Ordering::SeqCst) == records
            && let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // Who has given up waiting needs no answer.
            let _gone = done.send(());
        }
    }

    fn end(&self) -> Result<(), PublishError> {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(reason) => Err(PublishError::Unacknowledged(reason)),
        }
    }
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        match (result, sent.id) {
            (Ok(record), Some(id)) => self.0.remember(id, record.partition(), record.offset()),
            (Ok(_), None) => {}
            (Err((cause, _)), _) => sent.publication.fail(cause.to_string()),
        }
        sent.publication.one_less(1);
    }
}

/// What a producer of submissions must be.
fn producer(config: &KafkaConfig) -> ClientConfig {
    let mut producer = client(config);
    producer
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", DELIVERY.as_millis().to_string())
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("queue.buffering.max.ms", "1")
        // How much may wait is bounded by the settings of the queue.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151")
        .set("compression.type", "lz4")
        // As Java's producers do it: whoever writes an id, it is always in the same partition, and so in one order.
        .set("partitioner", "murmur2_random");
    producer
}

impl Publisher {
    /// At most `bytes_max` on their way.
    pub fn new(config: &KafkaConfig, bytes_max: usize, accepted: Arc<Accepted>) -> Result<Self, KafkaError> {
        let producer = ThreadedProducer::from_config_and_context(&producer(config), Reports(Arc::clone(&accepted)))
            .map_err(|cause| KafkaError(cause.to_string()))?;
        let room = Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS)));
        Ok(Self { producer, accepted, room, closed: AtomicBool::new(false) })
    }

    /// Its client, for questions.
    pub fn client(&self) -> &Client<Reports> {
        self.producer.client()
    }

    /// Nothing more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Puts submissions on the topic. Resolves when all are there with all their copies, or some perhaps not.
    pub fn publish(&self, topic: &str, batch: &[Submission]) -> BoxFuture<'static, Result<(), PublishError>> {
        let room = match self.admit(batch) {
            Ok(room) => room,
            Err(refused) => return std::future::ready(Err(refused)).boxed(),
        };
        let (publication, ended) = Publication::new(batch.len(), Some(room));
        for submission in batch {
            let id = submission.task.id;
            let key = id.to_string();
            let at = submission.received_at.micros().to_string();
            let headers = OwnedHeaders::new().insert(Header { key: RECEIVED_AT, value: Some(&at) });
            let sent = Box::new(Sent { publication: Arc::clone(&publication), id: Some(id) });
            let record =
                BaseRecord::with_opaque_to(topic, sent).key(key.as_str()).payload(submission.document.as_ref());
            self.send(record.headers(headers));
        }
        wait(publication, ended)
    }

    /// Puts dead letters on their topic, the reason and where they came from in headers.
    pub fn publish_dead(&self, topic: &str, letters: &[DeadLetter]) -> BoxFuture<'static, Result<(), PublishError>> {
        let (publication, ended) = Publication::new(letters.len(), None);
        for letter in letters {
            let headers = OwnedHeaders::new()
                .insert(Header { key: "reason", value: Some(&letter.reason) })
                .insert(Header { key: "origin", value: Some(&letter.origin) });
            let sent = Box::new(Sent { publication: Arc::clone(&publication), id: None });
            // What is too large for its topic is there by its beginning; the row has all of it.
            let whole = letter.record.len() <= LETTER_BYTES_MAX;
            let value = letter.record.get(..LETTER_BYTES_MAX).unwrap_or(&letter.record);
            let headers =
                if whole { headers } else { headers.insert(Header { key: "truncated", value: Some("true") }) };
            let record: BaseRecord<'_, str, [u8], _> = BaseRecord::with_opaque_to(topic, sent);
            self.send(record.key(&letter.origin).payload(value).headers(headers));
        }
        wait(publication, ended)
    }

    /// Room for a batch, or why there is none.
    fn admit(&self, batch: &[Submission]) -> Result<OwnedSemaphorePermit, PublishError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(PublishError::Closed);
        }
        if !self.accepted.has_room(batch.len()) {
            return Err(PublishError::Full);
        }
        let bytes: usize = batch.iter().map(|submission| submission.document.len().saturating_add(RECORD_BYTES)).sum();
        let room = u32::try_from(bytes).map_err(|_| PublishError::Full)?;
        Arc::clone(&self.room).try_acquire_many_owned(room).map_err(|cause| match cause {
            TryAcquireError::NoPermits => PublishError::Full,
            TryAcquireError::Closed => PublishError::Closed,
        })
    }

    fn send(&self, record: BaseRecord<'_, str, [u8], Box<Sent>>) {
        if let Err((cause, record)) = self.producer.send(record) {
            let sent = record.delivery_opaque;
            sent.publication.fail(cause.to_string());
            sent.publication.one_less(1);
        }
    }
}

fn wait(publication: Arc<Publication>, ended: oneshot::Receiver<()>) -> BoxFuture<'static, Result<(), PublishError>> {
    publication.one_less(1);
    async move {
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(_) => publication.end(),
            Err(_) => Err(PublishError::Unacknowledged("the brokers did not answer in time".to_owned())),
        }
    }
    .boxed()
}
