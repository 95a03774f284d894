//! Puts submissions on their topic: idempotent, in batches, answered by the delivery reports.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::KafkaError;
use super::accepted::Accepted;
use super::producer::{PATIENCE, Producer};
use super::record::RECEIVED_AT;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::domain::TaskId;
use crate::queue::{PublishError, Published, Submission};

/// Counted for each record besides its document.
const RECORD_BYTES: usize = 512;

/// See the module.
pub struct Publisher {
    producer: Arc<Producer>,
    accepted: Arc<Accepted>,
    room: Arc<Semaphore>,
    closed: AtomicBool,
}

/// One record on its way.
pub struct Sent {
    publication: Arc<Publication>,
    /// Which of its publication's it is.
    place: usize,
    id: Option<TaskId>,
}

impl Sent {
    /// A part of a publication; with an id, it is remembered when it is there.
    pub fn new(publication: &Arc<Publication>, place: usize, id: Option<TaskId>) -> Self {
        Self { publication: Arc::clone(publication), place, id }
    }

    /// Whose it is.
    pub fn id(&self) -> Option<TaskId> {
        self.id
    }

    /// It is on its topic, with all its copies.
    pub fn arrived(self) {
        self.publication.one_less();
    }

    /// It is perhaps not there.
    pub fn failed(self, cause: ClientError) {
        self.publication.fail(self.place, cause);
        self.publication.one_less();
    }
}

/// Some records whose publisher waits.
pub struct Publication {
    left: AtomicUsize,
    failed: Mutex<Failures>,
    done: Mutex<Option<oneshot::Sender<()>>>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Which records of a publication are not known to be on their topic, by their places.
pub type Failures = BTreeMap<usize, ClientError>;

impl Publication {
    /// Of so many records. What is returned with it resolves when the last of them has ended.
    pub fn new(records: usize, room: Option<OwnedSemaphorePermit>) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (done, ended) = oneshot::channel();
        // One more than there are: the sender's own, so that it cannot end before all are sent.
        let left = AtomicUsize::new(records.saturating_add(1));
        (Arc::new(Self { left, failed: Mutex::default(), done: Mutex::new(Some(done)), _room: room }), ended)
    }

    fn fail(&self, place: usize, cause: ClientError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(place, cause);
    }

    fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // Who has given up waiting needs no answer.
            let _gone = done.send(());
        }
    }

    /// All are sent: resolves when each has ended, with those that have failed.
    ///
    /// # Errors
    /// The client library has not told in time: nothing is known of any.
    pub async fn ended(self: Arc<Self>, ended: oneshot::Receiver<()>) -> Result<Failures, PublishError> {
        self.one_less();
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(_) => Ok(std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner))),
            Err(_) => Err(PublishError::Unacknowledged("the brokers did not answer in time".to_owned())),
        }
    }
}

/// The brokers (or the client library before them) take no such record, however often it is sent.
pub fn is_too_large(cause: &ClientError) -> bool {
    cause.rdkafka_error_code() == Some(Code::MessageSizeTooLarge)
}

fn refusal(cause: &ClientError) -> PublishError {
    if is_too_large(cause) { PublishError::TooLarge } else { PublishError::Unacknowledged(cause.to_string()) }
}

/// What became of each of so many.
fn published(records: usize, failed: &Failures) -> Result<Published, PublishError> {
    if failed.is_empty() {
        return Ok(Published::Queued);
    }
    let each: Vec<_> =
        (0..records).map(|place| failed.get(&place).map_or(Ok(()), |cause| Err(refusal(cause)))).collect();
    // All for one reason: it is the whole batch's.
    match each.first() {
        Some(Err(first)) if each.iter().all(|one| one.as_ref() == Err(first)) => Err(first.clone()),
        _ => Ok(Published::Each(each)),
    }
}

impl Publisher {
    /// At most `bytes_max` on their way.
    pub fn new(
        config: &KafkaConfig,
        bytes_max: usize,
        accepted: Arc<Accepted>,
        clock: Clock,
    ) -> Result<Self, KafkaError> {
        let producer = Producer::new(config, Arc::clone(&accepted), clock)?;
        let room = Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS)));
        Ok(Self { producer, accepted, room, closed: AtomicBool::new(false) })
    }

    /// The producer.
    pub fn producer(&self) -> &Arc<Producer> {
        &self.producer
    }

    /// Nothing more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Puts submissions on the topic. Resolves when it is known of each that it is there with all its copies, or perhaps
    /// not.
    pub fn publish(&self, topic: &str, batch: &[Submission]) -> BoxFuture<'static, Result<Published, PublishError>> {
        let room = match self.admit(batch) {
            Ok(room) => room,
            Err(refused) => return std::future::ready(Err(refused)).boxed(),
        };
        let (publication, ended) = Publication::new(batch.len(), Some(room));
        for (place, submission) in batch.iter().enumerate() {
            let id = submission.task.id;
            let key = id.to_string();
            let at = submission.received_at.micros().to_string();
            let headers = OwnedHeaders::new().insert(Header { key: RECEIVED_AT, value: Some(&at) });
            let sent = Box::new(Sent::new(&publication, place, Some(id)));
            let record =
                BaseRecord::with_opaque_to(topic, sent).key(key.as_str()).payload(submission.document.as_ref());
            self.producer.send(record.headers(headers));
        }
        let records = batch.len();
        async move { published(records, &publication.ended(ended).await?) }.boxed()
    }

    /// Room for a batch, or why there is none.
    fn admit(&self, batch: &[Submission]) -> Result<OwnedSemaphorePermit, PublishError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(PublishError::Closed);
        }
        if !self.accepted.has_room(batch.len()) {
            return Err(PublishError::Full);
        }
        self.producer.stands()?;
        let bytes: usize = batch.iter().map(|submission| submission.document.len().saturating_add(RECORD_BYTES)).sum();
        let room = u32::try_from(bytes).map_err(|_| PublishError::Full)?;
        Arc::clone(&self.room).try_acquire_many_owned(room).map_err(|cause| match cause {
            TryAcquireError::NoPermits => PublishError::Full,
            TryAcquireError::Closed => PublishError::Closed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(of: &[(usize, Code)]) -> Failures {
        of.iter().map(|(place, code)| (*place, ClientError::MessageProduction(*code))).collect()
    }

    #[test]
    fn each_submission_is_told_its_own_end() {
        assert_eq!(published(2, &failures(&[])), Ok(Published::Queued));
        let Ok(Published::Each(each)) = published(3, &failures(&[(1, Code::MessageSizeTooLarge)])) else {
            panic!("not each its own")
        };
        assert_eq!(each, [Ok(()), Err(PublishError::TooLarge), Ok(())]);
        let lost = Code::MessageTimedOut;
        let Ok(Published::Each(each)) = published(2, &failures(&[(0, Code::MessageSizeTooLarge), (1, lost)])) else {
            panic!("not each its own")
        };
        assert!(matches!(each[..], [Err(PublishError::TooLarge), Err(PublishError::Unacknowledged(_))]), "{each:?}");
    }

    #[test]
    fn one_reason_for_all_is_the_batchs() {
        let lost = Code::MessageTimedOut;
        assert!(matches!(published(2, &failures(&[(0, lost), (1, lost)])), Err(PublishError::Unacknowledged(_))));
        assert_eq!(published(1, &failures(&[(0, Code::MessageSizeTooLarge)])), Err(PublishError::TooLarge));
    }
}
