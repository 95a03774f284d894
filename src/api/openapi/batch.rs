//! Many submissions at once.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, JSON};
use super::schema::{about, answered, count, reference, set, uuid};
use super::submission;
use crate::api::lines::MEDIA_TYPE as LINES;
use crate::api::problem::Kind;
use crate::domain::limits::BATCH_TASKS_MAX;

/// The group.
pub const GROUP: Group = Group { tag: "batches", about: "Many submissions at once.", calls, schemas };

const DETAIL: &str = "Up to 10,000 tasks and 16 MiB: a JSON array, or one task per line (`application/x-ndjson`). Each gets \
    its own answer, in the order sent. Who sends lines and also accepts `application/x-ndjson` is answered line by line, \
    while the body still comes in, each line once its task is taken; a body that breaks off has been taken as far as its \
    lines came in whole, and the last line of the answer is a problem. Answered in one document, it is `201` if all are \
    stored, `202` if all are taken, and `200` if there is any problem, or where lines are answered.";

fn calls() -> Vec<Call> {
    let tasks = json!({ "type": "array", "maxItems": BATCH_TASKS_MAX, "items": reference("Submission") });
    let all = || json!({ JSON: { "schema": reference("BatchAnswer") } });
    let mut any = all();
    set(&mut any, LINES, json!({ "schema": about(json!({ "type": "string" }), "Per line a `BatchLine`.") }));
    vec![
        Call::new("post", "/v1/tasks/batch", "submitBatch")
            .about("Submit many tasks", DETAIL)
            .takes(
                true,
                json!({
                    JSON: { "schema": tasks, "example": [submission::example()] },
                    LINES: {
                        "schema": about(
                        json!({ "type": "string", "pattern": "[!-~]" }),
                        "Per line a `Submission`.",
                    ),
                        "example": format!("{}\n", submission::example()),
                    },
                }),
            )
            .answers(StatusCode::OK, "There is a problem with some, or lines are answered.", any)
            .answers(StatusCode::CREATED, "All are stored.", all())
            .answers(StatusCode::ACCEPTED, "All are safe, and some wait in the topic.", all())
            .or(&[Kind::InvalidField, Kind::InvalidHeader, Kind::NotReady, Kind::Unacknowledged]),
    ]
}

fn schemas() -> Vec<(&'static str, Value)> {
    let index = || about(count(), "Its place in the batch.");
    let status = || about(json!({ "enum": [201, 202] }), "As if it had been submitted alone.");
    let refused = || answered(json!({ "index": index(), "problem": reference("Problem") }));
    let taken = answered(json!({ "id": uuid(), "status": status() }));
    let line = answered(json!({ "index": index(), "id": uuid(), "status": status() }));
    let results = json!({ "type": "array", "items": { "anyOf": [taken, refused()] } });
    vec![("BatchAnswer", answered(json!({ "results": results }))), ("BatchLine", json!({ "anyOf": [line, refused()] }))]
}
