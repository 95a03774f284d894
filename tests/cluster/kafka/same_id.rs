//! The same id again through a topic: what is stored already is told apart before it is on the topic.

use serde_json::{Value, json};
use uuid::Uuid;

use super::SOON;
use crate::harness::http;
use crate::harness::node::until;
use crate::harness::on_topic::OnTopic;

fn document(id: &str, priority: u8) -> Value {
    json!({"id": id, "delay_ms": 60_000, "target": {"type": "log"}, "priority": priority})
}

#[test]
fn another_document_under_a_stored_id_is_a_conflict() {
    let Some(on) = OnTopic::start(2) else { return };
    let url = |node: usize| on.cluster.nodes[node].url("/v1/tasks");
    let (id, key) = (Uuid::now_v7().to_string(), "order 17");
    let with_key = |node: usize, priority: u8| {
        let document = json!({"delay_ms": 60_000, "target": {"type": "log"}, "priority": priority});
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        http::request("POST", &url(node), &headers, document.to_string().as_bytes())
    };
    assert_eq!(http::post_json(&url(0), &document(&id, 0)).status, 202);
    assert_eq!(with_key(0, 0).status, 202);
    until("both are stored", SOON, || on.cluster.counts(0)["scheduled"] == 2);

    for node in 0..2 {
        let again = http::post_json(&url(node), &document(&id, 0));
        assert_eq!((again.status, &again.json()["state"]), (202, &json!("accepted")), "the same answer as before");
        assert_eq!(with_key(node, 0).status, 202);
        let other = http::post_json(&url(node), &document(&id, 1));
        assert_eq!((other.status, &other.json()["id"]), (409, &json!(id)), "{}", other.json());
        assert_eq!(other.json()["type"], "urn:task-scheduler:problem:conflict");
        assert_eq!(with_key(node, 1).status, 409);
    }
    let new = Uuid::now_v7().to_string();
    let batch = json!([document(&new, 0), document(&id, 1), document(&id, 0), document(&new, 0)]);
    let answer = http::post_json(&on.cluster.nodes[1].url("/v1/tasks/batch"), &batch);
    let results = answer.json()["results"].clone();
    assert_eq!((answer.status, &results[1]["problem"]["status"]), (200, &json!(409)), "{results}");
    assert_eq!((&results[1]["index"], &results[1]["problem"]["id"]), (&json!(1), &json!(id)), "{results}");
    for accepted in [(0, &new), (2, &id), (3, &new)] {
        assert_eq!(results[accepted.0], json!({"id": accepted.1, "status": 202}), "{results}");
    }
    until("the new one is stored", SOON, || on.cluster.counts(0)["scheduled"] == 3 && on.is_ingested());
    assert_eq!(on.dead_letters(), 0, "what was refused is not on the topic");
}

#[test]
fn what_is_still_in_the_topic_goes_by_who_was_first() {
    let Some(on) = OnTopic::start(1) else { return };
    let id = Uuid::now_v7().to_string();
    let batch = json!([document(&id, 3), document(&id, 4)]);
    assert_eq!(http::post_json(&on.cluster.nodes[0].url("/v1/tasks/batch"), &batch).status, 202);
    until("the other is buried", SOON, || on.dead_letters() == 1);
    let task = http::get(&on.cluster.nodes[0].url(&format!("/v1/tasks/{id}"))).json();
    assert_eq!(task["priority"], 3);
    let (accepted_at, created_at) = (task["accepted_at"].as_str(), task["created_at"].as_str());
    assert!(accepted_at.is_some() && accepted_at <= created_at, "{task}");
}
