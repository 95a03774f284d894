//! Tasks that are changed, run and retried: by what callers are answered and targets receive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Answer, Call, Node, Receiver, http};

const SOON: Duration = Duration::from_secs(30);
const RACES: usize = 2_000;
const JSON: (&str, &str) = ("content-type", "application/json");

fn submit(url: &str, document: &Value) -> String {
    let answer = http::post_json(url, document);
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], document: &Value) -> http::Answer {
    http::request(method, url, &[&[JSON], headers].concat(), document.to_string().as_bytes())
}

/// The kind of a problem.
fn kind(answer: &http::Answer) -> String {
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

#[test]
fn a_task_is_changed_as_its_caller_knows_it() {
    let node = Node::start();
    let target = json!({"type": "log"});
    let id = submit(&node.url("/v1/tasks"), &json!({"delay_ms": 3_600_000, "target": target, "payload": [1]}));
    let url = node.url(&format!("/v1/tasks/{id}"));
    let read = http::get(&url);
    let tag = read.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(http::get(&url).header("etag"), Some(tag.as_str()), "as long as nothing changes");
    let known = http::request("GET", &url, &[("if-none-match", &tag)], b"");
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag.as_str())));

    let changed = send("PATCH", &url, &[("if-match", &tag)], &json!({"priority": 7, "payload": {"a": 1.00}}));
    assert_eq!(changed.status, 200, "{}", changed.json());
    let new_tag = changed.header("etag").unwrap().to_owned();
    assert_ne!(new_tag, tag);
    assert_eq!(changed.body, http::get(&url).body, "the whole task, as it is read");
    assert_eq!(http::get(&url).header("etag"), Some(new_tag.as_str()));
    let (before, after) = (read.json(), changed.json());
    for (name, value) in after.as_object().unwrap() {
        match name.as_str() {
            "priority" => assert_eq!(value, 7),
            "payload" => assert_eq!(value, &json!({"a": 1.0})),
            _ => assert_eq!(value, &before[name], "{name}"),
        }
    }
    let old = send("PATCH", &url, &[("if-match", &tag)], &json!({"priority": 1}));
    assert_eq!((old.status, kind(&old)), (412, "precondition-failed".to_owned()));
    assert_eq!(http::get(&url).json(), after);
    assert_eq!(http::request("GET", &url, &[("if-none-match", &tag)], b"").status, 200, "it has changed");

    let moved = send("PATCH", &url, &[("if-match", "*")], &json!({"run_at": "2031-12-24T18:00:00+01:00"})).json();
    let at = "2031-12-24T17:00:00.000000Z";
    assert_eq!((&moved["run_at"], &moved["due_at"]), (&json!(at), &json!(at)));
    for (headers, document) in [
        (&[][..], json!({})),
        (&[][..], json!({"run_at": at, "delay_ms": 1})),
        (&[][..], json!({"target": {"type": "log"}})),
        (&[("if-match", "x")][..], json!({"priority": 1})),
    ] {
        assert_eq!(send("PATCH", &url, headers, &document).status, 400, "{document}");
    }
    assert_eq!(http::request("PATCH", &url, &[], b"{\"priority\": 1}").status, 415);
    assert_eq!(http::get(&url).json(), moved);
    assert_eq!(http::request("DELETE", &url, &[], b"").status, 200);
    let late = send("PATCH", &url, &[("if-match", &tag)], &json!({"priority": 1}));
    assert_eq!((late.status, kind(&late)), (409, "wrong-state".to_owned()), "its state is told first");
    let nobody = node.url(&format!("/v1/tasks/{}", Uuid::now_v7()));
    assert_eq!(send("PATCH", &nobody, &[], &json!({"priority": 1})).status, 404);
}

#[test]
fn a_task_is_run_now_and_a_failed_one_is_retried() {
    let node = Node::start();
    // The first call is refused for good.
    let receiver = Receiver::answering(|_, before| Answer::status(if before == 0 { 400 } else { 204 }));
    let target = json!({"type": "http", "url": receiver.url("/")});
    let id = submit(&node.url("/v1/tasks"), &json!({"delay_ms": 3_600_000, "target": target}));
    let url = node.url(&format!("/v1/tasks/{id}"));
    let state = || http::get(&url).json()["state"].take();
    let step = |name: &str| send("POST", &format!("{url}/{name}"), &[], &json!({}));
    let told = json!({"id": id, "state": "scheduled"});

    assert_eq!((step("retry").status, kind(&step("retry"))), (409, "wrong-state".to_owned()));
    let run_at = http::get(&url).json()["run_at"].take();
    let run = step("run");
    assert_eq!((run.status, run.json()), (200, told.clone()));
    receiver.wait_for(1, SOON);
    until("it has failed", SOON, || state() == "failed");
    assert_eq!(http::get(&url).json()["run_at"], run_at, "what was asked for stays");
    assert_eq!((step("run").status, kind(&step("run"))), (409, "wrong-state".to_owned()));
    // Without a body too, but never without the content type.
    let retry = http::request("POST", &format!("{url}/retry"), &[JSON], b"");
    assert_eq!((retry.status, retry.json()), (200, told));
    receiver.wait_for(2, SOON);
    until("it has succeeded", SOON, || state() == "succeeded");
    assert_eq!(http::request("POST", &format!("{url}/retry"), &[], b"").status, 415);
    assert_eq!(send("POST", &format!("{url}/run"), &[], &json!({"state": "failed"})).status, 400);
    let nobody = node.url(&format!("/v1/tasks/{}/run", Uuid::now_v7()));
    assert_eq!(send("POST", &nobody, &[], &json!({})).status, 404);
}

/// How one race went: what the caller was told, and when the task is to run since.
struct Raced {
    id: String,
    status: u16,
    run_at: Option<String>,
}

/// A task that is due in a moment, and what is done to it around its claim, which comes 50 ms before its call.
fn race(nodes: &[Node], n: usize, hook: &str) -> Raced {
    let (id, delay_ms) = (Uuid::now_v7().to_string(), rand::random_range(100..200_u64));
    let target = json!({"type": "http", "url": hook});
    let sent = Instant::now();
    submit(&nodes[n % nodes.len()].url("/v1/tasks"), &json!({"id": id, "delay_ms": delay_ms, "target": target}));
    let url = nodes[(n + 1) % nodes.len()].url(&format!("/v1/tasks/{id}"));
    // The fault itself: a moment that nothing announces.
    let at = sent + Duration::from_micros(delay_ms * 1_000 - rand::random_range(0..100_000));
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
    if n.is_multiple_of(4) {
        let run = send("POST", &format!("{url}/run"), &[], &json!({}));
        return Raced { id, status: run.status, run_at: None };
    }
    let patch = send("PATCH", &url, &[], &json!({"delay_ms": 250}));
    let run_at = (patch.status == 200).then(|| patch.json()["run_at"].as_str().unwrap().to_owned());
    Raced { id, status: patch.status, run_at }
}

fn races(name: &str, nodes: &[Node], times: usize) {
    const LANES: usize = 32;
    let (receiver, began) = (Receiver::start(), Instant::now());
    let hook = receiver.url("/");
    let raced: Vec<Raced> = std::thread::scope(|scope| {
        let lane = |first: usize| {
            let hook = &hook;
            scope.spawn(move || (first..times).step_by(LANES).map(|n| race(nodes, n, hook)).collect::<Vec<_>>())
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    until("all have ended", SOON, || {
        let counts = http::get(&nodes[0].url("/v1/stats")).json()["tasks"].take();
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let mut calls: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for call in receiver.calls() {
        calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default().push(call);
    }
    let mut told: BTreeMap<(bool, u16), usize> = BTreeMap::new();
    for race in &raced {
        *told.entry((race.run_at.is_some(), race.status)).or_default() += 1;
        assert!(matches!(race.status, 200 | 409), "{} {}", race.id, race.status);
        let [call] = &calls[&race.id][..] else { panic!("{}: {} calls", race.id, calls[&race.id].len()) };
        let Some(run_at) = &race.run_at else { continue };
        let due = SystemTime::from(DateTime::parse_from_rfc3339(run_at).unwrap().with_timezone(&Utc));
        assert!(call.at >= due, "{}: called {:?} before its new instant", race.id, due.duration_since(call.at));
        assert_eq!(call.header("x-task-run-at"), Some(run_at.as_str()), "{}", race.id);
    }
    println!(
        "{name}: {times} races within {:.1?}; (patched, status): {told:?}; called at an old instant after an answered patch 0, \
         twice 0, lost 0",
        began.elapsed()
    );
    for met in [(true, 200), (false, 200), (false, 409)] {
        assert!(told.get(&met).is_some_and(|times| *times >= 5), "{met:?} of {told:?}");
    }
}

#[test]
fn a_changed_task_is_never_called_at_its_old_instant_nor_twice() {
    races("one node, embedded", &[Node::start()], RACES);
}

#[test]
fn on_three_nodes_a_changed_task_is_never_called_at_its_old_instant_nor_twice() {
    if let Some(cluster) = Cluster::start(3) {
        races("three nodes", &cluster.nodes, RACES);
    }
}
