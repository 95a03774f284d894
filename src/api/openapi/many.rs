//! Changes of many tasks at once, chosen by the list's filters.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, JSON, json_like, query};
use super::schema::{about, answered, answered_or, count, reference, set, taken};
use super::submission::{delay_ms, either_time, run_at};
use super::tasks::filters;
use crate::api::lines::MEDIA_TYPE as LINES;
use crate::api::problem::Kind;
use crate::domain::State;

/// The group.
pub const GROUP: Group =
    Group { tag: "many tasks", about: "Changes of many tasks at once, chosen by the list's filters.", calls, schemas };

const DETAIL: &str = "At least one filter must be given; a `state` given must be the one that the call acts on. It acts on \
    what was stored before the request came in, in batches. Who accepts `application/x-ndjson` gets a line per batch, the \
    last one with `\"done\": true`. A caller that goes away stops it after the batch under way; what the same call does then \
    is: cancel and resolve go on with what is left, retry too (and tries again what failed meanwhile), run and reschedule begin anew.";

fn calls() -> Vec<Call> {
    let nothing = || json_like(taken(&[], json!({})), json!({}));
    let resolution = json_like(reference("Resolution"), json!({ "state": "failed" }));
    let time = json_like(reference("NewTime"), json!({ "delay_ms": 60_000 }));
    vec![
        many(("/v1/tasks:cancel", State::Scheduled), "cancelTasks", "Cancel scheduled tasks", nothing()),
        many(("/v1/tasks:run", State::Scheduled), "runTasks", "Fire scheduled tasks now", nothing()),
        many(("/v1/tasks:retry", State::Failed), "retryTasks", "Schedule failed tasks again", nothing()),
        many(("/v1/tasks:resolve", State::Unknown), "resolveTasks", "Settle unknown tasks", resolution),
        many(
            ("/v1/tasks:reschedule", State::Scheduled),
            "rescheduleTasks",
            "Move scheduled tasks to another time",
            time,
        ),
    ]
}

fn many((path, state): (&'static str, State), name: &'static str, summary: &'static str, body: Value) -> Call {
    let lines = about(json!({ "type": "string" }), "Per line a `ManyProgress`.");
    let mut filters = filters(json!({ "enum": [state] }));
    if let Some(label) = filters.iter_mut().find(|one| one["name"] == "label") {
        set(label, "example", json!(["tenant=acme"]));
    }
    Call::new("post", path, name)
        .about(summary, DETAIL)
        .with(filters)
        .with([query("dry_run", "`true`: only counts.", json!({ "enum": ["true", "false"] }))])
        .takes(true, body)
        .answers(
            StatusCode::OK,
            "Done.",
            json!({
                JSON: { "schema": { "anyOf": [reference("ManyDone"), reference("ManyCounted")] } },
                LINES: { "schema": lines },
            }),
        )
        .or(&[Kind::InvalidField, Kind::InvalidParameter])
}

fn schemas() -> Vec<(&'static str, Value)> {
    let mut time = taken(&[], json!({ "run_at": run_at(), "delay_ms": delay_ms() }));
    set(&mut time, "oneOf", either_time());
    let counts = json!({
        "matched": count(), "changed": count(), "skipped": about(count(), "Had moved on meanwhile."),
    });
    let progress = answered_or(
        json!({ "matched": count(), "done": json!({ "type": "boolean" }) }),
        json!({
            "changed": count(), "skipped": count(), "dry_run": { "const": true }, "problem": reference("Problem"),
        }),
    );
    vec![
        ("NewTime", time),
        ("ManyDone", answered(counts)),
        ("ManyCounted", answered(json!({ "matched": count(), "dry_run": { "const": true } }))),
        ("ManyProgress", progress),
    ]
}
