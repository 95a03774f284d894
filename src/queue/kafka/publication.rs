//! Records on their way to a topic, whose publisher waits for the end of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::KafkaError as ClientError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::domain::TaskId;
use crate::queue::PublishError;

/// Longest time until a record is delivered; then its publisher is told to repeat. Below the 5 s within which a caller is
/// promised an answer.
pub const DELIVERY: Duration = Duration::from_secs(4);
/// The same with what the client library may need to notice.
pub const PATIENCE: Duration = Duration::from_millis(4_700);

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
