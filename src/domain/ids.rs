//! Names of things: a task, one life of an actor set, one reign of a master.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The namespace of ids derived from an `Idempotency-Key` (`UUIDv5`). Fixed for ever: another value would turn every
/// repeated key into a second task.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6f4d_1c2a_95b3_5e0e_8a77_2d10_c0de_0001);

/// A task's id. The same id again is the same task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub Uuid);

impl TaskId {
    /// The id that an `Idempotency-Key` stands for: the same key is always the same task.
    pub fn from_key(key: &str) -> Self {
        Self(Uuid::new_v5(&KEY_NAMESPACE, key.as_bytes()))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a node's actor set. Owner of claims, of a heartbeat and of a fence; a restarted set is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationId(pub Uuid);

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fencing token: one number per reign of a master, rising by one at each take-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_is_the_same_task() {
        assert_eq!(TaskId::from_key("order-42"), TaskId::from_key("order-42"));
        assert_ne!(TaskId::from_key("order-42"), TaskId::from_key("order-43"));
    }

    #[test]
    fn the_key_namespace_never_changes() {
        assert_eq!(TaskId::from_key("order-42").to_string(), "ae7882a6-06bf-5462-9b2b-db7bab27e574");
    }
}
