//! What has been finished long enough goes by itself, beside the work, and nothing else does.

use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::sqlite::SqliteConnection;
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Answer, Call, Node, Receiver, http};
use crate::services::postgres;

const SOON: Duration = Duration::from_secs(40);
/// Tasks that are to go.
const OLD: usize = 1_500;
/// Tasks that are called meanwhile.
const FIRED: usize = 200;
/// As long ago as the tests' retention keeps, and a little.
const AGED: &str = "UPDATE task_history SET finished_at = finished_at - 3660000000";
const HOUR: [&str; 2] = ["--retention-hours", "1"];

fn stats(node: &Node) -> Value {
    http::get(&node.url("/v1/stats")).json()["tasks"].clone()
}

fn submitted(node: &Node, documents: Vec<Value>) -> Vec<String> {
    let answer = http::post_json(&node.url("/v1/tasks/batch"), &Value::from(documents));
    assert_eq!(answer.status, 201, "{}", answer.json());
    let results = answer.json();
    results["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// 504 to what is sent to `/lost`.
fn receiver() -> Receiver {
    Receiver::answering(|call, _| Answer::status(if call.path == "/lost" { 504 } else { 204 }))
}

/// Many that have succeeded, the first of them first, and at the end one that is unknown.
fn finished(node: &Node, receiver: &Receiver) -> Vec<String> {
    let log = || json!({"delay_ms": 0, "target": {"type": "log"}, "labels": {"kind": "old"}});
    let lost = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/lost")}});
    let ids = submitted(node, (0..OLD).map(|_| log()).chain([lost]).collect());
    until("all have ended", SOON, || stats(node)["succeeded"] == OLD && stats(node)["unknown"] == 1);
    ids
}

fn status(node: &Node, id: &str) -> u16 {
    http::get(&node.url(&format!("/v1/tasks/{id}"))).status
}

/// What was aged goes while others are called in time; what is unknown stays; and an id is free again.
fn goes_beside_the_work(node: &Node, receiver: &Receiver, old: &[String]) {
    let (unknown, gone) = old.split_last().unwrap();
    let before = receiver.count();
    let hook = |n: usize| json!({"delay_ms": 500 + n * 10, "target": {"type": "http", "url": receiver.url("/")}});
    submitted(node, (0..FIRED).map(hook).collect());
    receiver.wait_for(before + FIRED, SOON);
    let late: Vec<f64> = receiver.calls()[before..].iter().map(Call::lateness_ms).collect();
    let worst = late.iter().copied().fold(f64::MIN, f64::max);
    println!("{FIRED} calls beside the removal of {OLD}: the latest {worst:.1} ms late");
    assert!(late.iter().all(|ms| (0.0..1_000.0).contains(ms)), "{late:?}");
    until("the old ones are gone", SOON, || stats(node)["succeeded"] == FIRED);
    assert_eq!((status(node, &gone[0]), status(node, gone.last().unwrap()), status(node, unknown)), (404, 404, 200));
    assert_eq!(stats(node)["unknown"], 1);
    let listed = http::get(&node.url("/v1/tasks?label=kind%3Dold")).json();
    assert_eq!(listed["tasks"], json!([]));
    // The same id is a new task now.
    let before = receiver.count();
    let again = json!({"id": gone[0], "delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    assert_eq!(http::post_json(&node.url("/v1/tasks"), &again).status, 201);
    receiver.wait_for(before + 1, SOON);
}

#[test]
fn a_node_removes_what_has_been_finished_long_enough() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), receiver());
    let first = Node::in_folder(folder.path(), &HOUR);
    let old = finished(&first, &receiver);
    assert!(first.stop().success());
    let file = folder.path().join("task-scheduler.db");
    SqliteConnection::establish(&file.to_string_lossy()).unwrap().batch_execute(AGED).unwrap();
    let node = Node::in_folder(folder.path(), &HOUR);
    goes_beside_the_work(&node, &receiver, &old);
    let metrics = String::from_utf8(http::get(&node.url("/metrics")).body).unwrap();
    assert!(metrics.contains(&format!("task_scheduler_removed_total {OLD}\n")), "{metrics}");
    let says = format!("retention removed {OLD} tasks");
    until("the sweep is told of, once", SOON, || node.log().matches(&says).count() == 1);
}

#[test]
fn the_master_of_a_cluster_removes_what_has_been_finished_long_enough() {
    let Some(server) = postgres::server() else { return };
    let (cluster, receiver) = (Cluster::with(server, 2, &HOUR), receiver());
    let old = finished(&cluster.nodes[0], &receiver);
    cluster.run(AGED);
    goes_beside_the_work(&cluster.nodes[0], &receiver, &old);
}

#[test]
fn without_a_retention_nothing_is_removed() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), receiver());
    let first = Node::in_folder(folder.path(), &[]);
    let old = finished(&first, &receiver);
    assert!(first.stop().success());
    let file = folder.path().join("task-scheduler.db");
    SqliteConnection::establish(&file.to_string_lossy()).unwrap().batch_execute(AGED).unwrap();
    // One keeps for ever and one for a week, and both have long looked when these are called.
    for flags in [&["--retention-hours", "0"], &["--retention-hours", "168"]] {
        let node = Node::in_folder(folder.path(), flags);
        let before = receiver.count();
        submitted(&node, vec![json!({"delay_ms": 2_500, "target": {"type": "http", "url": receiver.url("/")}})]);
        receiver.wait_for(before + 1, SOON);
        assert_eq!((status(&node, &old[0]), status(&node, &old[OLD])), (200, 200));
        assert!(node.stop().success());
    }
}
