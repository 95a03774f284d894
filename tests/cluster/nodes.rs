//! Several nodes on one PostgreSQL: one master, each task once, whoever dies.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::proxy::Proxy;
use crate::harness::{Answer, Call, Node, Receiver, http};
use crate::services::postgres::{own_server, server};

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
    let mut late: Vec<f64> = receiver.calls().iter().map(Call::lateness_ms).collect();
    late.sort_by(f64::total_cmp);
    late
}

#[test]
fn nodes_that_start_together_have_one_master_and_epochs_rise_by_one() {
    let Some(cluster) = Cluster::start(3) else { return };
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
fn a_killed_master_is_replaced_at_once_and_its_work_goes_on() {
    const TASKS: usize = 3_000;
    let Some(mut cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
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

#[test]
fn a_stopped_master_is_deposed_and_claims_nothing_when_it_goes_on() {
    const TASKS: usize = 3_600;
    let Some(cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    let master = cluster.master(0).unwrap();
    let other = (master + 1) % 3;
    let epoch = cluster.seen_by(other)["epoch"].as_u64().unwrap();
    // 300 a second.
    let ids = cluster.submit(other, &receiver.url("/"), TASKS, (Duration::from_secs(1), Duration::from_secs(12)));
    receiver.wait_for(TASKS / 10, SOON);
    let fault = SystemTime::now();
    cluster.nodes[master].signal("STOP");
    until("another is master", SOON, || cluster.master(other).is_some_and(|now| now != master));
    let took = fault.elapsed().unwrap();
    receiver.wait_for(TASKS * 3 / 4, SOON);
    cluster.nodes[master].signal("CONT");
    until("all are settled", Duration::from_secs(30), || {
        let counts = cluster.counts(other);
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let (counts, calls) = (cluster.counts(other), received(&receiver));
    println!("another master after {took:?}; {counts}; gap {:?}", gap(&receiver, fault));
    assert!(calls.values().all(|calls| *calls == 1), "at most once");
    let lost = ids.iter().filter(|id| !calls.contains_key(*id)).count() as u64;
    assert!(lost <= counts["unknown"].as_u64().unwrap(), "{lost} of {counts}");
    assert!(gap(&receiver, fault) <= Duration::from_millis(4_500), "lease + 1.5 s: {:?}", gap(&receiver, fault));
    until("the stopped one lives again, as a new generation", SOON, || {
        let seen = cluster.seen_by(other);
        let nodes = seen["nodes"].as_array().unwrap();
        nodes.iter().filter(|node| node["state"] == "alive").count() == 3
    });
    let seen = cluster.seen_by(other);
    assert_eq!(seen["epoch"].as_u64().unwrap(), epoch + 1, "deposed once, and it did not depose in turn: {seen}");
}

#[test]
fn a_rolling_restart_loses_and_doubles_nothing() {
    const TASKS: usize = 3_000;
    let Some(mut cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    let began = SystemTime::now();
    let ids = cluster.submit(0, &receiver.url("/"), TASKS, (Duration::from_secs(1), Duration::from_secs(10)));
    receiver.wait_for(TASKS / 20, SOON);
    for node in 0..3 {
        cluster.nodes[node].signal("TERM");
        assert_eq!(cluster.nodes[node].wait().code(), Some(0), "{}", cluster.nodes[node].log());
        cluster.nodes[node].restart();
    }
    until("all have succeeded", Duration::from_secs(30), || cluster.counts(0)["succeeded"] == TASKS);
    let calls = received(&receiver);
    assert!(ids.iter().all(|id| calls.get(id) == Some(&1)), "each once");
    let first = receiver.calls().iter().map(|call| call.at).min().unwrap_or(began);
    println!("rolling restart: gap {:?}", gap(&receiver, first));
    assert!(gap(&receiver, first) <= Duration::from_millis(600), "{:?}", gap(&receiver, first));
}

#[test]
fn a_database_that_crashes_and_comes_back_kills_nobody() {
    let Some(server) = own_server(&[]) else { return };
    let cluster = Cluster::on(&server, 2);
    let receiver = Receiver::start();
    let generations = |cluster: &Cluster| -> Vec<String> {
        let seen = cluster.seen_by(0);
        let mut ids: Vec<String> =
            seen["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let before = generations(&cluster);
    let ids = cluster.submit(1, &receiver.url("/"), 2_000, (Duration::from_secs(1), Duration::from_secs(14)));
    receiver.wait_for(200, SOON);
    server.kill();
    until("submissions are refused", SOON, || {
        let one = serde_json::json!({"delay_ms": 0, "target": {"type": "log"}});
        http::post_json(&cluster.nodes[0].url("/v1/tasks"), &one).status == 503
    });
    std::thread::sleep(Duration::from_secs(5));
    server.restart();
    let back = SystemTime::now();
    let count = receiver.calls().len();
    receiver.wait_for(count + 1, SOON);
    let took = back.elapsed().unwrap();
    until("all have succeeded", Duration::from_secs(40), || {
        let counts = cluster.counts(0);
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let calls = received(&receiver);
    println!("next call {took:?} after the database was back; {}", cluster.counts(0));
    assert!(ids.iter().all(|id| calls.get(id) == Some(&1)), "each once");
    assert_eq!(cluster.counts(0)["succeeded"], 2_000);
    assert!(took <= Duration::from_secs(3), "{took:?}");
    assert_eq!(generations(&cluster), before, "nobody was declared dead");
}

#[test]
fn many_tasks_of_one_instant_are_called_in_time_each_once() {
    const TASKS: usize = 20_000;
    let Some(cluster) = Cluster::start(3) else { return };
    let receiver = Receiver::start();
    let due = DateTime::<Utc>::from(SystemTime::now() + Duration::from_secs(5));
    let one = serde_json::json!({"run_at": due.to_rfc3339(), "target": {"type": "http", "url": receiver.url("/")}});
    for node in 0..2 {
        let batch = serde_json::Value::from(vec![one.clone(); TASKS / 2]);
        assert_eq!(http::post_json(&cluster.nodes[node].url("/v1/tasks/batch"), &batch).status, 201);
    }
    until("all have succeeded", Duration::from_secs(40), || cluster.counts(0)["succeeded"] == TASKS);
    let (calls, late) = (received(&receiver), lateness(&receiver));
    assert_eq!(calls.len(), TASKS);
    assert!(calls.values().all(|calls| *calls == 1), "each once");
    println!("20,000 of one instant: first {:.1} ms, last {:.1} ms", late[0], late[TASKS - 1]);
    assert!(late[0] >= 0.0, "never early: {}", late[0]);
    assert!(late[TASKS - 1] <= 4_000.0, "{}", late[TASKS - 1]);
}

#[test]
fn a_database_clock_that_steps_by_an_hour_stops_nothing_and_kills_nobody() {
    for step_us in [3_600_000_000_i64, -3_600_000_000] {
        let Some(cluster) = Cluster::start(2) else { return };
        let receiver = Receiver::start();
        cluster.submit(0, &receiver.url("/"), 300, (Duration::from_secs(1), Duration::from_secs(3)));
        receiver.wait_for(50, SOON);
        cluster.shift_clock(step_us);
        steps_seen(&cluster, 1);
        let count = receiver.calls().len();
        cluster.submit(1, &receiver.url("/after"), 20, (Duration::ZERO, Duration::from_secs(1)));
        until("what is due after the step is called", SOON, || {
            receiver.calls().iter().filter(|call| call.path == "/after").count() == 20
        });
        let seen = cluster.seen_by(0);
        println!("step of {step_us} us: {count} calls before, {} now; {}", receiver.calls().len(), cluster.counts(0));
        let nodes = seen["nodes"].as_array().unwrap();
        assert!(nodes.len() == 2 && nodes.iter().all(|node| node["state"] == "alive"), "{seen}");
        assert_eq!(nodes.iter().filter(|node| node["is_master"] == true).count(), 1, "{seen}");
        assert!(received(&receiver).values().all(|calls| *calls == 1), "each once");
        assert_eq!(cluster.counts(0)["unknown"], 0);
        if step_us > 0 {
            until("what had become due by the step is called too", SOON, || cluster.counts(0)["succeeded"] == 320);
        }
    }
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
fn a_master_that_is_cut_off_resigns_by_itself_and_comes_back() {
    let Some(server) = server() else { return };
    // The first one is master, and the only one whose way to the database can be cut.
    let url = server.schema();
    let proxy = Proxy::to(server.address());
    let cut_off = url.replacen(&server.address().to_string(), &proxy.address().to_string(), 1);
    let mut cluster = Cluster { url: url.clone(), nodes: Vec::new() };
    cluster.join(&cut_off);
    until("it is master", SOON, || cluster.master(0) == Some(0));
    cluster.join(&url);
    cluster.join(&url);
    let receiver = Receiver::start();
    let ids = cluster.submit(1, &receiver.url("/"), 3_000, (Duration::from_secs(1), Duration::from_secs(10)));
    receiver.wait_for(200, SOON);
    let fault = SystemTime::now();
    proxy.cut();
    until("another is master", SOON, || cluster.master(1).is_some_and(|now| now != 0));
    let took = fault.elapsed().unwrap();
    receiver.wait_for(2_000, SOON);
    proxy.mend();
    until("all are settled", Duration::from_secs(40), || {
        let counts = cluster.counts(1);
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let (counts, calls) = (cluster.counts(1), received(&receiver));
    println!("another master after {took:?}; {counts}; gap {:?}", gap(&receiver, fault));
    assert!(calls.values().all(|calls| *calls == 1), "at most once");
    let lost = ids.iter().filter(|id| !calls.contains_key(*id)).count() as u64;
    assert!(lost <= counts["unknown"].as_u64().unwrap(), "{lost} of {counts}");
    assert!(gap(&receiver, fault) <= Duration::from_millis(4_500), "{:?}", gap(&receiver, fault));
    until("it is back", SOON, || {
        let seen = cluster.seen_by(1);
        let alive = |node: &&serde_json::Value| node["state"] == "alive";
        seen["nodes"].as_array().unwrap().iter().filter(alive).count() == 3
            && http::get(&cluster.nodes[0].url("/readyz")).status == 200
    });
}

#[test]
fn what_a_stopped_executor_had_not_started_is_called_once_elsewhere() {
    const TASKS: usize = 1_200;
    let Some(server) = server() else { return };
    // Claimed a quarter of a second ahead, started in the last 20 ms: some always wait in between.
    let cluster = Cluster::with(server, 2, &["--claim-lead-ms", "250"]);
    let receiver = Receiver::start();
    let master = cluster.master(0).unwrap();
    let executor = 1 - master;
    let ids = cluster.submit(master, &receiver.url("/"), TASKS, (Duration::from_secs(1), Duration::from_secs(5)));
    receiver.wait_for(200, SOON);
    cluster.nodes[executor].signal("STOP");
    let unstarted = cluster.unstarted(executor);
    until("all but its calls have succeeded", SOON, || {
        let counts = cluster.counts(master);
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    cluster.nodes[executor].signal("CONT");
    until("its calls have succeeded too", SOON, || cluster.counts(master)["succeeded"] == TASKS);
    let (calls, late) = (received(&receiver), lateness(&receiver));
    println!("{unstarted} were claimed and not started; the last was called after {:.0} ms", late[TASKS - 1]);
    assert!(unstarted > 0);
    assert!(ids.iter().all(|id| calls.get(id) == Some(&1)), "each once");
    // Only what had its start record and was stopped before its instant is called by its own node, when that goes on.
    let later = late.iter().filter(|late| **late > 4_500.0).count();
    assert!(later <= 10, "{later} later than dead_after + 1.5 s");
}

#[test]
fn what_a_stopped_executor_had_started_is_unknown_until_its_own_outcome_comes() {
    const TASKS: usize = 20;
    let Some(cluster) = Cluster::start(2) else { return };
    let receiver = Receiver::answering(|_, _| Answer { after: Duration::from_secs(5), ..Answer::status(204) });
    let master = cluster.master(0).unwrap();
    let executor = 1 - master;
    // Late enough for the master to have seen the other's heart beat, before which it gives it nothing.
    let ids = cluster.submit(master, &receiver.url("/"), TASKS, (Duration::from_secs(3), Duration::ZERO));
    receiver.wait_for(TASKS, SOON);
    cluster.nodes[executor].signal("STOP");
    let held = cluster.of_node(executor, &ids);
    assert!(held > 0, "it holds some");
    until("its calls are unknown, the others have succeeded", SOON, || {
        let counts = cluster.counts(master);
        counts["unknown"] == held && counts["succeeded"] == TASKS - held
    });
    cluster.nodes[executor].signal("CONT");
    until("its own outcomes settle them", SOON, || cluster.counts(master)["succeeded"] == TASKS);
    assert!(received(&receiver).values().all(|calls| *calls == 1), "each once");
    println!("{held} of {TASKS} were in mid-call");
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

/// The longest time without any call, from `fault` on.
fn gap(receiver: &Receiver, fault: SystemTime) -> Duration {
    let mut at: Vec<SystemTime> = receiver.calls().iter().map(|call| call.at).filter(|at| *at >= fault).collect();
    at.push(fault);
    at.sort();
    at.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).max().unwrap_or_default()
}
