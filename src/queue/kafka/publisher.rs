//! Puts submissions on their topic: idempotent, in batches, answered by the delivery reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::KafkaError;
use super::accepted::Accepted;
use super::producer::Producer;
use super::publication::{Failures, Publication, Sent};
use super::record::RECEIVED_AT;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::domain::TRACEPARENT;
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
            let mut headers = OwnedHeaders::new().insert(Header { key: RECEIVED_AT, value: Some(&at) });
            if let Some(parent) = submission.trace_parent {
                headers = headers.insert(Header { key: TRACEPARENT, value: Some(&parent.to_string()) });
            }
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
