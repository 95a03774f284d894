//! A task's row, and its way to and from the domain.

use std::time::Duration;

use diesel::prelude::*;
use uuid::Uuid;

use super::schema::task;
use super::statement::Value;
use crate::domain::payload::Payload;
use crate::domain::time::{Timestamp, micros_of, millis_of};
use crate::domain::{
    Claim, ClaimedTask, Delivery, Due, Epoch, GenerationId, Misfire, NewTask, Spec, State, Task, TaskId,
};
use crate::store::{Result, StoreError};

/// A row of `task`, and (less `finished_at`) of `task_history`.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = task, check_for_backend(diesel::sqlite::Sqlite))]
pub struct TaskRow {
    pub id: Vec<u8>,
    pub state: i16,
    pub due_at: i64,
    pub run_at: i64,
    pub priority: i16,
    pub misfire_ms: Option<i64>,
    pub claim_no: i64,
    pub attempt: i32,
    pub owner: Option<Vec<u8>>,
    pub epoch: Option<i64>,
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

/// The columns of [`TaskRow`] in a table that has them; `$payload` stands for the payload's.
macro_rules! columns {
    ($table:ident, $payload:expr) => {
        (
            $table::id,
            $table::state,
            $table::due_at,
            $table::run_at,
            $table::priority,
            $table::misfire_ms,
            $table::claim_no,
            $table::attempt,
            $table::owner,
            $table::epoch,
            $table::created_at,
            $table::dispatched_at,
            $table::started_at,
            $table::last_error,
            $table::delivery,
            $table::retry,
            $table::timeout_ms,
            $table::target,
            $table::labels,
            $table::payload_kind,
            $payload,
        )
    };
}
pub(super) use columns;

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
            claim: Claim { id: task_id(&self.id)?, claim_no: self.claim_no },
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
            id: task_id(&self.id)?,
            state: State::from_code(self.state).ok_or_else(|| unreadable("state", self.state))?,
            run_at: Timestamp::from_micros(self.run_at),
            due_at: Timestamp::from_micros(self.due_at),
            attempt: starts(self.attempt)?,
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
    new: &'a NewTask,
    retry: String,
    target: String,
    labels: String,
}

impl<'a> NewRow<'a> {
    /// Of a submission.
    pub fn of(new: &'a NewTask) -> Result<Self> {
        let spec = &new.spec;
        Ok(Self { new, retry: json(&spec.retry)?, target: json(&spec.target)?, labels: json(&spec.labels)? })
    }

    /// In the order of the columns of the insert.
    pub fn values(&self, now: Timestamp) -> [Value<'_>; 14] {
        let spec = &self.new.spec;
        let payload_kind = match &spec.payload {
            Payload::Empty => 0,
            Payload::Json(_) => 1,
            Payload::Bytes(_) => 2,
        };
        let delivery = match spec.delivery {
            Delivery::AtMostOnce => 0,
            Delivery::AtLeastOnce => 1,
        };
        [
            Value::Blob(self.new.id.0.as_bytes()),
            Value::Int(self.new.run_at.micros()),
            Value::Int(self.new.run_at.micros()),
            Value::Int(i64::from(spec.priority)),
            Value::MaybeInt(misfire_ms(spec.misfire)),
            Value::Int(now.micros()),
            Value::Int(delivery),
            Value::Text(&self.retry),
            Value::Int(i64::try_from(millis_of(spec.timeout)).unwrap_or(i64::MAX)),
            Value::Text(&self.target),
            Value::Text(&self.labels),
            Value::Int(payload_kind),
            Value::Blob(spec.payload.bytes()),
            Value::Blob(&self.new.fingerprint),
        ]
    }

    /// For the look-ahead.
    pub fn due(&self) -> Due {
        let NewTask { id, run_at, spec, .. } = self.new;
        Due { id: *id, due_at: *run_at, priority: spec.priority, misfire: spec.misfire }
    }
}

/// The look-ahead's columns of a task.
pub type DueRow = (Vec<u8>, i64, i16, Option<i64>);

/// A row of those columns.
pub fn due(row: &DueRow) -> Result<Due> {
    let (id, due_at, priority_code, misfire_ms) = row;
    Ok(Due {
        id: task_id(id)?,
        due_at: Timestamp::from_micros(*due_at),
        priority: priority(*priority_code)?,
        misfire: misfire(*misfire_ms),
    })
}

/// An id of 16 bytes.
pub fn task_id(bytes: &[u8]) -> Result<TaskId> {
    Uuid::from_slice(bytes).map(TaskId).map_err(|cause| unreadable("id", cause))
}

/// A generation's id of 16 bytes.
pub fn generation_id(bytes: &[u8]) -> Result<GenerationId> {
    Uuid::from_slice(bytes).map(GenerationId).map_err(|cause| unreadable("generation", cause))
}

/// A count of starts.
pub fn starts(attempt: i32) -> Result<u32> {
    u32::try_from(attempt).map_err(|cause| unreadable("attempt", cause))
}

/// An error for a column whose value is none of its kind.
pub fn unreadable(column: &str, value: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable(format!("{column}: {value}"))
}

fn priority(code: i16) -> Result<u8> {
    u8::try_from(code).map_err(|cause| unreadable("priority", cause))
}

fn misfire_ms(misfire: Misfire) -> Option<i64> {
    match misfire {
        Misfire::Fire => None,
        Misfire::ExpireAfterMs(ms) => Some(i64::try_from(ms).unwrap_or(i64::MAX)),
    }
}

fn misfire(ms: Option<i64>) -> Misfire {
    ms.map_or(Misfire::Fire, |ms| Misfire::ExpireAfterMs(u64::try_from(ms).unwrap_or(0)))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| StoreError::Unreadable(cause.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| unreadable(text, cause))
}

/// Microseconds of a duration from now, as a column.
pub fn later(now: Timestamp, by: Duration) -> i64 {
    now.micros().saturating_add(micros_of(by))
}
