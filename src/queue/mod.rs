//! The way of a submission from the API to the ingest: published durably, polled in batches, acknowledged.
//!
//! Embedded, it is a bounded channel whose publisher is answered once its batch is committed; in a cluster it is a
//! Kafka topic whose publisher is answered by the delivery report.

pub mod embedded;
pub mod kafka;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::domain::{NewTask, Timestamp, TraceParent};
use crate::store::{Ingested, Stretch};

/// One checked submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The task.
    pub task: NewTask,
    /// Its document as it came. (Its size is what the queue's bound counts.)
    pub document: Bytes,
    /// When it came, by the database's clock: what its `delay_ms` counts from.
    pub received_at: Timestamp,
    /// Its caller gave its id, or a key that became it: there may be a task of that id already.
    pub named: bool,
    /// The trace that its caller is in, which the target is told of.
    pub trace_parent: Option<TraceParent>,
}

impl Submission {
    /// In this trace.
    #[must_use]
    pub fn traced(self, parent: Option<TraceParent>) -> Self {
        Self { task: self.task.traced(parent), trace_parent: parent, ..self }
    }
}

/// How a publication ended, one per submission in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Committed to the task database; what became of each (`201`).
    Committed(Vec<Ingested>),
    /// Safe in the queue, not stored yet (`202`).
    Queued,
    /// Some are safe in the queue, others perhaps not.
    Each(Vec<Result<(), PublishError>>),
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
    /// It is larger than what the queue takes as it is set up: nothing was taken, and never will be.
    #[error("the queue takes no submission as large")]
    TooLarge,
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
    /// What was polled.
    pub batch: Batch,
    acknowledge: Acknowledge,
}

/// What is to be stored in one transaction.
#[derive(Debug, PartialEq)]
pub enum Batch {
    /// Submissions of this node, in their order.
    Tasks(Vec<NewTask>),
    /// A stretch of a topic.
    Stretch(Stretch),
}

/// How the end of a batch is told.
#[derive(Debug)]
enum Acknowledge {
    /// To the publishers that wait for it.
    Publishers(embedded::Acknowledgement),
    /// To the partition, which may go on. Its publishers were answered long ago.
    Topic(kafka::Hold),
}

impl Polled {
    /// The batch is committed; `outcomes` has one entry per task.
    pub fn committed(self, outcomes: &[Ingested]) {
        match self.acknowledge {
            Acknowledge::Publishers(publishers) => publishers.committed(outcomes),
            Acknowledge::Topic(hold) => drop(hold),
        }
    }

    /// The batch could not be committed, for this reason.
    pub fn failed(self, reason: &str) {
        match self.acknowledge {
            Acknowledge::Publishers(publishers) => publishers.failed(reason),
            Acknowledge::Topic(hold) => drop(hold),
        }
    }
}
