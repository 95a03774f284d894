//! A topic as the way in: how fast its records become rows, and how soon a submission is called.

use std::time::{Duration, Instant};

use serde_json::json;
use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;
use uuid::Uuid;

use super::{Bar, Figure, median, quantile};
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::topic::Topic;
use crate::harness::{Node, Receiver, http};
use crate::raw::PAYLOAD;
use crate::raw::postgres::RawPostgres;
use crate::services::kafka;
use crate::services::postgres::Server;

const TASKS: usize = 200_000;

/// 200,000 records that stand on a topic, `pairs` times in turn with the raw insert; then `singles` immediate tasks, one at
/// a time, each from its submission to its call.
pub fn measure(server: &Server, pairs: usize, singles: usize) -> Vec<Figure> {
    let Some(brokers) = kafka::server() else {
        return vec![
            Figure::missing("topic to rows", "no Kafka"),
            Figure::missing("submission over a topic", "no Kafka"),
        ];
    };
    let (mut ratios, mut details) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let url = server.schema();
        PostgresStore::new(&url, 1).prepare().unwrap();
        let raw = rate(RawPostgres::on(&url).insert(TASKS, 3_600_000_000));
        let node = ingested(server, brokers);
        println!("      raw insert {raw:.0}/s, from the topic {node:.0}/s");
        ratios.push(node / raw);
        details.push((node, raw));
    }
    let middle = |of: fn(&(f64, f64)) -> f64| median(details.iter().map(of).collect());
    let mut figures = vec![Figure {
        name: "topic to rows, 200,000 / raw insert",
        value: median(ratios),
        unit: "",
        bar: Bar::AtLeast(0.4),
        detail: format!("{:.0}/s against {:.0}/s, medians of {pairs}", middle(|one| one.0), middle(|one| one.1)),
    }];
    figures.extend(immediate(server, brokers, singles));
    figures
}

/// Records per second that a node stores between the first look that sees one and the last.
fn ingested(server: &Server, brokers: &kafka::Server) -> f64 {
    let (url, name) = (server.schema(), brokers.topic());
    let flags = ["--database-url", &url, "--kafka-brokers", &brokers.brokers(), "--submission-topic", &name];
    // The topic is made by a node that ends again before there is anything on it.
    Node::silent_with(&flags).stop();
    let payload: serde_json::Value = serde_json::from_str(PAYLOAD).unwrap();
    let document = json!({"delay_ms": 3_600_000, "target": {"type": "log"}, "payload": payload}).to_string();
    let ids: Vec<String> = (0..TASKS).map(|_| Uuid::now_v7().to_string()).collect();
    let topic = Topic::new(&brokers.brokers(), &name);
    topic.put(ids.iter().map(|id| (Some(id.as_str()), Some(document.as_bytes()))));
    let node = Node::silent_with(&flags);
    let stored = || {
        let counts = http::get(&node.url("/v1/stats")).json()["tasks"].clone();
        usize::try_from(counts["scheduled"].as_u64().unwrap()).unwrap()
    };
    until("it has begun", Duration::from_secs(20), || stored() > 0);
    let (began, first) = (Instant::now(), stored());
    assert!(first < TASKS / 2, "too fast to be measured: {first} stood there at the first look");
    until("all are stored", Duration::from_mins(2), || stored() == TASKS);
    (TASKS - first) as f64 / began.elapsed().as_secs_f64()
}

/// From just before its POST to its call, on three nodes, each of them asked in turn.
fn immediate(server: &Server, brokers: &kafka::Server, singles: usize) -> Vec<Figure> {
    let (name, receiver) = (brokers.topic(), Receiver::start());
    let flags = ["--kafka-brokers", &brokers.brokers(), "--submission-topic", &name];
    let cluster = Cluster::with(server, 3, &flags);
    let document = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let mut took = Vec::new();
    for n in 0..singles {
        let began = std::time::SystemTime::now();
        let answer = http::post_json(&cluster.nodes[n % 3].url("/v1/tasks"), &document);
        assert_eq!(answer.status, 202);
        receiver.wait_for(n + 1, Duration::from_secs(20));
        let called = receiver.calls()[n].at;
        took.push(called.duration_since(began).unwrap_or_default().as_secs_f64() * 1e3);
    }
    // The first of each node opens connections.
    let mut took = took.split_off(6.min(took.len() / 2));
    took.sort_by(f64::total_cmp);
    let detail = format!(
        "{} tasks with delay_ms 0, one at a time, from before the POST, without the first {} (connections are made)",
        took.len(),
        singles - took.len()
    );
    let figure = |name, value, bar| Figure { name, value, unit: "ms", bar, detail: detail.clone() };
    vec![
        figure("submission over a topic to its call, p50", quantile(&took, 0.5), Bar::AtMost(20.0)),
        figure("submission over a topic to its call, p99", quantile(&took, 0.99), Bar::AtMost(80.0)),
    ]
}

fn rate(took: Duration) -> f64 {
    TASKS as f64 / took.as_secs_f64()
}
