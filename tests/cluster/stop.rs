//! A node that is told to stop.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::node::until;
use crate::harness::{Answer, Call, Node, Receiver, http};

const SOON: Duration = Duration::from_secs(20);

fn slow(ms: u64) -> impl Fn(&Call, usize) -> Answer + Send + Sync {
    move |_, _| Answer { after: Duration::from_millis(ms), ..Answer::status(204) }
}

fn state(node: &Node, id: &str) -> String {
    http::get(&node.url(&format!("/v1/tasks/{id}"))).json()["state"].as_str().unwrap().to_owned()
}

fn submit(node: &Node, receiver: &Receiver, tasks: usize) -> Vec<String> {
    let one = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let answer = http::post_json(&node.url("/v1/tasks/batch"), &Value::from(vec![one; tasks]));
    assert_eq!(answer.status, 201);
    let results = answer.json();
    results["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn calls_in_flight_end_and_the_rest_is_given_back() {
    for signal in ["TERM", "INT"] {
        let receiver = Receiver::answering(slow(800));
        let folder = tempfile::tempdir().unwrap();
        let mut node = Node::in_folder(folder.path(), &["--slots", "4"]);
        let ids = submit(&node, &receiver, 20);
        receiver.wait_for(4, SOON);
        node.signal(signal);
        until("new submissions are refused or the node is gone", SOON, || {
            let document = json!({"delay_ms": 0, "target": {"type": "log"}});
            let sent = http::try_request(
                "POST",
                &node.url("/v1/tasks"),
                &[("content-type", "application/json")],
                document.to_string().as_bytes(),
            );
            !sent.is_ok_and(|answer| answer.status == 201)
        });
        assert_eq!(node.wait().code(), Some(0), "{}", node.log());
        assert_eq!(receiver.calls().len(), 4, "what had not started did not start any more");
        node.restart();
        for id in &ids {
            until("every task succeeds", SOON, || state(&node, id) == "succeeded");
        }
        assert_eq!(receiver.calls().len(), 20, "each was called once");
    }
}

#[test]
fn a_call_longer_than_the_deadline_is_left_to_its_delivery() {
    let receiver = Receiver::answering(slow(20_000));
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::in_folder(folder.path(), &["--drain-ms", "500"]);
    let ids = submit(&node, &receiver, 1);
    receiver.wait_for(1, SOON);
    let began = Instant::now();
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    node.restart();
    until("it is unknown", SOON, || state(&node, &ids[0]) == "unknown");
    assert_eq!(receiver.calls().len(), 1);
}

#[test]
fn a_second_signal_ends_at_once() {
    let receiver = Receiver::answering(slow(20_000));
    let mut node = Node::start();
    submit(&node, &receiver, 1);
    receiver.wait_for(1, SOON);
    node.signal("TERM");
    until("it drains", SOON, || node.log().contains("stopping"));
    let began = Instant::now();
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(70), "that was no clean stop");
    assert!(node.log().contains("second signal"), "{}", node.log());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}
