//! A claim: one assignment of one task to one executor, known everywhere by (id, `claim_no`).

use std::time::Duration;

use super::ids::{Epoch, TaskId};
use super::task::{Misfire, Spec};
use super::time::Timestamp;

/// A scheduled task as the look-ahead holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The task.
    pub id: TaskId,
    /// When it is to be fired.
    pub due_at: Timestamp,
    /// 0 to 9.
    pub priority: u8,
    /// What happens when it is late.
    pub misfire: Misfire,
}

impl Due {
    /// Its place in the order of `(due_at, id)`, which is the index's order too.
    pub fn key(&self) -> (Timestamp, TaskId) {
        (self.due_at, self.id)
    }
}

/// A claim's name: `claim_no` counts a task's claims and fences the older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The task.
    pub id: TaskId,
    /// The how-manieth claim of it this is.
    pub claim_no: i64,
}

/// A claimed task with all that its executor needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedTask {
    /// Which claim.
    pub claim: Claim,
    /// The epoch that claimed it.
    pub epoch: Epoch,
    /// When it was to run.
    pub run_at: Timestamp,
    /// When it is to be fired.
    pub due_at: Timestamp,
    /// Starts before this one.
    pub attempt: u32,
    /// What was asked for.
    pub spec: Spec,
}

impl ClaimedTask {
    /// The number of the attempt that starts with this claim; 1 is the first.
    pub fn attempt_no(&self) -> u32 {
        self.attempt.saturating_add(1)
    }

    /// Longest time of the call.
    pub fn timeout(&self) -> Duration {
        self.spec.timeout
    }
}
