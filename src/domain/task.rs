//! A task: what was asked for, and how it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::ids::{Epoch, TaskId};
use super::payload::Payload;
use super::retry::RetryPolicy;
use super::state::State;
use super::target::Target;
use super::time::Timestamp;

/// What happens when nobody can know whether the target was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The task stops as `unknown` and waits for `resolve`.
    #[default]
    AtMostOnce,
    /// It is fired again, with the same idempotency key.
    AtLeastOnce,
}

/// What happens to a task whose `due_at` has long passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Fire it, however late.
    #[default]
    Fire,
    /// Call it off when it is due longer ago than this many milliseconds.
    ExpireAfterMs(u64),
}

impl Misfire {
    /// A task due at `due_at` is too late to fire at `now`.
    pub fn is_over(self, due_at: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Fire => false,
            Self::ExpireAfterMs(ms) => now > due_at.plus(Duration::from_millis(ms)),
        }
    }
}

/// What was asked for: never changes by executing.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Where it goes.
    pub target: Target,
    /// What it carries.
    pub payload: Payload,
    /// At most once, or at least once.
    pub delivery: Delivery,
    /// How often and when it is tried again.
    pub retry: RetryPolicy,
    /// Longest time of one call.
    pub timeout: Duration,
    /// What happens when it is late.
    pub misfire: Misfire,
    /// 0 to 9; among due tasks the higher goes first.
    pub priority: u8,
    /// Names and values to find it by.
    pub labels: BTreeMap<String, String>,
}

/// A submission that was checked and may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id, given or made.
    pub id: TaskId,
    /// When it is to run; `delay_ms` is resolved.
    pub run_at: Timestamp,
    /// What was asked for.
    pub spec: Spec,
    /// SHA-256 of the document as submitted: tells the same submission from another one under the same id.
    pub fingerprint: [u8; 32],
    /// When it was accepted, as far as that is known: for people, nothing is ever decided by it.
    pub accepted_at: Option<Timestamp>,
}

/// A task as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Where it stands.
    pub state: State,
    /// What was asked for; lists leave the payload out.
    pub spec: Spec,
    /// When it was to run.
    pub run_at: Timestamp,
    /// When it is to be fired next, or was fired last.
    pub due_at: Timestamp,
    /// It has come due and waits for the end of a pause.
    pub paused: bool,
    /// Starts so far.
    pub attempt: u32,
    /// When it was accepted, if that is known; not later than it was stored, whatever the clock of who accepted it said.
    pub accepted_at: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it was claimed last.
    pub dispatched_at: Option<Timestamp>,
    /// When its last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// What its last attempt failed with.
    pub last_error: Option<String>,
    /// The node of its last claim.
    pub node: Option<String>,
    /// The epoch of its last claim.
    pub epoch: Option<Epoch>,
}

impl Task {
    /// Start minus `due_at` of its last attempt; `None` before a start. Never negative: a task is never early.
    pub fn lateness(&self) -> Option<Duration> {
        let started_at = self.started_at?;
        // A retry has moved `due_at` on already: the lateness of the attempt before is in its attempt.
        (started_at >= self.due_at).then(|| started_at.since(self.due_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfire_is_over_only_after_its_time() {
        let due = Timestamp::from_micros(1_000_000);
        let late = |ms| due.plus(Duration::from_millis(ms));
        assert!(!Misfire::Fire.is_over(due, late(1_000_000)));
        assert!(!Misfire::ExpireAfterMs(100).is_over(due, late(100)));
        assert!(Misfire::ExpireAfterMs(100).is_over(due, late(101)));
    }

    #[test]
    fn misfire_is_written_as_the_contract_says() {
        assert_eq!(serde_json::to_string(&Misfire::Fire).unwrap(), r#""fire""#);
        assert_eq!(serde_json::to_string(&Misfire::ExpireAfterMs(5)).unwrap(), r#"{"expire_after_ms":5}"#);
    }
}
