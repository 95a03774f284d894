//! Submissions through a topic of a real Apache Kafka: each task once, whoever dies and whatever is on the topic.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::cluster::Cluster;
use crate::harness::node::{PROGRAM, until};
use crate::harness::proxy::Proxy;
use crate::harness::topic::Topic;
use crate::harness::{Node, Receiver, http};
use crate::services::kafka::{self, Server};
use crate::services::postgres;

const SOON: Duration = Duration::from_secs(20);

/// Nodes on a database and a topic of their own.
struct OnTopic {
    cluster: Cluster,
    topic: String,
    brokers: String,
}

impl OnTopic {
    fn start(nodes: usize) -> Option<Self> {
        Self::on(kafka::server()?, nodes, &[])
    }

    fn on(server: &Server, nodes: usize, more: &[&str]) -> Option<Self> {
        let (topic, brokers) = (server.topic(), server.brokers());
        let flags = ["--kafka-brokers", &brokers, "--submission-topic", &topic, "--kafka-partitions", "6"];
        let cluster = Cluster::with(postgres::server()?, nodes, &[&flags, more].concat());
        Some(Self { cluster, topic, brokers })
    }

    fn topic(&self) -> Topic {
        Topic::new(&self.brokers, &self.topic)
    }

    /// Runs `offsets` of the program on it.
    fn offsets(&self, arguments: &[&str]) -> Value {
        let place =
            ["--database-url", &self.cluster.url, "--kafka-brokers", &self.brokers, "--submission-topic", &self.topic];
        let output = Command::new(PROGRAM)
            .arg("offsets")
            .args(arguments)
            .args(place)
            .arg("--json")
            .env_remove("TASK_SCHEDULER_CONFIG")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Everything on the topic has been ingested.
    fn is_ingested(&self) -> bool {
        let shown = self.offsets(&["show"]);
        shown["partitions"].as_array().unwrap().iter().all(|one| one["end"] == 0 || one["next"] == one["end"])
    }

    fn dead_letters(&self) -> u64 {
        http::get(&self.cluster.nodes[0].url("/v1/stats")).json()["dead_letters"].as_u64().unwrap()
    }
}

/// How often each task was received.
fn received(receiver: &Receiver) -> HashMap<String, usize> {
    let mut calls = HashMap::new();
    for call in receiver.calls() {
        *calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default() += 1;
    }
    calls
}

/// New tasks for `hook`, due within the next `spread`: ids and documents.
fn tasks(n: usize, hook: &str, spread: Duration) -> Vec<(String, String)> {
    let one = |n: usize, of: usize| {
        let delay_ms = spread.mul_f64(n as f64 / of as f64).as_millis() as u64;
        let document = json!({"delay_ms": delay_ms, "target": {"type": "http", "url": hook}});
        (Uuid::now_v7().to_string(), document.to_string())
    };
    (0..n).map(|i| one(i, n)).collect()
}

fn put(topic: &Topic, tasks: &[(String, String)]) {
    topic.put(tasks.iter().map(|(id, document)| (Some(id.as_str()), Some(document.as_bytes()))));
}

#[test]
fn submissions_over_rest_and_on_the_topic_are_each_called_once() {
    const EACH: usize = 1_000;
    let Some(on) = OnTopic::start(3) else { return };
    let (receiver, spread) = (Receiver::start(), Duration::from_secs(4));
    let others = tasks(EACH, &receiver.url("/"), spread);
    put(&on.topic(), &others);
    let mut ids: Vec<String> = others.into_iter().map(|(id, _)| id).collect();
    for node in 0..3 {
        ids.extend(on.cluster.submit(node, &receiver.url("/"), EACH, (Duration::ZERO, spread)));
    }
    until("all have succeeded", SOON, || on.cluster.counts(0)["succeeded"] == ids.len());
    let calls = received(&receiver);
    assert!(ids.iter().all(|id| calls.get(id) == Some(&1)), "each once");
    let sample: Vec<String> = ids.iter().step_by(10).cloned().collect();
    for node in 0..3 {
        let share = on.cluster.of_node(node, &sample) as f64 / sample.len() as f64;
        println!("node-{node} executed {share:.2}");
        assert!(share >= 0.2, "node-{node} executed {share}");
    }
}

#[test]
fn what_was_accepted_is_never_unknown_where_it_was() {
    let Some(on) = OnTopic::start(1) else { return };
    let document = json!({"delay_ms": 60_000, "target": {"type": "log"}});
    for _ in 0..50 {
        let answer = http::post_json(&on.cluster.nodes[0].url("/v1/tasks"), &document);
        assert_eq!(answer.status, 202, "{}", answer.json());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let found = http::get(&on.cluster.nodes[0].url(&format!("/v1/tasks/{id}")));
        let state = found.json()["state"].clone();
        assert!(found.status == 200 && (state == "accepted" || state == "scheduled"), "{}", found.json());
    }
    until("all are stored", SOON, || on.cluster.counts(0)["scheduled"] == 50);
}

/// A dead letter carries its record, a very large one the beginning of it.
fn is_of(letter: &crate::harness::topic::Record, value: &[u8]) -> bool {
    let carried = letter.value.as_deref().unwrap_or_default();
    let cut = letter.header("truncated").is_some();
    if cut { !carried.is_empty() && value.starts_with(carried) } else { value == carried }
}

/// Key, value, and what the reason says.
type Poison = (Option<String>, Option<Vec<u8>>, &'static str);

#[test]
fn poison_is_a_dead_letter_with_its_reason_once() {
    let Some(on) = OnTopic::start(2) else { return };
    let receiver = Receiver::start();
    let good = tasks(500, &receiver.url("/"), Duration::from_secs(1));
    let (id, other) = (good[0].0.as_str(), Uuid::now_v7().to_string());
    let log = r#"{"delay_ms": 0, "target": {"type": "log"}}"#;
    let foreign = format!(r#"{{"id": "{other}", "delay_ms": 0, "target": {{"type": "log"}}}}"#);
    let (binary, huge) = ([0xff, 0x00, 0xfe], vec![b' '; 1_048_577]);
    let own_topic = format!(r#"{{"delay_ms": 0, "target": {{"type": "kafka", "topic": "{}"}}}}"#, on.topic);
    let new = || Uuid::now_v7().to_string();
    let poison: Vec<Poison> = vec![
        (Some(new()), None, "no value"),
        (Some(new()), Some(Vec::new()), "the document is"),
        (Some(new()), Some(b"{\"delay_ms\": ".to_vec()), "allowed"),
        (Some(new()), Some(binary.to_vec()), "the document is"),
        (Some("order-17".to_owned()), Some(log.into()), "key is order-17"),
        (None, Some(log.into()), "neither a key nor an id"),
        (Some(new()), Some(foreign.into_bytes()), "/id is"),
        (Some(new()), Some(br#"{"target": {"type": "log"}}"#.to_vec()), "run_at"),
        (Some(new()), Some(huge), "1048577 bytes"),
        (Some(new()), Some(own_topic.into_bytes()), "/target/topic"),
        (Some(id.to_owned()), Some(log.into()), "conflict"),
    ];
    put(&on.topic(), &good);
    on.topic().put(poison.iter().map(|(key, value, _)| (key.as_deref(), value.as_deref())));
    until("all the rest has succeeded", SOON, || on.cluster.counts(0)["succeeded"] == good.len());
    until("all of it is buried", SOON, || on.dead_letters() == poison.len() as u64);
    let dead = Topic::new(&on.brokers, &format!("{}.dead", on.topic)).records(poison.len());
    assert_eq!(dead.len(), poison.len(), "each once");
    for (_, value, says) in &poison {
        let matches = |record: &&crate::harness::topic::Record| {
            record.header("reason").unwrap().contains(says) && is_of(record, value.as_deref().unwrap_or_default())
        };
        assert!(
            dead.iter().any(|record| matches(&record)),
            "{says} in {:?}",
            dead.iter().map(|one| &one.headers).collect::<Vec<_>>()
        );
    }

    // Read again from its beginning: the same dead letters, and no call.
    on.offsets(&["set", "--to", "beginning"]);
    until("all is ingested again", SOON, || on.is_ingested());
    assert_eq!(on.dead_letters(), poison.len() as u64);
    let calls = received(&receiver);
    assert!(calls.len() == good.len() && calls.values().all(|calls| *calls == 1));
}

#[test]
fn a_topic_read_again_under_load_runs_nothing_again() {
    const EACH: usize = 600;
    let Some(on) = OnTopic::start(2) else { return };
    let receiver = Receiver::start();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let some = tasks(EACH, &receiver.url("/"), Duration::from_secs(1));
        put(&on.topic(), &some);
        ids.extend(some.into_iter().map(|(id, _)| id));
        on.offsets(&["set", "--to", "beginning"]);
    }
    until("all have succeeded", SOON, || on.cluster.counts(0)["succeeded"] == ids.len());
    until("all is ingested", SOON, || on.is_ingested());
    let counts = on.cluster.counts(0);
    assert_eq!(counts["scheduled"].as_u64().unwrap() + counts["dispatched"].as_u64().unwrap(), 0, "{counts}");
    let calls = received(&receiver);
    assert!(ids.iter().all(|id| calls.get(id) == Some(&1)) && calls.len() == ids.len(), "each once");
    assert_eq!(on.dead_letters(), 0);
}

#[test]
fn a_cancel_stops_what_is_still_in_the_topic() {
    let Some(on) = OnTopic::start(2) else { return };
    let receiver = Receiver::start();
    let (unseen, after) = (tasks(50, &receiver.url("/"), Duration::ZERO), tasks(1, &receiver.url("/"), Duration::ZERO));
    for (id, _) in &unseen {
        let answer = http::request("DELETE", &on.cluster.nodes[0].url(&format!("/v1/tasks/{id}")), &[], b"");
        // Nothing lies before it on the topic, so that nothing has to be remembered for long; it is all the same here.
        assert_eq!((answer.status, answer.json()["stored"].clone()), (202, json!(false)), "{}", answer.json());
    }
    // Submitted and cancelled at once, over and over: whoever is first, an answered cancel holds.
    let mut cancelled = 0;
    for _ in 0..200 {
        let document = json!({"delay_ms": 150, "target": {"type": "http", "url": receiver.url("/")}});
        let id =
            http::post_json(&on.cluster.nodes[0].url("/v1/tasks"), &document).json()["id"].as_str().unwrap().to_owned();
        let answer = http::request("DELETE", &on.cluster.nodes[1].url(&format!("/v1/tasks/{id}")), &[], b"");
        match answer.status {
            200 | 202 => cancelled += 1,
            status => assert_eq!(status, 409, "{}", answer.json()),
        }
    }
    put(&on.topic(), &after);
    until("what came last has succeeded", SOON, || received(&receiver).contains_key(&after[0].0));
    until("every cancelled one has come in", SOON, || on.cluster.counts(0)["cancelled"].as_u64().unwrap() >= cancelled);
    until("the rest has ended", SOON, || on.cluster.counts(0)["succeeded"].as_u64().unwrap() == 201 - cancelled);
    let calls = received(&receiver);
    assert_eq!(calls.len() as u64, 201 - cancelled, "no cancelled one was called");
    assert!(calls.values().all(|calls| *calls == 1));
}

#[test]
fn what_a_dead_node_has_read_is_read_by_another() {
    let Some(mut on) = OnTopic::start(2) else { return };
    let receiver = Receiver::start();
    put(&on.topic(), &tasks(100, &receiver.url("/"), Duration::ZERO));
    until("all have succeeded", SOON, || on.cluster.counts(0)["succeeded"] == 100);
    on.cluster.nodes[1].kill();
    let began = Instant::now();
    let some = tasks(300, &receiver.url("/"), Duration::ZERO);
    put(&on.topic(), &some);
    until("all of the topic's partitions are read", SOON, || {
        let calls = received(&receiver);
        some.iter().all(|(id, _)| calls.contains_key(id))
    });
    println!("tasks of a dead reader's partitions were called after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(received(&receiver).values().all(|calls| *calls == 1));
}

#[test]
fn brokers_that_die_are_told_of_and_caught_up_with() {
    let Some(server) = kafka::own_server(None) else { return };
    let Some(on) = OnTopic::on(&server, 2, &[]) else { return };
    let receiver = Receiver::start();
    let url = on.cluster.nodes[0].url("/v1/tasks");
    let document = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let submit = || http::post_json(&url, &document);
    let mut accepted: Vec<String> = (0..20)
        .map(|_| {
            let answer = submit();
            assert_eq!(answer.status, 202);
            answer.json()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    server.kill();
    let asked = Instant::now();
    let refused = submit();
    assert_eq!(refused.status, 503, "{}", refused.json());
    assert!(refused.header("retry-after").is_some());
    assert!(asked.elapsed() <= Duration::from_secs(5), "{:?}", asked.elapsed());
    println!("503 after {:?} without brokers", asked.elapsed());
    server.restart();
    let back = Instant::now();
    until("a submission is accepted again", SOON, || {
        let answer = submit();
        let taken = answer.status == 202;
        if taken {
            accepted.push(answer.json()["id"].as_str().unwrap().to_owned());
        }
        taken
    });
    until("all that was accepted is called", SOON, || {
        let calls = received(&receiver);
        accepted.iter().all(|id| calls.contains_key(id))
    });
    println!("{:?} after the brokers were back", back.elapsed());
    assert!(received(&receiver).values().all(|calls| *calls == 1));
}

#[test]
fn a_node_cut_off_from_the_brokers_leaves_its_partitions_to_others() {
    let proxy = Proxy::unaimed();
    let Some(server) = kafka::own_server(Some(proxy.address())) else { return };
    proxy.aim(server.proxied_listener());
    let Some(mut on) = OnTopic::on(&server, 1, &[]) else { return };
    let brokers = proxy.address().to_string();
    let flags = ["--database-url", &on.cluster.url, "--name", "node-1", "--kafka-brokers", &brokers];
    let mut cut_off = Node::starting(&[&flags[..], &["--submission-topic", &on.topic]].concat());
    cut_off.until_ready();
    on.cluster.nodes.push(cut_off);
    let receiver = Receiver::start();
    let called = |tasks: &[(String, String)]| {
        let began = Instant::now();
        put(&on.topic(), tasks);
        until("all are called", SOON, || {
            let calls = received(&receiver);
            tasks.iter().all(|(id, _)| calls.contains_key(id))
        });
        began.elapsed()
    };
    let half = |node: usize| {
        on.cluster.nodes[node]
            .log()
            .rsplit_once("reads partitions [")
            .is_some_and(|(_, last)| last.split(']').next().unwrap().split(',').count() == 3)
    };
    until("each reads its half", SOON, || half(0) && half(1));
    called(&tasks(100, &receiver.url("/"), Duration::ZERO));
    proxy.cut();
    println!(
        "with one of two nodes cut off from the brokers: called after {:?}",
        called(&tasks(100, &receiver.url("/"), Duration::ZERO))
    );
    let asked = Instant::now();
    let document = json!({"delay_ms": 0, "target": {"type": "log"}});
    let refused = http::post_json(&on.cluster.nodes[1].url("/v1/tasks"), &document);
    assert_eq!(refused.status, 503, "{}", refused.json());
    assert!(asked.elapsed() <= Duration::from_secs(5), "{:?}", asked.elapsed());
    proxy.mend();
    until("it takes submissions again by itself", SOON, || {
        http::post_json(&on.cluster.nodes[1].url("/v1/tasks"), &document).status == 202
    });
    called(&tasks(100, &receiver.url("/"), Duration::ZERO));
    assert!(received(&receiver).values().all(|calls| *calls == 1));
}

#[test]
fn a_task_writes_its_payload_to_a_topic() {
    let Some(server) = kafka::server() else { return };
    let target = Topic::new(&server.brokers(), &server.topic());
    let name = server.topic();
    let target_name = format!("{name}-out");
    drop(target);
    let target = Topic::new(&server.brokers(), &target_name);
    target.make();
    let Some(on) = OnTopic::on(server, 1, &["--kafka-target-topic", &format!("{name}-*")]) else { return };
    let submit = |topic: &str| {
        let target = json!({"type": "kafka", "topic": topic, "key": "k-7", "headers": {"x-own": "1"}});
        let document = json!({"delay_ms": 0, "target": target, "payload": {"n": 7}});
        http::post_json(&on.cluster.nodes[0].url("/v1/tasks"), &document)
    };
    let refused = submit("elsewhere");
    assert_eq!(
        (refused.status, refused.json()["pointer"].clone()),
        (400, json!("/target/topic")),
        "{}",
        refused.json()
    );
    let id = submit(&target_name).json()["id"].as_str().unwrap().to_owned();
    let records = target.records(1);
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some("k-7"), Some(br#"{"n":7}"#.as_slice())));
    for (header, value) in
        [("idempotency-key", id.as_str()), ("x-task-id", &id), ("x-task-attempt", "1"), ("x-own", "1")]
    {
        let found = record.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(header));
        assert_eq!(found.map(|(_, value)| value.as_str()), Some(value), "{header} in {:?}", record.headers);
    }
    until("it has succeeded", SOON, || on.cluster.counts(0)["succeeded"] == 1);
    let missing = submit(&format!("{name}-missing")).json()["id"].as_str().unwrap().to_owned();
    let url = on.cluster.nodes[0].url(&format!("/v1/tasks/{missing}"));
    until("what has no topic is failed, not unknown", SOON, || {
        let task = http::get(&url).json();
        assert_ne!(task["state"], "unknown", "{task}");
        !task["last_error"].is_null()
    });
}
