//! A task's way from its submission to its target, as caller and target see it.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use serde_json::{Value, json};

use crate::harness::node::until;
use crate::harness::{Answer, Call, Node, Receiver, database, http};

const SOON: Duration = Duration::from_secs(20);

fn submit(node: &Node, document: &Value) -> String {
    let answer = http::post_json(&node.url("/v1/tasks"), document);
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn task(node: &Node, id: &str) -> Value {
    http::get(&node.url(&format!("/v1/tasks/{id}"))).json()
}

fn until_state(node: &Node, id: &str, state: &str) -> Value {
    until(&format!("task {id} is {state}"), SOON, || task(node, id)["state"] == state);
    task(node, id)
}

fn run_at(call: &Call) -> SystemTime {
    DateTime::parse_from_rfc3339(call.header("x-task-run-at").unwrap()).unwrap().into()
}

#[test]
fn a_task_is_called_at_its_time_once_with_the_promised_headers() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let micros = (chrono::Utc::now() + Duration::from_secs(1)).timestamp_micros();
    let due = DateTime::from_timestamp_micros(micros).unwrap();
    let document = json!({"run_at": due, "target": {"type": "http", "url": receiver.url("/hook"),
        "headers": {"X-Mine": "1"}}, "payload": {"order": 42}});
    let id = submit(&node, &document);
    let call = receiver.wait_for(1, SOON).remove(0);
    assert_eq!(run_at(&call), SystemTime::from(due), "the instant that was asked for");
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/hook"));
    assert_eq!(call.body, br#"{"order":42}"#);
    for (name, value) in [
        ("idempotency-key", id.as_str()),
        ("x-task-id", &id),
        ("x-task-attempt", "1"),
        ("x-task-epoch", "1"),
        ("content-type", "application/json"),
        ("x-mine", "1"),
    ] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }
    let lateness = call.at.duration_since(run_at(&call)).expect("never early");
    assert!(lateness < Duration::from_millis(500), "{lateness:?} late");
    let done = until_state(&node, &id, "succeeded");
    assert_eq!((&done["attempt"], &done["payload"]), (&json!(1), &json!({"order": 42})));
    assert!(done["lateness_ms"].as_f64().unwrap() < 500.0);
    assert_eq!(receiver.calls().len(), 1);
}

#[test]
fn a_definite_failure_is_retried_and_every_attempt_is_told() {
    let receiver = Receiver::answering(|_, before| Answer::status(if before == 0 { 503 } else { 200 }));
    let node = Node::start();
    let id = submit(
        &node,
        &json!({"delay_ms": 0, "retry": {"initial_ms": 10},
        "target": {"type": "http", "url": receiver.url("/")}}),
    );
    until_state(&node, &id, "succeeded");
    let attempts = http::get(&node.url(&format!("/v1/tasks/{id}/attempts"))).json();
    let attempts = attempts["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|one| (one["attempt"].clone(), one["outcome"].clone())).collect();
    assert_eq!(outcomes, [(json!(1), json!("failed")), (json!(2), json!("succeeded"))]);
    let calls = receiver.calls();
    assert_eq!(calls.iter().map(|call| call.header("x-task-attempt").unwrap()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(calls[0].header("idempotency-key"), calls[1].header("idempotency-key"));
}

#[test]
fn retry_after_is_obeyed() {
    let busy = |_: &Call, before| Answer {
        headers: if before == 0 { vec!["retry-after: 1".to_owned()] } else { Vec::new() },
        ..Answer::status(if before == 0 { 503 } else { 200 })
    };
    let (receiver, node) = (Receiver::answering(busy), Node::start());
    submit(
        &node,
        &json!({"delay_ms": 0, "retry": {"initial_ms": 1},
        "target": {"type": "http", "url": receiver.url("/")}}),
    );
    let calls = receiver.wait_for(2, SOON);
    assert!(calls[1].at.duration_since(calls[0].at).unwrap() >= Duration::from_millis(990));
}

#[test]
fn when_nobody_can_know_the_delivery_decides() {
    let receiver = Receiver::answering(|_, before| Answer::status(if before == 0 { 0 } else { 200 }));
    let node = Node::start();
    let target = json!({"type": "http", "url": receiver.url("/")});
    let once = submit(&node, &json!({"delay_ms": 0, "target": target}));
    let stopped = until_state(&node, &once, "unknown");
    assert!(stopped["last_error"].is_string());
    let least = submit(
        &node,
        &json!({"delay_ms": 0, "target": target, "delivery": "at_least_once",
        "retry": {"initial_ms": 1}}),
    );
    until_state(&node, &least, "succeeded");
    let of = |id: &str| receiver.calls().iter().filter(|call| call.header("x-task-id") == Some(id)).count();
    assert_eq!((of(&once), of(&least)), (1, 2));
    let answer = http::post_json(&node.url(&format!("/v1/tasks/{once}/resolve")), &json!({"state": "scheduled"}));
    assert_eq!(answer.status, 200);
    until_state(&node, &once, "succeeded");
    assert_eq!(of(&once), 2);
}

#[test]
fn never_more_calls_at_once_than_slots_and_none_is_forgotten() {
    let slow = |_: &Call, _| Answer { after: Duration::from_millis(5), ..Answer::status(204) };
    let (receiver, node) = (Receiver::answering(slow), Node::with(&["--slots", "16"]));
    let one = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let answer = http::post_json(&node.url("/v1/tasks/batch"), &Value::from(vec![one; 1_500]));
    assert_eq!(answer.status, 201);
    receiver.wait_for(1_500, Duration::from_mins(1));
    assert!(receiver.at_once() <= 16, "{} at once", receiver.at_once());
    assert_eq!(receiver.calls().len(), 1_500);
}

#[test]
fn among_due_tasks_the_higher_priority_goes_first() {
    let slow = |_: &Call, _| Answer { after: Duration::from_millis(20), ..Answer::status(204) };
    let (receiver, node) = (Receiver::answering(slow), Node::with(&["--slots", "1", "--claim-buffer", "1"]));
    let target = json!({"type": "http", "url": receiver.url("/")});
    let at = (chrono::DateTime::<chrono::Utc>::from(SystemTime::now()) + Duration::from_secs(1)).to_rfc3339();
    let documents: Vec<Value> =
        (0..10).map(|n| json!({"run_at": at, "priority": n, "payload": n, "target": target})).collect();
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &Value::from(documents)).status, 201);
    let order: Vec<u8> = receiver.wait_for(10, SOON).iter().map(|call| call.body[0] - b'0').collect();
    assert_eq!(order, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn what_is_cancelled_or_expired_is_never_called() {
    let (receiver, node) = (Receiver::start(), Node::start());
    let target = json!({"type": "http", "url": receiver.url("/")});
    let cancelled = submit(&node, &json!({"delay_ms": 700, "target": target}));
    assert_eq!(http::request("DELETE", &node.url(&format!("/v1/tasks/{cancelled}")), &[], b"").status, 200);
    let expired = submit(
        &node,
        &json!({"run_at": "2020-01-01T00:00:00Z", "target": target,
        "misfire": {"expire_after_ms": 1_000}}),
    );
    until_state(&node, &expired, "expired");
    let late = submit(&node, &json!({"run_at": "2020-01-01T00:00:00Z", "target": target}));
    until_state(&node, &late, "succeeded");
    let after = submit(&node, &json!({"delay_ms": 900, "target": target}));
    until_state(&node, &after, "succeeded");
    assert_eq!(task(&node, &cancelled)["state"], "cancelled");
    let called: Vec<String> =
        receiver.calls().iter().map(|call| call.header("x-task-id").unwrap().to_owned()).collect();
    assert_eq!(called, [late, after]);
}

#[test]
fn beyond_loopback_only_public_or_allowed_addresses_are_called() {
    let receiver = Receiver::start();
    let address = crate::harness::node::free_address();
    let listen = format!("0.0.0.0:{}", address.port());
    let document = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let guarded = Node::with(&["--listen", &listen, "--allow-unauthenticated"]);
    let id = submit(&guarded, &document);
    let refused = until_state(&guarded, &id, "failed");
    assert!(refused["last_error"].as_str().unwrap().contains("--http-allow"), "{refused}");
    assert!(receiver.calls().is_empty());
    drop(guarded);
    let open = Node::with(&["--listen", &listen, "--allow-unauthenticated", "--http-allow", "127.0.0.0/8"]);
    let id = submit(&open, &document);
    until_state(&open, &id, "succeeded");
}

#[test]
fn tasks_that_are_due_one_after_another_share_claims_and_start_records() {
    const TASKS: usize = 1_000;
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start());
    let node = Node::in_folder(folder.path(), &[]);
    let one = |n: usize| json!({"delay_ms": 1_000 + n, "target": {"type": "http", "url": receiver.url("/")}});
    let batch: Vec<Value> = (0..TASKS).map(one).collect();
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &Value::from(batch)).status, 201);
    receiver.wait_for(TASKS, SOON);
    assert!(node.stop().success());
    // Every call that ends asks for more: without gathering there is a row for each.
    for table in ["assignment", "start_record"] {
        let rows = database::rows_ever(folder.path(), table);
        assert!(rows <= TASKS / 3, "{rows} rows of {table} for {TASKS} tasks");
    }
}
