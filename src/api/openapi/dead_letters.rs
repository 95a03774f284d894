//! Records that could not be read.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, json_like, json_of, query, shared};
use super::schema::{about, answered, answered_or, count, instant, integer, or_null, reference, set, taken, text};
use crate::api::list::LIMIT_MAX;
use crate::api::problem::Kind;

/// The group.
pub const GROUP: Group = Group { tag: "dead letters", about: "Records that could not be read.", calls, schemas };

fn calls() -> Vec<Call> {
    let page = answered(json!({
        "dead_letters": { "type": "array", "items": reference("DeadLetter") }, "next_cursor": or_null(text()),
    }));
    vec![
        Call::new("get", "/v1/dead-letters", "listDeadLetters")
            .about("List dead letters", "The newest first, replayed ones too.")
            .with([
                query("limit", "Most of the page.", integer(1, LIMIT_MAX)),
                query(
                    "cursor",
                    "The `next_cursor` of the page before.",
                    json!({ "type": "string", "format": "letter-cursor" }),
                ),
            ])
            .answers(StatusCode::OK, "A page.", json_of(page))
            .or(&[Kind::InvalidParameter, Kind::Unavailable]),
        Call::new("get", "/v1/dead-letters/{id}", "getDeadLetter")
            .about("Read a dead letter", "With the record itself.")
            .with([shared("LetterId")])
            .answers(StatusCode::OK, "The letter.", json_of(reference("WholeDeadLetter")))
            .or(&[Kind::InvalidParameter, Kind::NoSuchDeadLetter, Kind::Unavailable]),
        Call::new("post", "/v1/dead-letters/{id}/replay", "replayDeadLetter")
            .about("Replay a dead letter", "As it is, or with another record instead. Answered like a submission.")
            .with([shared("LetterId"), shared("Traceparent")])
            .takes(true, json_like(reference("Replay"), json!({})))
            .answers(StatusCode::CREATED, "Stored.", json_of(reference("Accepted")))
            .with_header("Location")
            .answers(StatusCode::ACCEPTED, "Safe in the topic.", json_of(reference("Accepted")))
            .with_header("Location")
            .or(&[
                Kind::InvalidField,
                Kind::InvalidParameter,
                Kind::NoSuchDeadLetter,
                Kind::ReplayedAlready,
                Kind::Conflict,
                Kind::NotReady,
                Kind::Unacknowledged,
            ]),
    ]
}

fn schemas() -> Vec<(&'static str, Value)> {
    let fields = json!({
        "id": count(), "buried_at": instant(), "origin": text(), "reason": text(), "bytes": count(),
        "published": { "type": "boolean" }, "replayed_at": or_null(instant()),
    });
    let mut whole = fields.clone();
    set(
        &mut whole,
        "record",
        about(
            json!({ "anyOf": [text(), answered(json!({ "base64": text() }))] }),
            "As text if it is UTF-8, else as base64.",
        ),
    );
    let truncated = about(json!({ "const": true }), "The record is longer: this is its beginning.");
    vec![
        ("DeadLetter", answered(fields)),
        ("WholeDeadLetter", answered_or(whole, json!({ "truncated": truncated }))),
        ("Replay", taken(&[], json!({ "record": reference("Submission") }))),
    ]
}
