//! What is stored already under the ids of submissions. Asked before they go to a topic: what is on it cannot be refused any
//! more, only buried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::domain::{Mono, TaskId};
use crate::queue::Submission;
use crate::store::{Result, Store, StoreError};

/// Longest wait for the answer. Without one submissions go on: the ingest judges them too, and the topic takes them while the
/// database is away.
const WAIT: Duration = Duration::from_millis(500);
/// So long nobody asks after there was no answer.
const REST: Duration = Duration::from_secs(1);
/// Most questions at once: each has a thread as long as it lasts, also when nobody waits for its answer any more.
const AT_ONCE: usize = 16;

/// Asks the task database for known ids.
#[derive(Debug, Clone)]
pub struct KnownIds {
    clock: Clock,
    room: Arc<Semaphore>,
    rest_until: Arc<Mutex<Option<Mono>>>,
}

impl KnownIds {
    /// Nothing is asked yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, room: Arc::new(Semaphore::new(AT_ONCE)), rest_until: Arc::default() }
    }

    /// Which of these submissions, by their places, are stored with another document. None, where the database does not
    /// say so in time.
    pub async fn conflicts(&self, store: &Arc<dyn Store>, batch: &[Submission]) -> Vec<bool> {
        let named: Vec<TaskId> = batch.iter().filter(|one| one.named).map(|one| one.task.id).collect();
        let known = if named.is_empty() || self.rests() { HashMap::new() } else { self.asked(store, named).await };
        let other = |one: &Submission| known.get(&one.task.id).is_some_and(|print| *print != one.task.fingerprint);
        batch.iter().map(|one| one.named && other(one)).collect()
    }

    async fn asked(&self, store: &Arc<dyn Store>, ids: Vec<TaskId>) -> HashMap<TaskId, Vec<u8>> {
        let answer = tokio::time::timeout(WAIT, self.ask(Arc::clone(store), ids)).await;
        let late = || StoreError::Unavailable(format!("no answer within {} ms", WAIT.as_millis()));
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok(known) => known.into_iter().collect(),
            Err(cause) => {
                self.rest();
                log::warn!("submissions go to the topic without a look at what is stored under their ids: {cause}");
                HashMap::new()
            }
        }
    }

    async fn ask(&self, store: Arc<dyn Store>, ids: Vec<TaskId>) -> Result<Vec<(TaskId, Vec<u8>)>> {
        // It is never closed.
        let permit = Arc::clone(&self.room).acquire_owned().await;
        crate::actors::blocking(move || {
            let _permit = permit;
            store.fingerprints(&ids)
        })
        .await
    }

    fn rests(&self) -> bool {
        let until = *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| self.clock.mono() < until)
    }

    fn rest(&self) {
        *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.mono().plus(REST));
    }
}
