//! What the actors are built from.

use std::sync::{Arc, Mutex};

use super::status::Status;
use crate::clock::DatabaseClock;
use crate::config::ActorsConfig;
use crate::domain::figures::Looks;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::queue::kafka::KafkaQueue;
use crate::store::{Result, Store, StoreError};
use crate::targets::Target;

/// What every actor of a set works with.
#[derive(Clone)]
pub struct Parts {
    /// The task database.
    pub store: Arc<dyn Store>,
    /// Where submissions come from.
    pub queue: Arc<dyn Queue>,
    /// The same, where they come from a topic.
    pub kafka: Option<Arc<KafkaQueue>>,
    /// What tasks call.
    pub target: Arc<dyn Target>,
    /// The database's clock.
    pub database_clock: Arc<DatabaseClock>,
    /// Where everybody reports.
    pub metrics: Arc<Metrics>,
    /// What was seen of the metrics lately: each set goes on where the one before it has ended.
    pub looks: Arc<Mutex<Looks>>,
    /// What the rest of the program may know.
    pub status: Arc<Status>,
    /// Times and sizes.
    pub config: ActorsConfig,
    /// Who this node is.
    pub node: NodeIdentity,
    /// Where calls run, whatever becomes of the actors.
    pub calls_runtime: tokio::runtime::Handle,
}

/// Who a node is, as `/v1/cluster` shows it.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    /// Its name.
    pub name: String,
    /// Where its API listens.
    pub address: String,
}

/// Runs a store's call on a blocking thread, so that no actor ever waits for a disk or a network.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(cause) => Err(StoreError::Unavailable(format!("a database call did not end: {cause}"))),
    }
}
