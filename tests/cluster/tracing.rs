//! The header `traceparent` of a submission on its way to the target.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::http::Answer;
use crate::harness::on_topic::OnTopic;
use crate::harness::topic::Topic;
use crate::harness::{Node, Receiver, http};
use crate::services::kafka;

const SOON: Duration = Duration::from_secs(20);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

fn submit(node: &Node, path: &str, traces: &[&str], body: &Value) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(traces.iter().map(|trace| ("traceparent", *trace)));
    http::request("POST", &node.url(path), &headers, body.to_string().as_bytes())
}

/// A task for this path of the receiver, due at once.
fn task(receiver: &Receiver, path: &str) -> Value {
    json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url(path)}})
}

/// The header of the call on each path.
fn traces(receiver: &Receiver, calls: usize) -> Vec<(String, Option<String>)> {
    let calls = receiver.wait_for(calls, SOON);
    let mut traces: Vec<_> =
        calls.iter().map(|call| (call.path.clone(), call.header("traceparent").map(str::to_owned))).collect();
    traces.sort();
    traces
}

#[test]
fn a_trace_goes_on_at_the_target() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let id = Uuid::now_v7();
    let mut traced = task(&receiver, "/a");
    traced["id"] = id.to_string().into();
    assert_eq!(submit(&node, "/v1/tasks", &[TRACE], &traced).status, 201);
    let again = submit(&node, "/v1/tasks", &[OTHER], &traced);
    assert_eq!((again.status, &again.json()["id"]), (201, &id.to_string().into()), "the same task: {}", again.json());
    let mut own = task(&receiver, "/b");
    own["target"]["headers"] = json!({"Traceparent": "mine"});
    assert_eq!(submit(&node, "/v1/tasks", &[TRACE], &own).status, 201);
    for (path, malformed) in [("/c", &["00-xyz"][..]), ("/d", &[TRACE, OTHER]), ("/e", &[])] {
        assert_eq!(submit(&node, "/v1/tasks", malformed, &task(&receiver, path)).status, 201, "{malformed:?}");
    }
    let mut last = task(&receiver, "/g");
    last["target"]["headers"] = json!({"traceparent": OTHER});
    let batch = json!([task(&receiver, "/f"), last]);
    assert_eq!(submit(&node, "/v1/tasks/batch", &[TRACE], &batch).status, 201);
    let expected = [
        ("/a", Some(TRACE)),
        ("/b", Some("mine")),
        ("/c", None),
        ("/d", None),
        ("/e", None),
        ("/f", Some(TRACE)),
        ("/g", Some(OTHER)),
    ];
    let expected = expected.map(|(path, trace)| (path.to_owned(), trace.map(str::to_owned)));
    assert_eq!(traces(&receiver, expected.len()), expected);
    let shown = http::get(&node.url(&format!("/v1/tasks/{id}"))).json();
    assert_eq!(shown["target"]["headers"]["traceparent"], TRACE, "{shown}");
}

/// Puts one task on the topic, with these values of the header.
fn put(on: &OnTopic, document: &Value, traces: &[&str]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &on.brokers).create().unwrap();
    let headers = traces
        .iter()
        .fold(OwnedHeaders::new(), |headers, trace| headers.insert(Header { key: "traceparent", value: Some(*trace) }));
    let (key, value) = (Uuid::now_v7().to_string(), document.to_string());
    let record = BaseRecord::to(&on.topic).key(&key).payload(&value).headers(headers);
    producer.send(record).map_err(|(cause, _)| cause).unwrap();
    producer.flush(SOON).unwrap();
}

#[test]
fn a_trace_goes_through_the_topic_and_to_a_topic() {
    let Some(server) = kafka::server() else { return };
    let target_name = format!("{}-traced", server.topic());
    let target = Topic::new(&server.brokers(), &target_name);
    target.make();
    let Some(on) = OnTopic::on(server, 1, &["--kafka-target-topic", &target_name]) else { return };
    let (node, receiver) = (&on.cluster.nodes[0], Receiver::start());
    assert_eq!(submit(node, "/v1/tasks", &[TRACE], &task(&receiver, "/a")).status, 202);
    assert_eq!(submit(node, "/v1/tasks/batch", &[OTHER], &json!([task(&receiver, "/b")])).status, 202);
    put(&on, &task(&receiver, "/c"), &[TRACE]);
    put(&on, &task(&receiver, "/d"), &["00-xyz"]);
    put(&on, &task(&receiver, "/e"), &[TRACE, TRACE]);
    let expected = [("/a", Some(TRACE)), ("/b", Some(OTHER)), ("/c", Some(TRACE)), ("/d", None), ("/e", None)];
    let expected = expected.map(|(path, trace)| (path.to_owned(), trace.map(str::to_owned)));
    assert_eq!(traces(&receiver, expected.len()), expected);
    let to_topic = json!({"delay_ms": 0, "target": {"type": "kafka", "topic": target_name}, "payload": 1});
    assert_eq!(submit(node, "/v1/tasks", &[TRACE], &to_topic).status, 202);
    let records = target.records(1);
    let found: Vec<&str> =
        records[0].headers.iter().filter(|(name, _)| name == "traceparent").map(|(_, value)| value.as_str()).collect();
    assert_eq!(found, [TRACE]);
}
