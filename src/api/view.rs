//! A task as it is answered.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::payload::Payload;
use crate::domain::retry::RetryPolicy;
use crate::domain::time::millis_of;
use crate::domain::{Delivery, Epoch, Misfire, State, Target, Task, TaskId, Timestamp};

/// The JSON of a task.
#[derive(Debug, Serialize)]
pub struct TaskView<'a> {
    id: TaskId,
    state: State,
    run_at: Timestamp,
    due_at: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    target: &'a Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Payload>,
    delivery: Delivery,
    retry: &'a RetryPolicy,
    timeout_ms: u64,
    misfire: Misfire,
    priority: u8,
    labels: &'a BTreeMap<String, String>,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at: Option<Timestamp>,
    created_at: Timestamp,
    dispatched_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    lateness_ms: Option<f64>,
    last_error: Option<&'a str>,
    node: Option<&'a str>,
    epoch: Option<Epoch>,
}

impl<'a> TaskView<'a> {
    /// With everything.
    pub fn whole(task: &'a Task) -> Self {
        Self { payload: Some(&task.spec.payload), accepted_at: task.accepted_at, ..Self::listed(task) }
    }

    /// Without its payload, and when it was accepted: a store may have to read past the payload for that.
    pub fn listed(task: &'a Task) -> Self {
        let spec = &task.spec;
        Self {
            id: task.id,
            state: task.state,
            run_at: task.run_at,
            due_at: task.due_at,
            paused: task.paused,
            target: &spec.target,
            payload: None,
            delivery: spec.delivery,
            retry: &spec.retry,
            timeout_ms: millis_of(spec.timeout),
            misfire: spec.misfire,
            priority: spec.priority,
            labels: &spec.labels,
            attempt: task.attempt,
            accepted_at: None,
            created_at: task.created_at,
            dispatched_at: task.dispatched_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
            lateness_ms: task.lateness().map(|lateness| lateness.as_secs_f64() * 1_000.0),
            last_error: task.last_error.as_deref(),
            node: task.node.as_deref(),
            epoch: task.epoch,
        }
    }
}
