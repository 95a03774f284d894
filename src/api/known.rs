//! What is stored already under the ids of submissions. Asked before they go to a topic: what is on it cannot be refused any
//! more, only buried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::request_id::InLog;
use crate::clock::Clock;
use crate::domain::{Mono, TaskId};
use crate::queue::Submission;
use crate::store::{Result, Store, StoreError};

/// Longest wait for the answer. Without one submissions go on: the ingest judges them too, and the topic takes them while the
/// database is away.
const WAIT: Duration = Duration::from_millis(250);
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
                log::warn!(
                    "{InLog}submissions go to the topic without a look at what is stored under their ids: {cause}"
                );
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{fake, submission};
    use crate::domain::Timestamp;
    use crate::queue::Published;
    use crate::store::postgres::PostgresStore;

    const ID: &str = "0199c0de-0000-7000-8000-000000000001";

    /// With an id of its own, or under this key.
    fn submitted(key: Option<&str>, priority: u8) -> Submission {
        let id = if key.is_none() { format!(r#""id": "{ID}", "#) } else { String::new() };
        let json = format!(r#"{{{id}"delay_ms": 1, "target": {{"type": "log"}}, "priority": {priority}}}"#);
        submission::checked(json.into(), key, Timestamp::from_micros(0), None).unwrap()
    }

    #[tokio::test]
    async fn only_what_is_stored_with_another_document_conflicts() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let known = KnownIds::new(Clock::new());
        let batch = [submitted(None, 0), submitted(None, 1), submitted(Some("k"), 0), submitted(Some("k"), 1)];
        assert_eq!(known.conflicts(&api.store, &batch).await, [false; 4], "nothing is stored");
        let stored = [batch[0].task.clone(), batch[3].task.clone()];
        api.store.ingest(&stored).unwrap();
        assert_eq!(known.conflicts(&api.store, &batch).await, [false, true, true, false]);
    }

    #[tokio::test]
    async fn a_database_that_is_away_keeps_nothing_from_the_topic() {
        let store: Arc<dyn Store> = Arc::new(PostgresStore::new("postgres://nobody@127.0.0.1:1/none", 1));
        let known = KnownIds::new(Clock::new());
        assert!(!known.rests());
        assert_eq!(known.conflicts(&store, &[submitted(None, 0)]).await, [false]);
        assert!(known.rests(), "and for a while nobody waits for it again");
    }
}
