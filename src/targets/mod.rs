//! What a task calls: one adapter per kind, all of them typing how a call ended.

//X pub mod address_guard;
//X pub mod http;
//X pub mod log;
//X pub mod router;

use futures_util::future::BoxFuture;

use crate::domain::{ClaimedTask, Outcome};

/// A kind of target. The future resolves within the task's `timeout_ms`, whatever the target does, and types the end:
/// *never sent* and *answered* are definite, everything else is [`Outcome::Ambiguous`].
pub trait Target: Send + Sync + 'static {
    /// Calls it once.
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome>;
}
