//! The six actors of a node: thin shells that ask the domain's rules and move rows.
//!
//! `Supervisor` builds the other five as one *set*, watches them and restarts the set as a whole; every set is a new
//! generation. What must outlive a set (calls under way, their outcomes) lives in [`calls`], outside the actors.
//! Nothing an actor holds in memory is the truth, and no message between them must arrive: the rows are the truth.

pub mod calls;
pub mod dispatch;
pub mod dispatcher;
pub mod executor;
pub mod heartbeat;
pub mod kafka_ingest;
pub mod ledger;
pub mod master_resolver;
pub mod outcomes;
pub mod status;
pub mod supervisor;
pub mod timer;
pub mod vital;

#[cfg(test)]
mod supervision_test;

use std::sync::Arc;

use crate::clock::DatabaseClock;
use crate::config::ActorsConfig;
use crate::domain::GenerationId;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::store::{Result, Store, StoreError};
use crate::targets::Target;

pub use status::Status;

/// What every actor of a set works with.
#[derive(Clone)]
pub struct Parts {
    /// The task database.
    pub store: Arc<dyn Store>,
    /// Where submissions come from.
    pub queue: Arc<dyn Queue>,
    /// What tasks call.
    pub target: Arc<dyn Target>,
    /// The database's clock.
    pub database_clock: Arc<DatabaseClock>,
    /// Where everybody reports.
    pub metrics: Arc<Metrics>,
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

/// One life of the actor set.
#[derive(Clone)]
pub struct Set {
    /// Its id.
    pub generation: GenerationId,
    /// Its calls.
    pub calls: Arc<calls::Calls>,
    /// Who hears of the end of an actor.
    pub supervisor: actix::Recipient<supervisor::Died>,
}

/// Runs a store's call on a blocking thread, so that no actor ever waits for a disk or a network.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(cause) => Err(StoreError::Unavailable(format!("a database call did not end: {cause}"))),
    }
}
