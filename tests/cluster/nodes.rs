//! Several nodes on one PostgreSQL: one master, each task once, whoever dies.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Receiver, http};

const SOON: Duration = Duration::from_secs(20);

/// How often each task was received.
fn received(receiver: &Receiver) -> HashMap<String, usize> {
    let mut calls = HashMap::new();
    for call in receiver.calls() {
        *calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default() += 1;
    }
    calls
}

/// Milliseconds from each task's instant to its call, sorted.
fn lateness(receiver: &Receiver) -> Vec<f64> {
    let late = |call: &crate::harness::Call| {
        let due = DateTime::parse_from_rfc3339(call.header("x-task-run-at").unwrap()).unwrap();
        let late = DateTime::<Utc>::from(call.at) - due.with_timezone(&Utc);
        late.num_microseconds().unwrap() as f64 / 1_000.0
    };
    let mut late: Vec<f64> = receiver.calls().iter().map(late).collect();
    late.sort_by(f64::total_cmp);
    late
}

#[test]
fn nodes_that_start_together_have_one_master_and_epochs_rise_by_one() {
    let Some(cluster) = Cluster::start(3) else { return };
    until("somebody is master", SOON, || cluster.master(0).is_some());
    let seen: Vec<_> = (0..3).map(|node| cluster.seen_by(node)).collect();
    for view in &seen {
        let nodes = view["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 3, "{view}");
        assert!(nodes.iter().all(|node| node["state"] == "alive"), "{view}");
        assert_eq!(nodes.iter().filter(|node| node["is_master"] == true).count(), 1, "{view}");
        let epochs: Vec<u64> =
            view["terms"].as_array().unwrap().iter().map(|term| term["epoch"].as_u64().unwrap()).collect();
        assert_eq!(epochs, (1..=epochs.len() as u64).rev().collect::<Vec<_>>());
    }
}

#[test]
fn every_node_executes_and_each_task_is_called_once() {
    const TASKS: usize = 1_000;
    let Some(cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    until("somebody is master", SOON, || cluster.master(0).is_some());
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
    until("somebody is master", SOON, || cluster.master(0).is_some());
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
fn a_killed_master_is_replaced_at_once_and_its_work_goes_on() {
    const TASKS: usize = 3_000;
    let Some(mut cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    until("somebody is master", SOON, || cluster.master(0).is_some());
    let master = cluster.master(0).unwrap();
    let other = (master + 1) % 3;
    // 300 a second, all of them stored before the fault.
    let ids = cluster.submit(other, &receiver.url("/"), TASKS, (Duration::from_secs(1), Duration::from_secs(10)));
    receiver.wait_for(TASKS / 5, SOON);
    let fault = SystemTime::now();
    cluster.nodes[master].kill();
    until("another is master", SOON, || cluster.master(other).is_some_and(|now| now != master));
    let took = fault.elapsed().unwrap();
    until("all are settled", Duration::from_secs(30), || {
        let counts = cluster.counts(other);
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let counts = cluster.counts(other);
    let calls = received(&receiver);
    let lost = ids.iter().filter(|id| !calls.contains_key(*id)).count();
    println!("another master after {took:?}; {counts}; never received {lost}; gap {:?}", gap(&receiver, fault));
    assert!(calls.values().all(|calls| *calls == 1), "at most once");
    assert_eq!(counts["failed"], 0);
    assert!(lost as u64 <= counts["unknown"].as_u64().unwrap(), "what was not received is unknown");
    assert!(counts["unknown"].as_u64().unwrap() <= 300 / 50 + 256, "{counts}");
    assert!(gap(&receiver, fault) <= Duration::from_millis(1_500), "{:?}", gap(&receiver, fault));
}

/// The longest time without any call, from `fault` on.
fn gap(receiver: &Receiver, fault: SystemTime) -> Duration {
    let mut at: Vec<SystemTime> = receiver.calls().iter().map(|call| call.at).filter(|at| *at >= fault).collect();
    at.push(fault);
    at.sort();
    at.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).max().unwrap_or_default()
}
