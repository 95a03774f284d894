//! The way of a submission from the API to the ingest: published durably, polled in batches, acknowledged.
//!
//! Embedded, it is a bounded channel whose publisher is answered once its batch is committed; in a cluster it is a
//! Kafka topic whose publisher is answered by the delivery report.

pub mod embedded;

use futures_util::future::BoxFuture;

use crate::domain::NewTask;
use crate::store::Ingested;

/// One checked submission and its size as it came, in bytes (which is what the queue's bound counts).
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The task.
    pub task: NewTask,
    /// Size of its document.
    pub bytes: usize,
}

/// How a publication ended, one per submission in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Committed to the task database; what became of each (`201`).
    Committed(Vec<Ingested>),
    /// Safe in the queue, not stored yet (`202`).
    Queued,
}

/// Why a publication was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It is full: nothing was taken, try again.
    #[error("the submission queue is full")]
    Full,
    /// The node is stopping or its ingest is down: nothing is known to be stored, try again with the same id.
    #[error("the submission queue is closed")]
    Closed,
    /// It was taken but not acknowledged: it may be stored or not, try again with the same id.
    #[error("the submission was not acknowledged: {0}")]
    Unacknowledged(String),
}

/// The submissions' way to the ingest.
pub trait Queue: Send + Sync + 'static {
    /// Hands over a batch; resolves when it is durable.
    fn publish(&self, batch: Vec<Submission>) -> BoxFuture<'_, Result<Published, PublishError>>;
    /// The next batch of at most `limit` submissions; resolves when there is something. Dropping the future loses
    /// nothing. `None`: the queue is closed and empty.
    fn poll(&self, limit: usize) -> BoxFuture<'_, Option<Polled>>;
    /// No more publications; what is in it can still be polled.
    fn close(&self);
    /// Submissions that wait.
    fn depth(&self) -> usize;
}

/// A polled batch. It must be acknowledged with what became of it; dropped, its publishers are told that it was not.
#[derive(Debug)]
pub struct Polled {
    /// The submissions, in their order.
    pub tasks: Vec<NewTask>,
    /// How their publishers are answered.
    pub(crate) acknowledge: embedded::Acknowledgement,
}

impl Polled {
    /// The batch is committed; `outcomes` has one entry per task.
    pub fn committed(self, outcomes: &[Ingested]) {
        self.acknowledge.committed(outcomes);
    }

    /// The batch could not be committed, for this reason.
    pub fn failed(self, reason: &str) {
        self.acknowledge.failed(reason);
    }
}
