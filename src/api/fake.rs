//! What stands in for the rest of a node in tests of the API.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use super::ApiState;
use crate::actors::Status;
use crate::clock::{Clock, DatabaseClock};
use crate::config::ApiConfig;
use crate::domain::GenerationId;
use crate::domain::clock_map::ClockMap;
use crate::metrics::Metrics;
use crate::queue::{Polled, PublishError, Published, Queue, Submission};
use crate::store::sqlite::SqliteStore;
use crate::store::{Generation, Standing};

/// A generation of this standing.
pub fn generation(id: GenerationId, standing: Standing) -> Generation {
    Generation {
        id,
        node: "node".to_owned(),
        address: "127.0.0.1:8080".to_owned(),
        version: "0.0.0".to_owned(),
        standing,
        slots: 4,
        free_slots: 3,
        counter: 1,
        heartbeat_age: Duration::from_millis(20),
        clock_offset_us: 0,
        reads_topic: false,
        gone: false,
    }
}

/// A queue that answers every publication the same.
pub struct FixedQueue(pub Result<Published, PublishError>);

impl Queue for FixedQueue {
    fn publish(&self, _batch: Vec<Submission>) -> BoxFuture<'_, Result<Published, PublishError>> {
        std::future::ready(self.0.clone()).boxed()
    }

    fn poll(&self, _limit: usize) -> BoxFuture<'_, Option<Polled>> {
        std::future::ready(None).boxed()
    }

    fn close(&self) {}

    fn depth(&self) -> usize {
        0
    }
}

/// An API on an empty database whose queue always answers so. The folder goes with what is returned.
pub fn api(answer: Result<Published, PublishError>) -> (ApiState, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let state = ApiState {
        store: Arc::new(SqliteStore::open(folder.path(), clock.clone()).unwrap()),
        queue: Arc::new(FixedQueue(answer)),
        kafka: None,
        topics: None,
        database_clock: Arc::new(DatabaseClock::new(clock.clone(), ClockMap::default())),
        metrics: Arc::new(Metrics::new(clock).unwrap()),
        status: Arc::new(Status::default()),
        config: ApiConfig::default(),
        node: "node".to_owned(),
    };
    (state, folder)
}
