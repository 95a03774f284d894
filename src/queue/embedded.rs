//! The queue of a node without Kafka: a bounded channel in memory. A publisher is answered once its batch is committed,
//! so nothing that was answered can be lost with the channel.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::{Acknowledge, Batch as PolledBatch, Polled, PublishError, Published, Queue, Submission};
use crate::config::QueueConfig;
use crate::domain::NewTask;
use crate::store::Ingested;

/// Counted for each submission besides its document: the task's own structures.
const TASK_BYTES: usize = 1_024;

/// A bounded channel.
#[derive(Debug)]
pub struct EmbeddedQueue {
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    depth: AtomicUsize,
    publish_timeout: Duration,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: std::collections::VecDeque<Batch>,
    closed: bool,
}

#[derive(Debug)]
struct Batch {
    tasks: Vec<NewTask>,
    reply: oneshot::Sender<Result<Vec<Ingested>, String>>,
    /// Given back when the batch has been answered.
    _room: OwnedSemaphorePermit,
}

impl EmbeddedQueue {
    /// An empty one.
    pub fn new(config: &QueueConfig) -> Self {
        Self {
            room: Arc::new(Semaphore::new(config.bytes_max.min(Semaphore::MAX_PERMITS))),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            depth: AtomicUsize::new(0),
            publish_timeout: config.publish_timeout,
        }
    }

    fn push(&self, batch: Vec<Submission>) -> Result<oneshot::Receiver<Result<Vec<Ingested>, String>>, PublishError> {
        let bytes: usize = batch.iter().map(|submission| submission.document.len().saturating_add(TASK_BYTES)).sum();
        let room = u32::try_from(bytes).map_err(|_| PublishError::Full)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(room).map_err(|cause| match cause {
            TryAcquireError::NoPermits => PublishError::Full,
            TryAcquireError::Closed => PublishError::Closed,
        })?;
        let (reply, answer) = oneshot::channel();
        let tasks: Vec<NewTask> = batch.into_iter().map(|submission| submission.task).collect();
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(PublishError::Closed);
        }
        self.depth.fetch_add(tasks.len(), Ordering::Relaxed);
        waiting.batches.push_back(Batch { tasks, reply, _room: room });
        drop(waiting);
        self.arrived.notify_one();
        Ok(answer)
    }

    /// Whole batches up to `limit` submissions, at least one batch; `None` if there is none.
    fn take(&self, limit: usize) -> Option<Polled> {
        let mut waiting = self.waiting();
        let (mut tasks, mut parts) = (Vec::new(), Vec::new());
        while waiting.batches.front().is_some_and(|batch| tasks.is_empty() || tasks.len() + batch.tasks.len() <= limit)
        {
            let Some(mut batch) = waiting.batches.pop_front() else { break };
            let len = batch.tasks.len();
            tasks.append(&mut batch.tasks);
            parts.push((len, batch));
        }
        self.depth.fetch_sub(tasks.len(), Ordering::Relaxed);
        let acknowledge = Acknowledge::Publishers(Acknowledgement { parts });
        (!tasks.is_empty()).then_some(Polled { batch: PolledBatch::Tasks(tasks), acknowledge })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue for EmbeddedQueue {
    fn publish(&self, batch: Vec<Submission>) -> BoxFuture<'_, Result<Published, PublishError>> {
        if batch.is_empty() {
            return std::future::ready(Ok(Published::Committed(Vec::new()))).boxed();
        }
        let pushed = self.push(batch);
        async move {
            match tokio::time::timeout(self.publish_timeout, pushed?).await {
                Ok(Ok(Ok(outcomes))) => Ok(Published::Committed(outcomes)),
                Ok(Ok(Err(reason))) => Err(PublishError::Unacknowledged(reason)),
                Ok(Err(_)) => Err(PublishError::Unacknowledged("the ingest was restarted".to_owned())),
                Err(_) => Err(PublishError::Unacknowledged("the commit took too long".to_owned())),
            }
        }
        .boxed()
    }

    fn poll(&self, limit: usize) -> BoxFuture<'_, Option<Polled>> {
        async move {
            loop {
                let arrived = self.arrived.notified();
                if let Some(polled) = self.take(limit) {
                    return Some(polled);
                }
                if self.waiting().closed {
                    return None;
                }
                arrived.await;
            }
        }
        .boxed()
    }

    fn close(&self) {
        self.waiting().closed = true;
        self.room.close();
        self.arrived.notify_one();
    }

    fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }
}

/// How the publishers of a polled batch are answered.
#[derive(Debug)]
pub struct Acknowledgement {
    parts: Vec<(usize, Batch)>,
}

impl Acknowledgement {
    /// Each publisher gets its own outcomes.
    pub(super) fn committed(self, outcomes: &[Ingested]) {
        let mut rest = outcomes.iter();
        for (len, batch) in self.parts {
            // A publisher that has gone away needs no answer: its tasks are stored.
            let _gone = batch.reply.send(Ok(rest.by_ref().take(len).copied().collect()));
        }
    }

    /// Each publisher is told why.
    pub(super) fn failed(self, reason: &str) {
        for (_, batch) in self.parts {
            let _gone = batch.reply.send(Err(reason.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::document::{Document, Received};

    fn submission(bytes: usize) -> Submission {
        let at = Timestamp::from_micros(0);
        let document = Document::parse(br#"{"delay_ms": 1, "target": {"type": "log"}}"#).unwrap();
        Submission {
            task: document.check(Received { idempotency_key: None, record_key: None, at }).unwrap(),
            document: vec![b' '; bytes].into(),
            received_at: at,
            named: false,
            trace_parent: None,
        }
    }

    fn len(polled: &Polled) -> usize {
        let PolledBatch::Tasks(tasks) = &polled.batch else { panic!("no tasks") };
        tasks.len()
    }

    fn queue(bytes_max: usize) -> EmbeddedQueue {
        EmbeddedQueue::new(&QueueConfig { bytes_max, publish_timeout: Duration::from_secs(5) })
    }

    #[tokio::test]
    async fn a_publisher_is_answered_when_its_batch_is_committed() {
        let queue = queue(1 << 20);
        let publish = queue.publish(vec![submission(1), submission(1)]);
        let ingest = async {
            let polled = queue.poll(1_000).await.unwrap();
            assert_eq!(len(&polled), 2);
            polled.committed(&[Ingested::Same, Ingested::Conflict]);
        };
        let (answer, ()) = tokio::join!(publish, ingest);
        assert_eq!(answer, Ok(Published::Committed(vec![Ingested::Same, Ingested::Conflict])));
    }

    #[tokio::test]
    async fn several_publishers_share_a_batch_and_get_their_own_answers() {
        let queue = queue(1 << 20);
        let ingest = async {
            let polled = queue.poll(3).await.unwrap();
            assert_eq!(len(&polled), 3, "whole batches up to the limit");
            polled.committed(&[Ingested::Same, Ingested::Same, Ingested::Conflict]);
            queue.poll(3).await.unwrap().committed(&[Ingested::Same]);
        };
        let (one, two, three, ()) = tokio::join!(
            queue.publish(vec![submission(1), submission(1)]),
            queue.publish(vec![submission(1)]),
            queue.publish(vec![submission(1)]),
            ingest
        );
        assert_eq!(one, Ok(Published::Committed(vec![Ingested::Same, Ingested::Same])));
        assert_eq!(two, Ok(Published::Committed(vec![Ingested::Conflict])));
        assert_eq!(three, Ok(Published::Committed(vec![Ingested::Same])));
    }

    #[tokio::test]
    async fn full_is_said_at_once_and_room_comes_back() {
        let queue = queue(TASK_BYTES + 10);
        let first = queue.push(vec![submission(10)]).unwrap();
        assert_eq!(queue.publish(vec![submission(1)]).await, Err(PublishError::Full));
        queue.poll(1).await.unwrap().committed(&[Ingested::Same]);
        assert!(first.await.is_ok());
        assert!(queue.push(vec![submission(10)]).is_ok());
    }

    #[tokio::test]
    async fn a_dropped_batch_is_never_taken_for_stored() {
        let queue = queue(1 << 20);
        let publish = queue.publish(vec![submission(1)]);
        let ingest = async { drop(queue.poll(1).await) };
        let (answer, ()) = tokio::join!(publish, ingest);
        assert!(matches!(answer, Err(PublishError::Unacknowledged(_))));
    }

    #[tokio::test]
    async fn closed_takes_nothing_more_but_gives_out_what_it_has() {
        let queue = queue(1 << 20);
        let waiting = queue.push(vec![submission(1)]).unwrap();
        queue.close();
        assert_eq!(queue.publish(vec![submission(1)]).await, Err(PublishError::Closed));
        queue.poll(1).await.unwrap().committed(&[Ingested::Same]);
        assert!(waiting.await.is_ok());
        assert!(queue.poll(1).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_never_comes_is_told() {
        let queue = queue(1 << 20);
        assert!(matches!(queue.publish(vec![submission(1)]).await, Err(PublishError::Unacknowledged(_))));
    }
}
