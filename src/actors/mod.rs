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
mod own_thread;
pub mod parts;
mod pauses;
mod recovery;
mod reporting;
mod retention;
pub mod set;
pub mod status;
pub mod supervisor;
pub mod timer;
mod topic_share;
pub mod vital;

#[cfg(test)]
mod dispatch_test;
#[cfg(test)]
mod supervision_test;

pub use own_thread::{Ended, OwnThread};
pub use parts::{NodeIdentity, Parts, blocking};
pub use status::Status;
