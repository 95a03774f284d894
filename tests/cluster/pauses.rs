//! Pauses as callers and targets see them: from the answer on nothing that matches is called, others are punctual meanwhile, and
//! what waited comes at its pace, each once, whoever is master.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::alone::alone;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::shape::shapes;
use crate::harness::{Call, Node, Receiver, http};

const SOON: Duration = Duration::from_secs(30);
const NODES: usize = 3;

/// One node on its file, and the clusters there are.
fn each(test: impl Fn(&str, Cluster)) {
    let _alone = alone();
    test("embedded", Cluster { url: String::new(), nodes: vec![Node::start()] });
    for shape in shapes() {
        let Some(cluster) = shape.cluster(NODES) else { return };
        test(&format!("{shape:?}"), cluster);
    }
}

struct Field {
    cluster: Cluster,
    receiver: Receiver,
}

impl Field {
    fn new(cluster: Cluster) -> Self {
        Self { cluster, receiver: Receiver::start() }
    }

    fn post(&self, node: usize, path: &str, body: &Value) -> http::Answer {
        http::post_json(&self.cluster.nodes[node % self.cluster.nodes.len()].url(path), body)
    }

    /// Tasks of this tenant, due evenly over `spread` from `delay` on.
    fn submit(&self, tenant: &str, tasks: usize, delay: Duration, spread: Duration) -> Vec<String> {
        let one = |n: usize| {
            json!({"delay_ms": (delay + spread * n as u32 / tasks as u32).as_millis() as u64, "labels": {"tenant": tenant},
                "target": {"type": "http", "url": self.receiver.url(&format!("/{tenant}"))}})
        };
        let answer = self.post(0, "/v1/tasks/batch", &(0..tasks).map(one).collect());
        assert!(matches!(answer.status, 201 | 202), "{}", answer.json());
        answer.json()["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    fn pause(&self, node: usize, body: &Value) -> Value {
        let answer = self.post(node, "/v1/pauses", body);
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()
    }

    fn resume(&self, node: usize, pause: &Value, body: &Value) -> Value {
        let answer = self.post(node, &format!("/v1/pauses/{}/resume", pause["id"]), body);
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert!(answer.json()["resumed_at"].is_string());
        answer.json()
    }

    fn get(&self, node: usize, path: &str) -> Value {
        http::get(&self.cluster.nodes[node % self.cluster.nodes.len()].url(path)).json()
    }

    fn until_waiting(&self, node: usize, tasks: usize) {
        until("all that came due wait", SOON, || self.get(node, "/v1/pauses")["pauses"][0]["waiting"] == tasks);
    }

    /// The calls of this tenant's tasks.
    fn calls(&self, tenant: &str) -> Vec<Call> {
        self.receiver.calls().into_iter().filter(|call| call.path == format!("/{tenant}")).collect()
    }

    /// Each of these was called once, and nothing else of this tenant.
    fn each_once(&self, tenant: &str, ids: &[String]) {
        let mut calls: HashMap<String, usize> = HashMap::new();
        for call in self.calls(tenant) {
            *calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default() += 1;
        }
        let wrong: Vec<_> = ids.iter().filter(|id| calls.get(*id) != Some(&1)).collect();
        assert!(wrong.is_empty() && calls.len() == ids.len(), "{tenant}: {} of {}: {wrong:?}", calls.len(), ids.len());
    }
}

/// Milliseconds.
fn late_p99(calls: &[Call]) -> f64 {
    let mut late: Vec<f64> = calls.iter().map(Call::lateness_ms).collect();
    late.sort_by(f64::total_cmp);
    late[late.len() * 99 / 100]
}

/// From the first of them to the last.
fn took(calls: &[Call]) -> Duration {
    let (first, last) =
        (calls.iter().map(|call| call.at).min().unwrap(), calls.iter().map(|call| call.at).max().unwrap());
    last.duration_since(first).unwrap()
}

#[test]
fn what_has_a_label_is_held_back_and_comes_at_its_pace_and_others_do_not_notice() {
    const TASKS: usize = 400;
    const PER_SECOND: usize = 80;
    each(|name, cluster| {
        let field = Field::new(cluster);
        let secs = Duration::from_secs;
        // Stored and read ahead before the pause comes, and due well after it.
        let others = field.submit("other", 1_400, secs(2), secs(14));
        let held = field.submit("acme", TASKS, secs(2), secs(3));
        let pause = field.pause(1, &json!({"label": "tenant=acme", "reason": "they asked"}));
        let answered = SystemTime::now();
        assert_eq!((&pause["label"], &pause["reason"]), (&json!("tenant=acme"), &json!("they asked")));
        assert_eq!((&pause["resumed_at"], &pause["per_second"]), (&Value::Null, &Value::Null));
        field.until_waiting(2, TASKS);
        assert!(answered.elapsed().unwrap() >= secs(3), "all of them are due by now");
        assert_eq!(field.calls("acme").len(), 0, "{name}");
        let task = field.get(0, &format!("/v1/tasks/{}", held[0]));
        assert_eq!(
            (&task["paused"], &task["state"], &task["due_at"]),
            (&json!(true), &json!("scheduled"), &task["run_at"])
        );
        assert_eq!(field.get(0, &format!("/v1/tasks/{}", others[0])).get("paused"), None);
        assert_eq!(field.get(1, "/v1/stats")["pauses"], 1);

        field.resume(2, &pause, &json!({"per_second": PER_SECOND}));
        until("all of them are called", SOON, || field.calls("acme").len() >= TASKS);
        until("the others too", SOON, || field.calls("other").len() >= others.len());
        until("the pause is gone", SOON, || field.get(1, "/v1/pauses")["pauses"] == json!([]));
        assert_eq!(field.get(1, "/v1/stats")["pauses"], 0);
        field.each_once("acme", &held);
        field.each_once("other", &others);
        let (pace, expected) = (took(&field.calls("acme")).as_secs_f64(), TASKS as f64 / PER_SECOND as f64);
        let late = late_p99(&field.calls("other"));
        println!("{name}: {TASKS} at {PER_SECOND} a second took {pace:.2} s; the others' lateness p99 {late:.1} ms");
        assert!((0.8..=1.2).contains(&(pace / expected)), "{name}: {pace} s instead of {expected}");
        assert!(late < 500.0, "{name}: {late} ms");
        // The oldest first, as far as calls that run beside each other can tell.
        let calls = field.calls("acme");
        let due: Vec<_> = calls.iter().map(|call| call.header("x-task-run-at").unwrap()).collect();
        assert!(due[..TASKS / 4].iter().max() < due[TASKS * 3 / 4..].iter().min(), "{name}");
    });
}

#[test]
fn without_a_label_nothing_is_called_until_it_is_resumed() {
    const TASKS: usize = 1_500;
    each(|name, cluster| {
        let field = Field::new(cluster);
        let ids = field.submit("a", TASKS, Duration::from_secs(2), Duration::ZERO);
        let pause = field.pause(1, &json!({}));
        let again = field.post(0, "/v1/pauses", &json!({"reason": "once more"}));
        assert_eq!((again.status, again.json()["id"].clone()), (200, pause["id"].clone()));
        // What comes in meanwhile waits too.
        let more = field.submit("b", 10, Duration::ZERO, Duration::ZERO);
        field.until_waiting(0, TASKS + 10);
        assert_eq!(field.receiver.count(), 0, "{name}");
        assert_eq!(field.cluster.counts(0)["scheduled"], TASKS + 10);
        let gauges = field.cluster.nodes.iter().map(|node| {
            let text = String::from_utf8(http::get(&node.url("/metrics")).body).unwrap();
            text.lines().filter(|line| *line == "task_scheduler_pauses 1").count()
        });
        assert_eq!(gauges.sum::<usize>(), 1, "the master's");
        // One of them is called off as it is.
        let cancel = http::request("DELETE", &field.cluster.nodes[0].url(&format!("/v1/tasks/{}", more[0])), &[], b"");
        assert_eq!(cancel.status, 200);
        let cancelled = field.get(1, &format!("/v1/tasks/{}", more[0]));
        assert_eq!((&cancelled["state"], &cancelled["due_at"]), (&json!("cancelled"), &cancelled["run_at"]));

        field.resume(1, &pause, &json!({"per_second": null}));
        let resumed = SystemTime::now();
        until("all have succeeded", SOON, || field.cluster.counts(0)["succeeded"] == TASKS + 9);
        println!("{name}: {TASKS} at once within {:.2?}", resumed.elapsed().unwrap());
        field.each_once("a", &ids);
        field.each_once("b", &more[1..]);
        until("the pause is gone", SOON, || field.get(0, "/v1/pauses")["pauses"] == json!([]));
        assert_eq!(field.post(0, &format!("/v1/pauses/{}/resume", pause["id"]), &json!({})).status, 404);
    });
}

#[test]
fn what_is_due_but_not_parked_when_its_pause_is_resumed_comes_at_its_pace_too() {
    const TASKS: usize = 300;
    const PER_SECOND: usize = 100;
    each(|name, cluster| {
        let field = Field::new(cluster);
        let pause = field.pause(0, &json!({"label": "tenant=acme"}));
        let ids = field.submit("acme", TASKS, Duration::ZERO, Duration::ZERO);
        until("all are stored", SOON, || field.cluster.counts(0)["scheduled"] == TASKS);
        field.resume(1, &pause, &json!({"per_second": PER_SECOND}));
        until("all of them are called", SOON, || field.calls("acme").len() >= TASKS);
        until("the pause is gone", SOON, || field.get(1, "/v1/pauses")["pauses"] == json!([]));
        field.each_once("acme", &ids);
        let (pace, expected) = (took(&field.calls("acme")).as_secs_f64(), TASKS as f64 / PER_SECOND as f64);
        println!("{name}: {TASKS} at {PER_SECOND} a second took {pace:.2} s");
        assert!((0.8..=1.2).contains(&(pace / expected)), "{name}: {pace} s instead of {expected}");
    });
}

#[test]
fn a_master_killed_in_the_midst_of_a_catch_up_loses_and_doubles_nothing() {
    const TASKS: usize = 600;
    const PER_SECOND: usize = 100;
    let _alone = alone();
    for shape in shapes() {
        let Some(cluster) = shape.cluster(NODES) else { return };
        let mut field = Field::new(cluster);
        let ids = field.submit("acme", TASKS, Duration::from_secs(1), Duration::from_secs(1));
        let pause = field.pause(0, &json!({"label": "tenant=acme"}));
        field.until_waiting(0, TASKS);
        assert_eq!(field.receiver.count(), 0);
        field.resume(1, &pause, &json!({"per_second": PER_SECOND}));
        field.receiver.wait_for(TASKS / 4, SOON);
        let master = field.cluster.master(0).unwrap();
        field.cluster.nodes[master].kill();
        let other = (master + 1) % NODES;
        // A call that it was about to make is unknown; nothing else is.
        until("all have ended", SOON, || {
            let counts = field.cluster.counts(other);
            counts["succeeded"].as_u64().unwrap() + counts["unknown"].as_u64().unwrap() == TASKS as u64
        });
        let unknown = field.cluster.counts(other)["unknown"].as_u64().unwrap();
        let mut calls: HashMap<String, usize> = HashMap::new();
        for call in field.calls("acme") {
            *calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default() += 1;
        }
        assert!(calls.values().all(|calls| *calls == 1), "none twice");
        let missing = ids.iter().filter(|id| !calls.contains_key(*id)).count() as u64;
        let pace = took(&field.calls("acme")).as_secs_f64();
        println!(
            "{shape:?}: {TASKS} at {PER_SECOND} a second with another master within {pace:.2} s, {unknown} unknown, {missing} of them not called"
        );
        assert!(missing <= unknown && unknown <= 20, "{missing} {unknown}");
        assert!(pace >= 0.8 * TASKS as f64 / PER_SECOND as f64, "no flood: {pace} s");
        until("the pause is gone", SOON, || field.get(other, "/v1/pauses")["pauses"] == json!([]));
    }
}

#[test]
fn what_is_wrong_with_a_pause_is_told() {
    let field = Field::new(Cluster { url: String::new(), nodes: vec![Node::start()] });
    for (path, body, status, kind) in [
        ("/v1/pauses", json!({"label": "acme"}), 400, "invalid-field"),
        ("/v1/pauses", json!([]), 400, "invalid-field"),
        ("/v1/pauses/1/resume", json!({"per_second": 0}), 400, "invalid-field"),
        ("/v1/pauses/x/resume", json!({}), 400, "invalid-parameter"),
        ("/v1/pauses/1/resume", json!({}), 404, "no-such-pause"),
    ] {
        let answer = field.post(0, path, &body);
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (status, &json!(format!("urn:task-scheduler:problem:{kind}"))),
            "{path} {body}"
        );
    }
    let empty =
        http::request("POST", &field.cluster.nodes[0].url("/v1/pauses"), &[("content-type", "application/json")], b"");
    assert_eq!(empty.status, 201, "an empty body is an empty document");
    let foreign = http::request("POST", &field.cluster.nodes[0].url("/v1/pauses"), &[], b"{}");
    assert_eq!(foreign.status, 415);
}
