//! A submission topic that somebody else has made, and how far its ingest is behind.

use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::topic::Topic;
use crate::harness::{Node, http};
use crate::services::{kafka, postgres};

const SOON: Duration = Duration::from_secs(20);
const LOG_LATER: &[u8] = br#"{"delay_ms": 3600000, "target": {"type": "log"}}"#;

fn put(topic: &Topic, records: usize) {
    let ids: Vec<String> = (0..records).map(|_| Uuid::now_v7().to_string()).collect();
    topic.put(ids.iter().map(|id| (Some(id.as_str()), Some(LOG_LATER))));
}

fn queue(node: &Node) -> Value {
    http::get(&node.url("/v1/stats")).json()["queue"].clone()
}

#[test]
fn a_topic_that_may_lose_submissions_is_warned_about() {
    let (Some(brokers), Some(database)) = (kafka::server(), postgres::server()) else { return };
    let (name, address) = (brokers.topic(), brokers.brokers());
    let topic = Topic::new(&address, &name);
    topic.make_with(&[
        ("retention.ms", "3600000"),
        ("cleanup.policy", "compact,delete"),
        ("max.message.bytes", "1048588"),
    ]);
    let flags = ["--kafka-brokers", &address, "--submission-topic", &name, "--kafka-create-topics=false"];
    let cluster = Cluster::with(database, 1, &flags);
    let node = &cluster.nodes[0];
    for warning in ["keeps records for 3600 s only", "is compacted", "records of up to 1048588 bytes only"] {
        until(warning, SOON, || node.log().contains(warning));
    }
    put(&topic, 10);
    until("they are stored all the same", SOON, || cluster.counts(0)["scheduled"] == 10);
    until("the retention is shown", SOON, || queue(node)["retention_ms"] == 3_600_000);
}

#[test]
fn a_topic_that_somebody_else_has_made_gets_one_for_its_dead_letters() {
    let (Some(brokers), Some(database)) = (kafka::server(), postgres::server()) else { return };
    let (name, address) = (brokers.topic(), brokers.brokers());
    let (topic, dead) = (Topic::new(&address, &name), Topic::new(&address, &format!("{name}.dead")));
    topic.make();
    let flags = ["--kafka-brokers", &address, "--submission-topic", &name];
    let without = Cluster::with(database, 1, &[&flags[..], &["--kafka-create-topics=false"]].concat());
    let missing = format!("there is no topic {name}.dead");
    until("it is missed", SOON, || without.nodes[0].log().contains(&missing));
    assert!(!dead.exists());
    let _cluster = Cluster::with(database, 1, &flags);
    until("it is made", SOON, || dead.exists());
}

#[test]
fn what_waits_in_the_topic_is_shown_as_lag() {
    let (Some(brokers), Some(database)) = (kafka::server(), postgres::server()) else { return };
    let (name, address) = (brokers.topic(), brokers.brokers());
    let topic = Topic::new(&address, &name);
    topic.make();
    let cluster = Cluster::with(database, 1, &["--kafka-brokers", &address, "--submission-topic", &name]);
    let node = &cluster.nodes[0];
    put(&topic, 10);
    until("they are stored", SOON, || cluster.counts(0)["scheduled"] == 10);
    // Nothing can be ingested as long as this transaction lasts.
    let mut holder = PgConnection::establish(&cluster.url).unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE ingest_offset IN EXCLUSIVE MODE").unwrap();
    put(&topic, 5_000);
    until("the lag is shown, and that it lasts", SOON, || {
        let queue = queue(node);
        queue["lag"].as_i64().unwrap() >= 4_000 && queue["oldest_ms"].as_u64().unwrap() >= 1_000
    });
    println!("while nothing can be ingested: {}", queue(node));
    holder.batch_execute("ROLLBACK").unwrap();
    until("all are stored", SOON, || cluster.counts(0)["scheduled"] == 5_010);
    until("there is no lag any more", SOON, || queue(node)["lag"] == 0 && queue(node)["oldest_ms"] == 0);
}
