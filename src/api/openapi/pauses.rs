//! Pauses of dispatch.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, json_like, json_of, shared};
use super::schema::{about, answered, answered_or, count, instant, integer, or_null, reference, taken, text};
use super::tasks::label_pattern;
use crate::api::problem::Kind;
use crate::domain::limits::PAUSE_REASON_CHARS_MAX;

/// The group.
pub const GROUP: Group =
    Group { tag: "pauses", about: "Pauses of dispatch, for everything or by label.", calls, schemas };

fn calls() -> Vec<Call> {
    let pause = || json_of(reference("Pause"));
    let list = answered(json!({ "pauses": { "type": "array", "items": reference("Pause") } }));
    vec![
        Call::new("post", "/v1/pauses", "pause")
            .about(
                "Pause",
                "From the answer on no task that matches is claimed any more; what was claimed before goes on.",
            )
            .takes(true, json_like(reference("NewPause"), json!({ "label": "tenant=acme", "reason": "maintenance" })))
            .answers(StatusCode::CREATED, "Paused.", pause())
            .answers(StatusCode::OK, "It was paused already, or is again.", pause())
            .or(&[Kind::InvalidField]),
        Call::new("get", "/v1/pauses", "listPauses")
            .about("List pauses", "Those in force, and those that are being resumed.")
            .answers(StatusCode::OK, "The pauses.", json_of(list))
            .or(&[Kind::Unavailable]),
        Call::new("post", "/v1/pauses/{id}/resume", "resume")
            .about("Resume", "The oldest first, at a pace. When nothing waits any more the pause is gone.")
            .with([shared("PauseId")])
            .takes(true, json_like(reference("Resumption"), json!({ "per_second": 500 })))
            .answers(StatusCode::OK, "It is being resumed.", pause())
            .or(&[Kind::InvalidField, Kind::InvalidParameter, Kind::NoSuchPause]),
    ]
}

fn schemas() -> Vec<(&'static str, Value)> {
    let label = json!({ "type": "string", "pattern": label_pattern() });
    let reason = json!({
        "type": "string", "maxLength": PAUSE_REASON_CHARS_MAX, "pattern": "^[^\\u0000-\\u001F\\u007F-\\u009F]*$",
    });
    let pace = or_null(integer(1, 100_000));
    let pause = answered_or(
        json!({
            "id": count(), "label": about(or_null(text()), "`name=value`; null: everything."), "reason": or_null(text()),
            "paused_at": instant(), "resumed_at": or_null(instant()), "per_second": or_null(count()),
            "waiting": about(count(), "Tasks that have come due meanwhile, counted up to 10,000."),
        }),
        json!({ "waiting_more": about(json!({ "const": true }), "There are more than that.") }),
    );
    vec![
        ("Pause", pause),
        ("NewPause", taken(&[], json!({ "label": or_null(label), "reason": or_null(reason) }))),
        (
            "Resumption",
            taken(
                &[],
                json!({
                    "per_second": about(pace, "Tasks a second, 1000 if absent; null: all at once."),
                }),
            ),
        ),
    ]
}
