//! A task's row in either database, and its way to and from the domain.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::prelude::*;

use super::key::Key;
use super::{Result, Standing, StoreError};
use crate::domain::payload::Payload;
use crate::domain::time::{Timestamp, micros_of, millis_of};
use crate::domain::{Claim, ClaimedTask, Delivery, Due, Epoch, Misfire, NewTask, Spec, State, Task};

/// A row of `task`, and (less `finished_at`) of `task_history`, in either database. Times are microseconds since 1970.
#[derive(Debug, Queryable)]
pub struct TaskRow {
    pub id: Key,
    pub state: i16,
    pub due_at: i64,
    pub run_at: i64,
    pub priority: i16,
    pub misfire_ms: Option<i64>,
    pub claim_no: i64,
    pub attempt: i32,
    pub owner: Option<Key>,
    pub epoch: Option<i64>,
    pub accepted_at: Option<i64>,
    pub created_at: i64,
    pub dispatched_at: Option<i64>,
    pub started_at: Option<i64>,
    pub last_error: Option<String>,
    pub delivery: i16,
    pub retry: String,
    pub timeout_ms: i64,
    pub target: String,
    pub labels: String,
    pub payload_kind: i16,
    pub payload: Vec<u8>,
}

/// The columns that a row keeps on its way between `task` and `task_history`, and behind them those that its end says.
macro_rules! kept {
    () => {
        "id, due_at, run_at, priority, misfire_ms, claim_no, owner, epoch, accepted_at, created_at, \
         dispatched_at, delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint"
    };
    (into_history) => {
        concat!("INSERT INTO task_history (", kept!(), ", state, attempt, started_at, last_error, finished_at) ")
    };
}
pub(super) use kept;

/// A row of `task_history`: the same and when it ended.
pub type HistoryRow = (TaskRow, i64);

impl TaskRow {
    /// What was asked for.
    pub fn spec(self) -> Result<Spec> {
        Ok(Spec {
            target: from_json(&self.target)?,
            payload: match self.payload_kind {
                0 => Payload::Empty,
                1 => Payload::Json(String::from_utf8(self.payload).map_err(|_| unreadable("payload", "no UTF-8"))?),
                2 => Payload::Bytes(self.payload),
                other => return Err(unreadable("payload_kind", other)),
            },
            delivery: match self.delivery {
                0 => Delivery::AtMostOnce,
                1 => Delivery::AtLeastOnce,
                other => return Err(unreadable("delivery", other)),
            },
            retry: from_json(&self.retry)?,
            timeout: Duration::from_millis(u64::try_from(self.timeout_ms).unwrap_or(0)),
            misfire: misfire(self.misfire_ms),
            priority: priority(self.priority)?,
            labels: from_json(&self.labels)?,
        })
    }

    /// For its executor.
    pub fn claimed(self) -> Result<ClaimedTask> {
        Ok(ClaimedTask {
            claim: Claim { id: self.id.task(), claim_no: self.claim_no },
            epoch: Epoch(self.epoch.unwrap_or(0)),
            run_at: Timestamp::from_micros(self.run_at),
            due_at: Timestamp::from_micros(self.due_at),
            attempt: starts(self.attempt)?,
            spec: self.spec()?,
        })
    }

    /// For people. `node` is the name of its owner's node.
    pub fn read(self, finished_at: Option<i64>, node: Option<String>) -> Result<Task> {
        Ok(Task {
            id: self.id.task(),
            state: State::from_code(self.state).ok_or_else(|| unreadable("state", self.state))?,
            run_at: Timestamp::from_micros(self.run_at),
            due_at: Timestamp::from_micros(self.due_at),
            // A row of another table tells.
            paused: false,
            attempt: starts(self.attempt)?,
            // By another's clock, perhaps.
            accepted_at: self.accepted_at.map(|at| Timestamp::from_micros(at.min(self.created_at))),
            created_at: Timestamp::from_micros(self.created_at),
            dispatched_at: self.dispatched_at.map(Timestamp::from_micros),
            started_at: self.started_at.map(Timestamp::from_micros),
            finished_at: finished_at.map(Timestamp::from_micros),
            last_error: self.last_error.clone(),
            node,
            epoch: self.epoch.map(Epoch),
            spec: self.spec()?,
        })
    }
}

/// A submission on its way into `task`, borrowed where it can be.
pub struct NewRow<'a> {
    /// The submission.
    pub new: &'a NewTask,
    /// JSON.
    pub retry: String,
    /// JSON.
    pub target: String,
    /// JSON.
    pub labels: String,
}

impl<'a> NewRow<'a> {
    /// Of a submission.
    pub fn of(new: &'a NewTask) -> Result<Self> {
        let spec = &new.spec;
        Ok(Self { new, retry: json(&spec.retry)?, target: json(&spec.target)?, labels: json(&spec.labels)? })
    }

    /// How its payload is written.
    pub fn payload_kind(&self) -> i16 {
        payload_kind(&self.new.spec.payload)
    }

    /// Its delivery: 0 at most once, 1 at least once.
    pub fn delivery(&self) -> i16 {
        match self.new.spec.delivery {
            Delivery::AtMostOnce => 0,
            Delivery::AtLeastOnce => 1,
        }
    }

    /// The time of one call, in milliseconds.
    pub fn timeout_ms(&self) -> i64 {
        i64::try_from(millis_of(self.new.spec.timeout)).unwrap_or(i64::MAX)
    }

    /// Called off when it is due longer ago than this, in milliseconds.
    pub fn misfire_ms(&self) -> Option<i64> {
        match self.new.spec.misfire {
            Misfire::Fire => None,
            Misfire::ExpireAfterMs(ms) => Some(i64::try_from(ms).unwrap_or(i64::MAX)),
        }
    }

    /// When it was accepted, if that is known.
    pub fn accepted_at(&self) -> Option<i64> {
        self.new.accepted_at.map(Timestamp::micros)
    }

    /// For the look-ahead.
    pub fn due(&self) -> Due {
        let NewTask { id, run_at, spec, .. } = self.new;
        Due { id: *id, due_at: *run_at, priority: spec.priority, misfire: spec.misfire }
    }
}

/// How a payload is written: 0 none, 1 JSON, 2 bytes.
pub fn payload_kind(payload: &Payload) -> i16 {
    match payload {
        Payload::Empty => 0,
        Payload::Json(_) => 1,
        Payload::Bytes(_) => 2,
    }
}

/// The look-ahead's columns of a task.
pub type DueRow = (Key, i64, i16, Option<i64>);

/// A row of those columns.
pub fn due(row: &DueRow) -> Result<Due> {
    let (id, due_at, priority_code, misfire_ms) = row;
    Ok(Due {
        id: id.task(),
        due_at: Timestamp::from_micros(*due_at),
        priority: priority(*priority_code)?,
        misfire: misfire(*misfire_ms),
    })
}

/// The labels of a task.
pub fn labels(text: &str) -> Result<BTreeMap<String, String>> {
    from_json(text)
}

/// A count of starts.
pub fn starts(attempt: i32) -> Result<u32> {
    u32::try_from(attempt).map_err(|cause| unreadable("attempt", cause))
}

/// How a generation's standing is written: it only rises.
pub fn standing_code(standing: Standing) -> i16 {
    match standing {
        Standing::Alive => 0,
        Standing::Draining => 1,
        Standing::Dead => 2,
    }
}

/// The standing of that number.
pub fn standing_of(code: i16) -> Result<Standing> {
    match code {
        0 => Ok(Standing::Alive),
        1 => Ok(Standing::Draining),
        2 => Ok(Standing::Dead),
        other => Err(unreadable("generation.state", other)),
    }
}

/// An error for a column whose value is none of its kind.
pub fn unreadable(column: &str, value: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable(format!("{column}: {value}"))
}

fn priority(code: i16) -> Result<u8> {
    u8::try_from(code).map_err(|cause| unreadable("priority", cause))
}

fn misfire(ms: Option<i64>) -> Misfire {
    ms.map_or(Misfire::Fire, |ms| Misfire::ExpireAfterMs(u64::try_from(ms).unwrap_or(0)))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| StoreError::Unreadable(cause.to_string()))
}

/// What was written as JSON.
pub fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| unreadable(text, cause))
}

/// Microseconds of a duration from now, as a column.
pub fn later(now: Timestamp, by: Duration) -> i64 {
    now.micros().saturating_add(micros_of(by))
}
