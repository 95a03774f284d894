//! The cluster as a whole.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Group;
use super::call::{Call, json_of};
use super::schema::{about, answered, count, instant, number, or_null, reference, text, uuid};
use crate::api::problem::Kind;
use crate::domain::State;

/// The group.
pub const GROUP: Group = Group { tag: "cluster", about: "All nodes together.", calls, schemas };

fn calls() -> Vec<Call> {
    vec![
        Call::new("get", "/v1/cluster", "getCluster")
            .about("Nodes and mastership", "Generations: lives of nodes. A draining one has no slots.")
            .answers(StatusCode::OK, "Who is there, who is master, and who was.", json_of(reference("Cluster")))
            .or(&[Kind::Unavailable]),
        Call::new("get", "/v1/stats", "getStats")
            .about("Figures", "Of all nodes together; rates and lateness over about the last minute.")
            .answers(StatusCode::OK, "Counts by state, rates, lateness, what waits.", json_of(reference("Stats")))
            .or(&[Kind::Unavailable]),
    ]
}

fn schemas() -> Vec<(&'static str, Value)> {
    let list = |name: &str| json!({ "type": "array", "items": reference(name) });
    let cluster = answered(json!({
        "epoch": about(or_null(count()), "Of the newest term."),
        "master": about(or_null(uuid()), "The master's generation."),
        "nodes": list("Node"), "terms": list("Term"),
    }));
    vec![("Cluster", cluster), ("Node", node()), ("Term", term()), ("Stats", stats())]
}

fn node() -> Value {
    answered(json!({
        "id": about(uuid(), "The generation."), "name": text(), "address": text(), "version": text(),
        "state": { "enum": ["alive", "draining", "dead"] }, "is_master": { "type": "boolean" },
        "slots": count(), "free_slots": count(), "heartbeat_age_ms": count(),
        "clock_offset_ms": about(number(), "Its wall clock less the database's."),
    }))
}

fn term() -> Value {
    answered(json!({
        "epoch": count(), "node": text(), "generation": uuid(), "elected_at": instant(),
        "ended_at": or_null(instant()), "end_reason": or_null(text()),
    }))
}

fn stats() -> Value {
    let states: Map<String, Value> = State::ALL.into_iter().map(|state| (state.word().to_owned(), count())).collect();
    answered(json!({
        "tasks": answered(states.into()),
        "rates": answered(json!({
            "over_ms": count(), "stored_per_s": number(), "started_per_s": number(), "ended_per_s": number(),
        })),
        "lateness_ms": answered(json!({ "p50": or_null(number()), "p99": or_null(number()) })),
        "queue": answered(json!({
            "depth": about(json!({ "type": "integer" }), "Submissions in the nodes' memory."),
            "lag": about(json!({ "type": "integer" }), "Records of the topic that are not stored."),
            "oldest_ms": about(count(), "How long ago the oldest of them that was read was written."),
            "retention_ms": about(or_null(count()), "How long the topic keeps records; null: for ever."),
            "stopped": about(count(), "Partitions that wait for an operator."),
        })),
        "pauses": about(count(), "Pauses in force."),
        "dead_letters": about(count(), "Records that could not be read."),
    }))
}
