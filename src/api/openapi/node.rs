//! The node that is asked.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Group;
use super::call::{Call, JSON, json_of};
use super::schema::{answered, text};
use crate::api::problem::Kind;

/// The group.
pub const GROUP: Group = Group { tag: "node", about: "The node that is asked.", calls, schemas: Vec::new };

fn calls() -> Vec<Call> {
    let status = |word: &str| json_of(answered(json!({ "status": { "const": word } })));
    let of = |media_type: &str| json!({ media_type: { "schema": text() } });
    vec![
        Call::new("get", "/healthz", "isAlive").about("Is it alive?", "The process serves.").answers(
            StatusCode::OK,
            "Yes.",
            status("alive"),
        ),
        Call::new("get", "/readyz", "isReady")
            .about("Is it ready?", "It takes submissions, and its actors are alive.")
            .answers(StatusCode::OK, "Yes.", status("ready"))
            .or(&[Kind::NotReady]),
        Call::new("get", "/metrics", "getMetrics").about("Metrics for Prometheus", "In its text format.").answers(
            StatusCode::OK,
            "The figures of this node.",
            of("text/plain"),
        ),
        Call::new("get", "/actors", "showActors").about("A page about its actors", "").answers(
            StatusCode::OK,
            "The page.",
            of("text/html"),
        ),
        Call::new("get", "/openapi.json", "getDescription").about("This description", "OpenAPI 3.1.").answers(
            StatusCode::OK,
            "The description.",
            json!({ JSON: { "schema": Value::from(true) } }),
        ),
        Call::new("get", "/docs", "showDescription").about("A page of this description", "").answers(
            StatusCode::OK,
            "The page.",
            of("text/html"),
        ),
    ]
}
