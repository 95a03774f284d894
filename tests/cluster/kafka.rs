//! Submissions through a topic of a real Apache Kafka: each task once, whoever dies and whatever is on the topic.

mod broken;
mod cut_off;
mod dead_letters;
mod load;
mod outage;
mod poison;
mod raw;
mod readers;
mod same_id;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, received, tasks};
use crate::harness::topic::Topic;
use crate::harness::{Node, Receiver, http};
use crate::services::kafka;

const SOON: Duration = Duration::from_secs(20);

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
        assert_eq!(ask_of(&on, &id), (200, 409));
    }
    until("all are stored", SOON, || on.cluster.counts(0)["scheduled"] == 50);
}

/// The attempts of a task, and a resolution of it.
fn ask_of(on: &OnTopic, id: &str) -> (u16, u16) {
    let url = |call: &str| on.cluster.nodes[0].url(&format!("/v1/tasks/{id}/{call}"));
    (http::get(&url("attempts")).status, http::post_json(&url("resolve"), &json!({"state": "failed"})).status)
}

#[test]
fn what_was_cancelled_right_after_its_submission_is_shown_so() {
    let Some(on) = OnTopic::start(1) else { return };
    let document = json!({"delay_ms": 60_000, "target": {"type": "log"}});
    let mut unstored = 0;
    for _ in 0..50 {
        let answer = http::post_json(&on.cluster.nodes[0].url("/v1/tasks"), &document);
        let url = on.cluster.nodes[0].url(&format!("/v1/tasks/{}", answer.json()["id"].as_str().unwrap()));
        let cancelled = http::request("DELETE", &url, &[("content-type", "application/json")], b"");
        assert!(matches!(cancelled.status, 200 | 202), "{}", cancelled.json());
        unstored += usize::from(cancelled.status == 202);
        let found = http::get(&url);
        assert_eq!((found.status, &found.json()["state"]), (200, &json!("cancelled")), "{}", found.json());
    }
    println!("{unstored} of 50 were not stored when they were cancelled");
    until("all are stored", SOON, || on.cluster.counts(0)["cancelled"] == 50);
}

#[test]
fn what_a_dead_node_has_read_is_read_by_another() {
    let Some(mut on) = OnTopic::start(2) else { return };
    let receiver = Receiver::start();
    on.put(&tasks(100, &receiver.url("/"), Duration::ZERO));
    until("all have succeeded", SOON, || on.cluster.counts(0)["succeeded"] == 100);
    on.cluster.nodes[1].kill();
    let began = Instant::now();
    let some = tasks(300, &receiver.url("/"), Duration::ZERO);
    on.put(&some);
    until("all of the topic's partitions are read", SOON, || {
        let calls = received(&receiver);
        some.iter().all(|(id, _)| calls.contains_key(id))
    });
    println!("tasks of a dead reader's partitions were called after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
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

/// Submits a task for a topic, due at once.
fn submit_to(node: &Node, cluster: Option<&str>, topic: &str) -> http::Answer {
    let mut target = json!({"type": "kafka", "topic": topic});
    if let Some(cluster) = cluster {
        target["cluster"] = cluster.into();
    }
    http::post_json(&node.url("/v1/tasks"), &json!({"delay_ms": 0, "target": target, "payload": {"n": 8}}))
}

#[test]
fn a_task_is_written_to_the_cluster_it_names() {
    let (Some(server), Some(west)) = (kafka::server(), kafka::own_server(None)) else { return };
    let name = west.topic();
    let there = Topic::new(&west.brokers(), &name);
    there.make();
    let named = format!("west={}", west.brokers());
    // All of west may be written to, and nothing of the submission topic's cluster.
    let Some(on) = OnTopic::on(server, 1, &["--kafka-target-cluster", &named, "--kafka-target-topic", "west/*"]) else {
        return;
    };
    let node = &on.cluster.nodes[0];
    for (cluster, topic, pointer) in [
        (Some("north"), name.as_str(), "/target/cluster"),
        (Some("West"), name.as_str(), "/target/cluster"),
        (None, name.as_str(), "/target/topic"),
        (Some("west"), on.topic.as_str(), "/target/topic"),
    ] {
        let refused = submit_to(node, cluster, topic);
        let problem = refused.json();
        assert_eq!((refused.status, &problem["pointer"]), (400, &pointer.into()), "{problem}");
    }
    assert!(submit_to(node, Some("north"), &name).json().to_string().contains("one of west"), "what is allowed");
    let accepted = submit_to(node, Some("west"), &name);
    assert_eq!(accepted.status, 202, "{}", accepted.json());
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    let records = there.records(1);
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].header("x-task-id"), records[0].value.as_deref()),
        (Some(id.as_str()), Some(&br#"{"n":8}"#[..]))
    );
    until("it has succeeded", SOON, || on.cluster.counts(0)["succeeded"] == 1);
    let target = http::get(&node.url(&format!("/v1/tasks/{id}"))).json()["target"].clone();
    assert_eq!(target, json!({"type": "kafka", "cluster": "west", "topic": name}));
}

#[test]
fn a_node_without_a_submission_topic_writes_to_named_clusters() {
    let Some(server) = kafka::server() else { return };
    let name = server.topic();
    let topic = Topic::new(&server.brokers(), &name);
    topic.make();
    let (named, allowed) = (format!("west={}", server.brokers()), format!("west/{name}"));
    let node = Node::with(&["--kafka-target-cluster", &named, "--kafka-target-topic", &allowed]);
    let refused = submit_to(&node, None, &name);
    assert_eq!((refused.status, &refused.json()["pointer"]), (400, &"/target/cluster".into()), "{}", refused.json());
    let accepted = submit_to(&node, Some("west"), &name);
    assert_eq!(accepted.status, 201, "{}", accepted.json());
    let records = topic.records(1);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].header("x-task-id"), accepted.json()["id"].as_str());
    until("it has succeeded", SOON, || http::get(&node.url("/v1/stats")).json()["tasks"]["succeeded"] == 1);
}
