//! Several nodes on one PostgreSQL: each task once and in time, whatever the database's clock does.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::harness::alone::alone;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::shape::{Shape, shapes};
use crate::harness::{Answer, Call, Node, Receiver, http};
use crate::services::postgres::server;

const SOON: Duration = Duration::from_secs(20);
/// Who is silent for so long is declared dead, and a second and a half later at the latest.
const DEAD_BY: Duration = Duration::from_millis(3_000 + 1_500);
const NODES: usize = 3;

/// How often each task was received.
fn received(receiver: &Receiver) -> HashMap<String, usize> {
    let mut calls = HashMap::new();
    for call in receiver.calls() {
        *calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default() += 1;
    }
    calls
}

/// Milliseconds from each task's instant, as its node tells it, to its call, sorted.
fn lateness(receiver: &Receiver) -> Vec<f64> {
    let mut late: Vec<f64> = receiver.calls().iter().map(Call::lateness_ms).collect();
    late.sort_by(f64::total_cmp);
    late
}

#[test]
fn every_node_executes_and_each_task_is_called_once() {
    const TASKS: usize = 1_000;
    let Some(cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    let over = (Duration::from_millis(500), Duration::from_secs(4));
    let ids: Vec<String> = (0..3).flat_map(|node| cluster.submit(node, &receiver.url("/"), TASKS, over)).collect();
    until("all have succeeded", SOON, || cluster.counts(1)["succeeded"] == 3 * TASKS);
    let calls = received(&receiver);
    assert!(ids.iter().all(|id| calls.get(id) == Some(&1)), "each once");
    let late = lateness(&receiver);
    println!(
        "lateness on three nodes: first {:.3}, p50 {:.3}, p99 {:.3}, last {:.3} ms",
        late[0],
        late[late.len() / 2],
        late[late.len() * 99 / 100],
        late[late.len() - 1]
    );
    assert!(late[0] >= 0.0, "never early: {}", late[0]);
    let mut by_node: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let task = http::get(&cluster.nodes[0].url(&format!("/v1/tasks/{id}"))).json();
        *by_node.entry(task["node"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(by_node.len() == 3 && by_node.values().all(|tasks| *tasks >= 3 * TASKS / 5), "{by_node:?}");
}

#[test]
fn what_is_due_at_once_is_called_at_once_wherever_it_was_submitted() {
    let Some(cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    let began = SystemTime::now();
    for node in 0..3 {
        cluster.submit(node, &receiver.url("/"), 1, (Duration::ZERO, Duration::ZERO));
        receiver.wait_for(node + 1, SOON);
    }
    let took = began.elapsed().unwrap();
    println!("three tasks due at once, one after another through three nodes: {took:?}");
    assert!(took < Duration::from_secs(1), "word of a task does not wait for a sweep: {took:?}");
}

#[test]
fn many_tasks_of_one_instant_are_called_in_time_each_once() {
    for shape in shapes() {
        let _alone = alone();
        let Some(cluster) = shape.cluster(NODES) else { return };
        many_of_one_instant(*shape, &cluster);
    }
}

fn many_of_one_instant(shape: Shape, cluster: &Cluster) {
    const TASKS: usize = 20_000;
    let receiver = Receiver::start();
    let due = DateTime::from_timestamp_micros((Utc::now() + Duration::from_secs(5)).timestamp_micros()).unwrap();
    let run_at = due.to_rfc3339_opts(SecondsFormat::Micros, true);
    let one = serde_json::json!({"run_at": run_at, "target": {"type": "http", "url": receiver.url("/")}});
    for node in 0..2 {
        let batch = serde_json::Value::from(vec![one.clone(); TASKS / 2]);
        let answer = http::post_json(&cluster.nodes[node].url("/v1/tasks/batch"), &batch);
        assert!(matches!(answer.status, 201 | 202), "{}", answer.json());
    }
    until("all have succeeded", Duration::from_secs(40), || cluster.counts(0)["succeeded"] == TASKS);
    let late_ms = |call: &Call| (DateTime::<Utc>::from(call.at) - due).num_nanoseconds().unwrap() as f64 / 1e6;
    let mut late: Vec<f64> = receiver.calls().iter().map(late_ms).collect();
    late.sort_by(f64::total_cmp);
    let told = |call: &Call| DateTime::parse_from_rfc3339(call.header("x-task-run-at").unwrap()).unwrap();
    assert!(receiver.calls().iter().all(|call| told(call) == due), "the instant that was asked for");
    let calls = received(&receiver);
    assert_eq!(calls.len(), TASKS);
    assert!(calls.values().all(|calls| *calls == 1), "each once");
    println!("20,000 of one instant ({shape:?}): first {:.1} ms, last {:.1} ms", late[0], late[TASKS - 1]);
    assert!(late[0] >= 0.0, "never early: {}", late[0]);
    assert!(late[TASKS - 1] <= 4_000.0, "{}", late[TASKS - 1]);
}

#[test]
fn a_database_clock_that_steps_by_an_hour_stops_nothing_and_kills_nobody() {
    for shape in shapes() {
        for step_us in [3_600_000_000, -3_600_000_000] {
            let Some(cluster) = shape.cluster(NODES) else { return };
            step(*shape, &cluster, step_us);
        }
    }
}

/// The clock goes wrong under a load, and right again: each is called once, and nobody dies or is deposed.
fn step(shape: Shape, cluster: &Cluster, step_us: i64) {
    const BEFORE: usize = 300;
    const AFTER: usize = 50;
    let receiver = Receiver::start();
    let at = |path: &str| receiver.calls().into_iter().filter(|call| call.path == path).collect::<Vec<_>>();
    cluster.submit(0, &receiver.url("/before"), BEFORE, (Duration::from_secs(1), Duration::from_secs(3)));
    receiver.wait_for(50, SOON);
    cluster.shift_clock(step_us);
    steps_seen(cluster, 1);
    let (count, sent, delay) = (receiver.count(), SystemTime::now(), Duration::from_millis(500));
    // As long as it takes to declare somebody dead there is something to do.
    cluster.submit(1, &receiver.url("/after"), AFTER, (delay, DEAD_BY + delay));
    until("what is due after the step is called", SOON, || at("/after").len() == AFTER);
    assert!(sent.elapsed().unwrap() > DEAD_BY);
    assert!(at("/after").iter().all(|call| call.at >= sent + delay), "never early");
    if step_us > 0 {
        until("what had become due by the step is called too", SOON, || at("/before").len() == BEFORE);
    } else {
        assert!(at("/before").len() < BEFORE, "what is due in an hour is not called");
    }
    all_live(cluster);
    cluster.shift_clock(0);
    steps_seen(cluster, 2);
    let again = SystemTime::now();
    cluster.submit(2, &receiver.url("/again"), AFTER, (delay, DEAD_BY + delay));
    until("all have succeeded", SOON, || cluster.counts(0)["succeeded"] == BEFORE + 2 * AFTER);
    assert!(again.elapsed().unwrap() > DEAD_BY);
    all_live(cluster);
    println!(
        "step of {step_us} us and back ({shape:?}): {count} calls before, {} at the end; {}",
        receiver.count(),
        cluster.counts(0)
    );
    let calls = received(&receiver);
    assert!(calls.len() == BEFORE + 2 * AFTER && calls.values().all(|calls| *calls == 1), "each once");
    assert_eq!(cluster.counts(0)["unknown"], 0);
}

/// All nodes live, in the generations in which they were started, and one is master.
fn all_live(cluster: &Cluster) {
    let seen = cluster.seen_by(0);
    let nodes = seen["nodes"].as_array().unwrap();
    assert!(nodes.len() == NODES && nodes.iter().all(|node| node["state"] == "alive"), "{seen}");
    assert_eq!(nodes.iter().filter(|node| node["is_master"] == true).count(), 1, "{seen}");
}

#[test]
fn what_a_clock_made_due_and_then_not_due_any_more_holds_nobody_up() {
    let Some(server) = server() else { return };
    let cluster = Cluster::with(server, 1, &["--slots", "4", "--claim-buffer", "8"]);
    let receiver = Receiver::answering(|_, _| Answer { after: Duration::from_millis(200), ..Answer::status(204) });
    let half_an_hour = Duration::from_mins(30);
    cluster.submit(0, &receiver.url("/"), 1_000, (half_an_hour, half_an_hour));
    // An hour ahead, all of them are due, and far more than there are slots for.
    cluster.shift_clock(3_600_000_000);
    receiver.wait_for(20, SOON);
    cluster.shift_clock(0);
    steps_seen(&cluster, 2);
    // More than once: what is given back must not be claimed again and kept.
    for round in ["/first", "/second", "/third"] {
        cluster.submit(0, &receiver.url(round), 10, (Duration::ZERO, Duration::ZERO));
        until("what is due now is called", SOON, || {
            receiver.calls().iter().filter(|call| call.path == round).count() == 10
        });
    }
    assert!(received(&receiver).values().all(|calls| *calls == 1), "each once");
}

#[test]
fn an_older_program_is_refused_where_the_schema_needs_a_newer_one() {
    let Some(server) = server() else { return };
    let url = server.schema();
    let mut cluster = Cluster { url: url.clone(), nodes: Vec::new() };
    cluster.join(&url);
    // As a newer program's migration does: it can be lived with, so the old node goes on.
    cluster.run("UPDATE schema_version SET version = 99");
    cluster.join(&url);
    cluster.run("UPDATE schema_version SET min_program = 99");
    let mut refused = Node::starting(&["--database-url", &url]);
    assert_eq!(refused.wait().code(), Some(2), "{}", refused.log());
    assert!(
        refused.log().contains("made by a newer program") && refused.log().contains("--database-url"),
        "{}",
        refused.log()
    );
}

/// Every node has seen so many steps of the database's clock: before that, its estimate is of the time before.
fn steps_seen(cluster: &Cluster, steps: usize) {
    let line = format!("task_scheduler_database_clock_steps_total {steps}");
    for node in &cluster.nodes {
        until("the step is counted", SOON, || {
            String::from_utf8(http::get(&node.url("/metrics")).body).unwrap().lines().any(|shown| shown == line)
        });
    }
}
