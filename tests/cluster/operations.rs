//! The same done to many tasks over REST.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Answer, Node, Receiver, http};

const SOON: Duration = Duration::from_secs(30);
const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("accept", "application/x-ndjson");

fn post(node: &Node, path: &str, headers: &[(&str, &str)], document: &Value) -> http::Answer {
    http::request("POST", &node.url(path), &[&[JSON], headers].concat(), document.to_string().as_bytes())
}

/// What is answered with success.
fn done(node: &Node, path: &str, document: &Value) -> Value {
    let answer = post(node, path, &[], document);
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

fn counts(node: &Node) -> Value {
    http::get(&node.url("/v1/stats")).json()["tasks"].take()
}

/// So many tasks with this label that are not due while a test runs.
fn store(node: &Node, tasks: usize, label: &str) {
    let one = json!({"delay_ms": 3_600_000, "target": {"type": "log"}, "labels": {"of": label}});
    for some in vec![one; tasks].chunks(10_000) {
        assert_eq!(post(node, "/v1/tasks/batch", &[], &json!(some)).status, 201);
    }
}

#[test]
fn only_what_is_meant_is_changed_and_all_of_it() {
    let node = Node::start();
    store(&node, 250, "a");
    store(&node, 40, "b");
    let tally = |matched: usize, changed: usize| json!({"matched": matched, "changed": changed, "skipped": 0});
    assert_eq!(
        done(&node, "/v1/tasks:cancel?label=of%3Da&dry_run=true", &json!({})),
        json!({"matched": 250, "dry_run": true})
    );
    assert_eq!(counts(&node)["scheduled"], 290, "a dry run changes nothing");
    let later = json!({"run_at": "2031-12-24T18:00:00Z"});
    assert_eq!(done(&node, "/v1/tasks:reschedule?label=of%3Db", &later), tally(40, 40));
    let moved = http::get(&node.url("/v1/tasks?label=of%3Db&limit=1000")).json();
    assert!(moved["tasks"].as_array().unwrap().iter().all(|task| task["run_at"] == "2031-12-24T18:00:00.000000Z"));
    assert_eq!(done(&node, "/v1/tasks:cancel?label=of%3Da", &json!({})), tally(250, 250));
    assert_eq!(done(&node, "/v1/tasks:cancel?label=of%3Da", &json!({})), tally(0, 0), "nothing is left");
    assert_eq!((&counts(&node)["scheduled"], &counts(&node)["cancelled"]), (&json!(40), &json!(250)));
    // An empty body is as good as none to say.
    let run = http::request("POST", &node.url("/v1/tasks:run?label=of%3Db&state=scheduled"), &[JSON], b"");
    assert_eq!((run.status, run.json()), (200, tally(40, 40)));
    until("all have been called", SOON, || counts(&node)["succeeded"] == 40);
    for (path, document, status) in [
        ("/v1/tasks:cancel", json!({}), 400),
        ("/v1/tasks:cancel?dry_run=true", json!({}), 400),
        ("/v1/tasks:retry?state=scheduled", json!({}), 400),
        ("/v1/tasks:cancel?state=scheduled&limit=3", json!({}), 400),
        ("/v1/tasks:resolve?state=unknown", json!({}), 400),
        ("/v1/tasks:reschedule?state=scheduled", json!({}), 400),
        ("/v1/tasks:cancel?state=scheduled", json!({"state": "failed"}), 400),
        ("/v1/tasks:forget?state=scheduled", json!({}), 404),
    ] {
        let answer = post(&node, path, &[], &document);
        assert_eq!(answer.status, status, "{path}: {}", answer.json());
    }
    assert_eq!(http::get(&node.url("/v1/tasks:cancel?state=scheduled")).status, 405);
    assert_eq!(http::request("POST", &node.url("/v1/tasks:cancel?state=scheduled"), &[], b"").status, 415);
}

#[test]
fn unknown_ones_are_settled_together() {
    let node = Node::start();
    // The connection ends without an answer.
    let receiver = Receiver::answering(|_, _| Answer::status(0));
    let one = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    assert_eq!(post(&node, "/v1/tasks/batch", &[], &json!(vec![one; 30])).status, 201);
    until("nobody knows", SOON, || counts(&node)["unknown"] == 30);
    let settled = done(&node, "/v1/tasks:resolve?state=unknown", &json!({"state": "succeeded"}));
    assert_eq!(settled, json!({"matched": 30, "changed": 30, "skipped": 0}));
    assert_eq!((&counts(&node)["unknown"], &counts(&node)["succeeded"]), (&json!(0), &json!(30)));
}

/// Thousands of tasks that have failed are tried again by one call, which tells how far it is: each once.
fn retry_of_many(name: &str, nodes: &[Node]) {
    const TASKS: usize = 3_000;
    let status = Arc::new(AtomicU16::new(400));
    let told = Arc::clone(&status);
    let receiver = Receiver::answering(move |_, _| Answer::status(told.load(Ordering::SeqCst)));
    let one = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}, "labels": {"of": "many"}});
    assert_eq!(post(&nodes[0], "/v1/tasks/batch", &[], &json!(vec![one; TASKS])).status, 201);
    until("all have failed", SOON, || counts(&nodes[0])["failed"] == TASKS);
    status.store(204, Ordering::SeqCst);
    let node = &nodes[nodes.len() - 1];
    let path = "/v1/tasks:retry?state=failed&label=of%3Dmany";
    assert_eq!(done(node, &format!("{path}&dry_run=true"), &json!({})), json!({"matched": TASKS, "dry_run": true}));
    assert_eq!(receiver.count(), TASKS);
    let began = Instant::now();
    let answer = post(node, path, &[LINES], &json!({}));
    let lasted = began.elapsed();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let lines: Vec<Value> = answer
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(*last, json!({"matched": TASKS, "changed": TASKS, "skipped": 0, "done": true}));
    assert!(before.len() >= TASKS / 250 - 1, "a line for each batch: {}", before.len());
    let matched: Vec<u64> = lines.iter().map(|line| line["matched"].as_u64().unwrap()).collect();
    assert!(matched.is_sorted() && before.iter().all(|line| line["done"] == false), "{lines:?}");
    until("all have succeeded", SOON, || counts(&nodes[0])["succeeded"] == TASKS);
    let mut ids: Vec<_> = receiver.calls().iter().map(|call| call.header("x-task-id").unwrap().to_owned()).collect();
    println!("{name}: {TASKS} retried in {} batches within {lasted:.1?}", lines.len());
    assert_eq!(ids.len(), TASKS * 2, "each once more");
    ids.sort_unstable();
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn failed_ones_are_retried_together_each_once() {
    retry_of_many("one node, embedded", &[Node::start()]);
}

#[test]
fn on_three_nodes_failed_ones_are_retried_together_each_once() {
    if let Some(cluster) = Cluster::start(3) {
        retry_of_many("three nodes", &cluster.nodes);
    }
}

/// Goes away when `gone` says so; how many tasks are cancelled when nothing has happened for a while.
fn left_alone(node: &Node, accept: &str, gone: impl FnOnce(&mut BufReader<TcpStream>)) -> u64 {
    let mut connection = TcpStream::connect(node.address()).unwrap();
    let head =
        "POST /v1/tasks:cancel?label=of%3Dmany HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(connection, "{head}accept: {accept}\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
    let mut connection = BufReader::new(connection);
    gone(&mut connection);
    drop(connection);
    let cancelled = || counts(node)["cancelled"].as_u64().unwrap();
    let (mut seen, mut since) = (cancelled(), Instant::now());
    // Some twenty batches long.
    until("it stands still", SOON, || {
        let now = cancelled();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300)
    });
    seen
}

#[test]
fn a_caller_that_goes_away_stops_it_and_comes_back_for_the_rest() {
    const TASKS: u64 = 20_000;
    let node = Node::start();
    store(&node, TASKS as usize, "many");
    let told = left_alone(&node, "application/x-ndjson", |connection| {
        let mut line = String::new();
        while !line.contains("matched") {
            line.clear();
            assert!(connection.read_line(&mut line).unwrap() > 0, "a line is told");
        }
    });
    let untold = left_alone(&node, "application/json", |_| {
        until("it has begun", SOON, || counts(&node)["cancelled"].as_u64().unwrap() > told);
    });
    println!("gone after the first line: {told} of {TASKS} cancelled; gone before an answer: {untold}");
    assert!(0 < told && told < TASKS / 2, "{told}");
    assert!(told < untold && untold < TASKS * 3 / 4, "{untold}");
    let rest = TASKS - untold;
    assert_eq!(
        done(&node, "/v1/tasks:cancel?label=of%3Dmany", &json!({})),
        json!({"matched": rest, "changed": rest, "skipped": 0})
    );
    assert_eq!((&counts(&node)["scheduled"], &counts(&node)["cancelled"]), (&json!(0), &json!(TASKS)));
}

/// Sends its request and closes its half of the connection; status and body of the answer.
fn half_closed(node: &Node, query: &str) -> (u16, Value) {
    let mut connection = TcpStream::connect(node.address()).unwrap();
    connection.set_read_timeout(Some(SOON)).unwrap();
    write!(
        connection,
        "POST /v1/tasks:cancel?{query} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn what_was_stopped_early_is_not_answered_as_if_it_were_done() {
    const TASKS: u64 = 20_000;
    let node = Node::start();
    store(&node, TASKS as usize, "many");
    let (status, counted) = half_closed(&node, "label=of%3Dmany&dry_run=true");
    assert_eq!((status, &counted["type"]), (503, &json!("urn:task-scheduler:problem:unavailable")), "{counted}");
    assert!(counted["matched"].as_u64().unwrap() < TASKS && counted["changed"].is_null(), "{counted}");
    let (status, stopped) = half_closed(&node, "label=of%3Dmany");
    assert_eq!((status, &stopped["type"]), (503, &json!("urn:task-scheduler:problem:unavailable")), "{stopped}");
    assert!(stopped["detail"].as_str().unwrap().starts_with("stopped: the caller sends no more"), "{stopped}");
    assert!(stopped["changed"].as_u64().unwrap() < TASKS, "{stopped}");
    assert_eq!(stopped["changed"], counts(&node)["cancelled"], "what it tells is what it has done");
    // What was done with the first batch is done.
    let (status, done) = half_closed(&node, "label=of%3Dnothing");
    assert_eq!((status, done), (200, json!({"matched": 0, "changed": 0, "skipped": 0})));
}

#[test]
fn a_problem_in_the_midst_names_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder(folder.path(), &[]);
    store(&node, 1, "a");
    let file = folder.path().join("task-scheduler.db");
    let mut connection = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 10000; ALTER TABLE task RENAME TO hidden").unwrap();
    for (headers, name) in [(vec![LINES, ("x-request-id", "op-1")], "op-1"), (vec![("x-request-id", "op-2")], "op-2")] {
        let answer = post(&node, "/v1/tasks:cancel?label=of%3Da", &headers, &json!({})).json();
        let problem = if name == "op-1" { &answer["problem"] } else { &answer };
        assert_eq!((&problem["status"], &problem["request_id"]), (&json!(500), &json!(name)), "{answer}");
        assert!(node.log().contains(&format!("request {name}: failed: ")), "{}", node.log());
    }
}
