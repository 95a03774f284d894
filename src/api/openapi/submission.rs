//! The schema of a task as it is submitted. It takes what `domain::document` takes, and nothing else.

use serde_json::{Value, json};

use super::schema::{about, integer, or_null, reference, set, taken};
use crate::domain::limits::{
    AHEAD_MAX, ATTEMPTS_MAX, BACKOFF_MAX, HEADER_BYTES_MAX, HEADERS_MAX, LABEL_CHARS_MAX, LABELS_MAX, METHOD_CHARS_MAX,
    PRIORITY_MAX, RECORD_KEY_BYTES_MAX, TIMEOUT_DEFAULT, TIMEOUT_MS, URL_BYTES_MAX,
};
use crate::domain::retry::RetryPolicy;
use crate::domain::target_document::RESERVED_HEADERS;
use crate::domain::time::millis_of;

/// Text without NUL, which databases do not keep.
pub const NO_NUL: &str = "^[^\\u0000]*$";

/// The schemas of a submission.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Submission", submission()),
        ("SubmittedTarget", target()),
        ("SubmittedRetry", retry()),
        ("Payload", payload()),
        ("Labels", labels()),
    ]
}

fn submission() -> Value {
    let fields = json!({
        "id": about(
            json!({ "type": ["string", "null"], "format": "uuid" }),
            "The same id again is the same task. Made by the server if absent.",
        ),
        "run_at": run_at(),
        "delay_ms": delay_ms(),
        "target": reference("SubmittedTarget"),
        "payload": reference("Payload"),
        "delivery": {
            "enum": ["at_most_once", "at_least_once", null], "default": "at_most_once",
            "description": "What happens when nobody can know whether the target was reached.",
        },
        "retry": reference("SubmittedRetry"),
        "timeout_ms": about(
            or_default(integer(*TIMEOUT_MS.start(), *TIMEOUT_MS.end()), millis_of(TIMEOUT_DEFAULT)),
            "Longest time of one call; at least 2000 for a topic.",
        ),
        "misfire": misfire(),
        "priority": about(or_default(integer(0, PRIORITY_MAX), 0), "Among due tasks the higher goes first."),
        "labels": reference("Labels"),
    });
    let mut schema = taken(&["target"], fields);
    set(&mut schema, "oneOf", either_time());
    set(&mut schema, "examples", json!([example()]));
    schema
}

/// A submission that does nothing for an hour.
pub fn example() -> Value {
    json!({
        "delay_ms": 3_600_000, "target": { "type": "log" }, "payload": { "order": 42 }, "labels": { "tenant": "acme" },
    })
}

/// `run_at` or `delay_ms`, and not both; null is absent.
pub fn either_time() -> Value {
    let one = |given: &str, other: &str, kind: &str| json!({ "required": [given], "properties": { given: { "type": kind }, other: { "type": "null" } } });
    json!([one("run_at", "delay_ms", "string"), one("delay_ms", "run_at", "integer")])
}

/// When it is to run.
pub fn run_at() -> Value {
    json!({
        "type": ["string", "null"], "format": "date-time",
        "description": "RFC 3339 with an offset, at most 10 years ahead.",
    })
}

/// The same, from now.
pub fn delay_ms() -> Value {
    about(or_null(integer(0, millis_of(AHEAD_MAX))), "Milliseconds from receipt.")
}

fn or_default(schema: Value, default: impl Into<Value>) -> Value {
    let mut schema = or_null(schema);
    set(&mut schema, "default", default);
    schema
}

fn misfire() -> Value {
    json!({
        "description": "What happens to a task whose `due_at` has long passed.", "default": "fire",
        "anyOf": [
            { "enum": ["fire", null] },
            taken(&["expire_after_ms"], json!({ "expire_after_ms": integer(0, u64::MAX) })),
        ],
    })
}

fn payload() -> Value {
    json!({
        "description": "Any JSON of at most 256 KiB and 128 levels, sent as it is. An object of `base64` alone is raw \
            bytes, in standard base64 with padding.",
    })
}

fn labels() -> Value {
    json!({
        "type": ["object", "null"], "maxProperties": LABELS_MAX, "description": "Names and values to find it by.",
        "propertyNames": { "minLength": 1, "maxLength": LABEL_CHARS_MAX, "pattern": NO_NUL },
        "additionalProperties": { "type": "string", "maxLength": LABEL_CHARS_MAX, "pattern": NO_NUL },
    })
}

fn retry() -> Value {
    let default = RetryPolicy::default();
    let longest = millis_of(BACKOFF_MAX);
    let mut schema = taken(
        &[],
        json!({
            "max_attempts": about(or_default(integer(1, ATTEMPTS_MAX), default.max_attempts), "Starts; 1 is no retry."),
            "initial_ms": about(or_default(integer(0, longest), default.initial_ms), "Backoff after the first failure."),
            "factor": about(
                json!({ "type": ["number", "null"], "minimum": 1, "maximum": 100, "default": default.factor }),
                "Each further backoff is this times the one before.",
            ),
            "max_ms": about(or_default(integer(0, longest), default.max_ms), "Longest backoff."),
            "jitter": about(
                json!({ "type": ["number", "null"], "minimum": 0, "maximum": 1, "default": default.jitter }),
                "The part of a backoff that is left to chance.",
            ),
        }),
    );
    set(&mut schema, "type", json!(["object", "null"]));
    about(schema, "How often and when a failed attempt is tried again.")
}

fn target() -> Value {
    let nothing = || json!({ "type": "null" });
    let http = taken(
        &["type", "url"],
        json!({
            "type": { "const": "http" },
            "url": {
                "type": "string", "format": "uri", "maxLength": URL_BYTES_MAX,
                "description": "Absolute, http or https, without user name or password.",
            },
            "method": {
                "type": ["string", "null"], "default": "POST", "maxLength": METHOD_CHARS_MAX,
                "pattern": "^[!#$%&'*+.^_`|~0-9A-Z-]+$", "not": { "const": "CONNECT" },
            },
            "headers": http_headers(),
            "cluster": nothing(), "topic": nothing(), "key": nothing(),
        }),
    );
    let kafka = taken(
        &["type", "topic"],
        json!({
            "type": { "const": "kafka" },
            "cluster": about(
                json!({ "type": ["string", "null"], "pattern": "^[a-z0-9._-]{1,64}$" }),
                "By its name in the node's settings; absent: that of the submission topic.",
            ),
            "topic": about(json!({ "type": "string", "pattern": "^[a-zA-Z0-9._-]{1,249}$" }), "One that the settings allow."),
            "key": { "type": ["string", "null"], "maxLength": RECORD_KEY_BYTES_MAX },
            "headers": {
                "type": ["object", "null"], "maxProperties": HEADERS_MAX, "additionalProperties": { "type": "string" },
            },
            "url": nothing(), "method": nothing(),
        }),
    );
    let log = taken(
        &["type"],
        json!({
            "type": { "const": "log" },
            "url": nothing(), "method": nothing(), "headers": nothing(),
            "cluster": nothing(), "topic": nothing(), "key": nothing(),
        }),
    );
    json!({
        "oneOf": [http, kafka, log],
        "description": "Where it goes: one HTTP request, one record on a topic of Kafka, or a line in the node's log.",
        "examples": [{ "type": "http", "url": "https://hooks.example.org/orders", "headers": { "x-mine": "1" } }],
    })
}

/// Each name once, whatever its case, and none that the scheduler sets itself.
fn http_headers() -> Value {
    json!({
        "type": ["object", "null"], "maxProperties": HEADERS_MAX, "format": "distinct-headers",
        "propertyNames": { "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "not": { "pattern": reserved() } },
        "additionalProperties": {
            "type": "string", "maxLength": HEADER_BYTES_MAX, "pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$",
        },
    })
}

/// In any case, with either dash.
fn reserved() -> String {
    let one = |c: char| match c {
        '-' => "[-_]".to_owned(),
        c => format!("[{}{c}]", c.to_ascii_uppercase()),
    };
    let names: Vec<String> = RESERVED_HEADERS.iter().map(|name| name.chars().map(one).collect()).collect();
    let own: String = "x-task-".chars().map(one).collect();
    format!("^(({})$|{own})", names.join("|"))
}
