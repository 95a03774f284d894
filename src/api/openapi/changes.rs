//! Changes of one task.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, json_like, json_of, shared};
use super::schema::{integer, or_null, reference, set, taken};
use super::submission::{delay_ms, run_at};
use crate::api::problem::Kind;
use crate::domain::limits::PRIORITY_MAX;

/// The group.
pub const GROUP: Group = Group { tag: "changes", about: "Changes of one task.", calls, schemas };

fn calls() -> Vec<Call> {
    vec![
        Call::new("patch", "/v1/tasks/{id}", "changeTask")
            .about(
                "Change a task",
                "While it is `scheduled`. `run_at` moves `due_at` too, also of one that waits for a retry.",
            )
            .with([shared("TaskId"), shared("IfMatch")])
            .takes(true, json_like(reference("Change"), json!({ "delay_ms": 60_000, "priority": 9 })))
            .answers(StatusCode::OK, "The task as it is now.", json_of(reference("Task")))
            .with_header("ETag")
            .or(&[
                Kind::InvalidField,
                Kind::InvalidParameter,
                Kind::InvalidHeader,
                Kind::NoSuchTask,
                Kind::WrongState,
                Kind::PreconditionFailed,
            ]),
        moved("/v1/tasks/{id}/run", "runTask", "Fire a task now", "While it is `scheduled`; its `run_at` stays."),
        moved("/v1/tasks/{id}/retry", "retryTask", "Schedule a failed task again", "It is due now."),
    ]
}

fn moved(path: &'static str, name: &'static str, summary: &'static str, detail: &'static str) -> Call {
    Call::new("post", path, name)
        .about(summary, detail)
        .with([shared("TaskId")])
        .takes(true, json_like(taken(&[], json!({})), json!({})))
        .answers(StatusCode::OK, "It is scheduled.", json_of(reference("TaskStands")))
        .or(&[Kind::InvalidField, Kind::InvalidParameter, Kind::NoSuchTask, Kind::WrongState])
}

fn schemas() -> Vec<(&'static str, Value)> {
    let mut change = taken(
        &[],
        json!({
            "run_at": run_at(), "delay_ms": delay_ms(), "payload": reference("Payload"),
            "priority": or_null(integer(0, PRIORITY_MAX)),
        }),
    );
    let given = |name: &str, kind: &Value| json!({ "required": [name], "properties": { name: kind } });
    set(
        &mut change,
        "anyOf",
        json!([
            given("run_at", &json!({ "type": "string" })),
            given("delay_ms", &json!({ "type": "integer" })),
            given("payload", &json!(true)),
            given("priority", &json!({ "type": "integer" })),
        ]),
    );
    set(
        &mut change,
        "not",
        json!({
            "required": ["run_at", "delay_ms"],
            "properties": { "run_at": { "type": "string" }, "delay_ms": { "type": "integer" } },
        }),
    );
    vec![("Change", change)]
}
