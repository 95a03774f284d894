//! What a task calls: one adapter per kind, all of them typing how a call ended.

pub mod address_guard;
pub mod http;
pub mod http_answer;
pub mod http_connector;
pub mod http_failure;
pub mod http_request;
pub mod kafka;
pub mod kafka_failure;
pub mod kafka_look;
pub mod kafka_producer;
pub mod log;
pub mod name_lookup;
pub mod router;

#[cfg(test)]
mod fake_http;
#[cfg(test)]
mod http_test;

use futures_util::future::BoxFuture;

use crate::domain::{ClaimedTask, Outcome};

/// A kind of target. The future resolves within the task's `timeout_ms`, whatever the target does, and types the end:
/// *never sent* and *answered* are definite, everything else is [`Outcome::Ambiguous`].
pub trait Target: Send + Sync + 'static {
    /// Calls it once.
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome>;
}
