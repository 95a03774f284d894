//! One task, and lists of them.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, json_like, json_of, query, shared};
use super::schema::{
    about, answered, answered_or, count, instant, integer, number, or_null, reference, set, taken, text, uuid,
};
use super::submission;
use crate::api::list::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::api::problem::Kind;
use crate::domain::AttemptOutcome;
use crate::domain::limits::{LABEL_CHARS_MAX, LABELS_MAX};

/// The group.
pub const GROUP: Group = Group { tag: "tasks", about: "One task, and lists of them.", calls, schemas };

fn calls() -> Vec<Call> {
    vec![submit(), list(), get(), attempts(), cancel(), resolve()]
}

fn submit() -> Call {
    Call::new("post", "/v1/tasks", "submitTask")
        .about(
            "Submit a task",
            "`201`: it is committed to the database. `202`, with Kafka: every copy of its record is made. The same id with \
             the same document again is the same task and gets the same answer.",
        )
        .with([shared("IdempotencyKey"), shared("Traceparent")])
        .takes(true, json_like(reference("Submission"), submission::example()))
        .answers(StatusCode::CREATED, "Stored.", json_of(reference("Accepted")))
        .with_header("Location")
        .answers(StatusCode::ACCEPTED, "Safe in the topic.", json_of(reference("Accepted")))
        .with_header("Location")
        .or(&[Kind::InvalidField, Kind::InvalidHeader, Kind::Conflict, Kind::NotReady, Kind::Unacknowledged])
}

fn list() -> Call {
    let page = answered(json!({
        "tasks": { "type": "array", "items": reference("ListedTask") },
        "next_cursor": about(or_null(text()), "Where the next page begins; null: there is none."),
    }));
    Call::new("get", "/v1/tasks", "listTasks")
        .about("List tasks", "The newest first, without their payloads. All filters given must fit.")
        .with(filters(reference("State")))
        .with([
            query("limit", "Most tasks of the page.", {
                let mut limit = integer(1, LIMIT_MAX);
                set(&mut limit, "default", LIMIT_DEFAULT);
                limit
            }),
            query("cursor", "The `next_cursor` of the page before.", json!({ "type": "string", "format": "cursor" })),
        ])
        .answers(StatusCode::OK, "A page.", json_of(page))
        .or(&[Kind::InvalidParameter, Kind::Unavailable])
}

/// What lists, and changes of many, choose by.
pub fn filters(state: Value) -> Vec<Value> {
    let instants = || json!({ "type": "string", "format": "date-time" });
    let label = label_pattern();
    vec![
        query("state", "In this state.", state),
        query(
            "label",
            "With this label: `name=value`, or `name:value` where there is no `=` at all. Repeated: with all of them.",
            json!({ "type": "array", "maxItems": LABELS_MAX, "items": { "type": "string", "pattern": label } }),
        ),
        query(
            "target",
            "For this target: `http:HOST[:PORT]` (without the port where it is the scheme's own), `kafka:[CLUSTER/]TOPIC` or \
             `log`.",
            json!({ "type": "string", "minLength": 1, "format": "target-address" }),
        ),
        query("from", "Created at this instant or later.", instants()),
        query("to", "Created before this instant.", instants()),
    ]
}

/// `name=value`, or `name:value` where there is no `=` at all.
pub fn label_pattern() -> String {
    let part = |without: &str, from: u8| format!("[^{without}\\u0000]{{{from},{LABEL_CHARS_MAX}}}");
    let (any, name, bare) = (part("", 0), part("=", 1), part("=:", 1));
    format!("^({name}={any}|{bare}:{})$", part("=", 0))
}

fn get() -> Call {
    Call::new("get", "/v1/tasks/{id}", "getTask")
        .about("Read a task", "With Kafka its state is `accepted` until it is stored.")
        .with([shared("TaskId"), shared("IfNoneMatch")])
        .answers(StatusCode::OK, "The task.", json_of(json!({ "anyOf": [reference("Task"), reference("Accepted")] })))
        .with_header("ETag")
        .answers(StatusCode::NOT_MODIFIED, "It is as the caller knows it.", Value::Null)
        .with_header("ETag")
        .or(&[Kind::InvalidParameter, Kind::InvalidHeader, Kind::NoSuchTask, Kind::Unavailable])
}

fn attempts() -> Call {
    Call::new("get", "/v1/tasks/{id}/attempts", "listAttempts")
        .about("Read a task's attempts", "One for each start that has ended, in their order.")
        .with([shared("TaskId")])
        .answers(
            StatusCode::OK,
            "Its attempts.",
            json_of(answered(json!({ "attempts": { "type": "array", "items": reference("Attempt") } }))),
        )
        .or(&[Kind::InvalidParameter, Kind::NoSuchTask, Kind::Unavailable])
}

fn cancel() -> Call {
    let unseen = answered(json!({
        "id": uuid(), "state": { "const": "cancelled" }, "stored": about(json!({ "const": false }), "It never was."),
    }));
    Call::new("delete", "/v1/tasks/{id}", "cancelTask")
        .about(
            "Cancel a task",
            "While it is `scheduled`. It stays readable, as `cancelled`. With Kafka an id that was never seen is `202`: \
             it is stored as cancelled when it comes in.",
        )
        .with([shared("TaskId")])
        .answers(StatusCode::OK, "Cancelled.", json_of(reference("TaskStands")))
        .answers(StatusCode::ACCEPTED, "Will be cancelled when it comes in.", json_of(unseen))
        .or(&[Kind::InvalidParameter, Kind::NoSuchTask, Kind::WrongState, Kind::Unavailable])
}

fn resolve() -> Call {
    Call::new("post", "/v1/tasks/{id}/resolve", "resolveTask")
        .about("Settle an unknown task", "`scheduled` fires it again now.")
        .with([shared("TaskId")])
        .takes(true, json_like(reference("Resolution"), json!({ "state": "succeeded" })))
        .answers(StatusCode::OK, "Settled.", json_of(reference("TaskStands")))
        .or(&[Kind::InvalidField, Kind::InvalidParameter, Kind::NoSuchTask, Kind::WrongState])
}

fn schemas() -> Vec<(&'static str, Value)> {
    let resolution = taken(&["state"], json!({ "state": { "enum": ["succeeded", "failed", "scheduled"] } }));
    let mut schemas = submission::schemas();
    schemas.extend([
        ("Accepted", answered(json!({ "id": uuid(), "state": { "enum": ["scheduled", "accepted"] } }))),
        ("Task", task(true)),
        ("ListedTask", task(false)),
        ("Target", target()),
        ("Retry", retry()),
        ("Attempt", attempt()),
        ("Resolution", resolution),
    ]);
    schemas
}

fn task(whole: bool) -> Value {
    let mut fields = json!({
        "id": uuid(), "state": reference("State"),
        "run_at": about(instant(), "What was asked for."),
        "due_at": about(instant(), "When it is to be fired next."),
        "target": reference("Target"),
        "delivery": reference("Delivery"), "retry": reference("Retry"), "timeout_ms": count(),
        "misfire": { "anyOf": [{ "const": "fire" }, answered(json!({ "expire_after_ms": count() }))] },
        "priority": integer(0, crate::domain::limits::PRIORITY_MAX),
        "labels": { "type": "object", "additionalProperties": text() },
        "attempt": about(count(), "Starts so far."),
        "created_at": about(instant(), "When it was stored."),
        "dispatched_at": or_null(instant()), "started_at": or_null(instant()),
        "finished_at": or_null(instant()),
        "lateness_ms": about(or_null(number()), "How long after its `due_at` the last call began."),
        "last_error": or_null(text()), "node": or_null(text()), "epoch": or_null(count()),
    });
    let paused = about(json!({ "const": true }), "It waits for the end of a pause.");
    let mut more = json!({ "paused": paused });
    if whole {
        set(&mut fields, "payload", reference("Payload"));
        let words = "When a node received it, or its record was written, and not later than `created_at`; absent: nobody knows.";
        set(&mut more, "accepted_at", about(instant(), words));
    }
    answered_or(fields, more)
}

fn target() -> Value {
    let headers = json!({ "headers": { "type": "object", "additionalProperties": text() } });
    let mut kafka = headers.clone();
    set(&mut kafka, "cluster", text());
    set(&mut kafka, "key", text());
    json!({ "oneOf": [
        answered_or(json!({ "type": { "const": "http" }, "url": text(), "method": text() }), headers),
        answered_or(json!({ "type": { "const": "kafka" }, "topic": text() }), kafka),
        answered(json!({ "type": { "const": "log" } })),
    ] })
}

fn retry() -> Value {
    answered(json!({
        "max_attempts": count(), "initial_ms": count(), "factor": number(), "max_ms": count(), "jitter": number(),
    }))
}

fn attempt() -> Value {
    use AttemptOutcome::{Ambiguous, Failed, NotSent, Succeeded};
    answered(json!({
        "attempt": about(count(), "1 is the first start."), "node": or_null(text()), "epoch": or_null(count()),
        "due_at": instant(), "started_at": or_null(instant()), "finished_at": instant(),
        "outcome": { "enum": [Succeeded, Failed, NotSent, Ambiguous] },
        "error": or_null(text()),
    }))
}
