//! Nodes on a database and a topic of their own.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cluster::Cluster;
use super::node::PROGRAM;
use super::producer::Producer;
use super::topic::Topic;
use super::{Receiver, http};
use crate::services::kafka::{self, Server};
use crate::services::postgres;

/// See the module.
pub struct OnTopic {
    pub cluster: Cluster,
    pub topic: String,
    pub brokers: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl OnTopic {
    /// So many nodes; `None` where there is no server.
    pub fn start(nodes: usize) -> Option<Self> {
        Self::on(kafka::server()?, nodes, &[])
    }

    /// The same on these brokers, with further flags.
    pub fn on(server: &Server, nodes: usize, more: &[&str]) -> Option<Self> {
        let (topic, brokers) = (server.topic(), server.brokers());
        let cluster = Cluster::with(postgres::server()?, nodes, &[&flags(&brokers, &topic), more].concat());
        Some(Self { cluster, topic, brokers })
    }

    /// Its topic.
    pub fn topic(&self) -> Topic {
        Topic::new(&self.brokers, &self.topic)
    }

    /// Another service's.
    pub fn producer(&self) -> Producer {
        Producer::new(&self.brokers, &self.topic)
    }

    /// Puts tasks on the topic; back when all are there.
    pub fn put(&self, tasks: &[(String, String)]) {
        let producer = self.producer();
        for (id, document) in tasks {
            producer.send(id, document.as_bytes());
        }
        assert_eq!(producer.flush(Duration::from_secs(20)).len(), tasks.len());
    }

    /// Runs `offsets` of the program on it.
    pub fn offsets(&self, arguments: &[&str]) -> Value {
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
    pub fn is_ingested(&self) -> bool {
        let shown = self.offsets(&["show"]);
        shown["partitions"].as_array().unwrap().iter().all(|one| one["end"] == 0 || one["next"] == one["end"])
    }

    /// Waits until everything on the topic is ingested, and no task is live any more.
    pub fn settle(&self, within: Duration) {
        let live = || self.number("SELECT 'live' AS name, count(*) AS number FROM task");
        let until = Instant::now() + within;
        while !(self.is_ingested() && live() == 0) {
            assert!(Instant::now() < until, "{} live; {}", live(), self.offsets(&["show"]));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What stands in the database: named numbers.
    pub fn rows(&self, sql: &str) -> BTreeMap<String, i64> {
        let mut connection = PgConnection::establish(&self.cluster.url).unwrap();
        let rows: Vec<Row> = diesel::sql_query(sql).load(&mut connection).unwrap();
        rows.into_iter().map(|row| (row.name, row.number)).collect()
    }

    /// The number of the one row that this gives.
    pub fn number(&self, sql: &str) -> i64 {
        self.rows(sql).into_values().next().unwrap()
    }

    /// Dead letters, as a node counts them.
    pub fn dead_letters(&self) -> u64 {
        http::get(&self.cluster.nodes[0].url("/v1/stats")).json()["dead_letters"].as_u64().unwrap()
    }

    /// The partitions that a node reads, as it has last said.
    pub fn reads(&self, node: usize) -> Vec<i32> {
        let log = self.cluster.nodes[node].log();
        let last = log.rsplit_once("reads partitions [").map_or("", |(_, last)| last.split(']').next().unwrap());
        last.split(", ").filter(|one| !one.is_empty()).map(|one| one.parse().unwrap()).collect()
    }

    /// These nodes read all partitions, each by one of them.
    pub fn is_shared_among(&self, nodes: &[usize]) -> bool {
        let mut read: Vec<i32> = nodes.iter().flat_map(|node| self.reads(*node)).collect();
        read.sort_unstable();
        read == [0, 1, 2, 3, 4, 5]
    }
}

/// What nodes on a topic are started with.
pub fn flags<'a>(brokers: &'a str, topic: &'a str) -> [&'a str; 6] {
    ["--kafka-brokers", brokers, "--submission-topic", topic, "--kafka-partitions", "6"]
}

/// How often each task was received.
pub fn received(receiver: &Receiver) -> HashMap<String, usize> {
    let mut calls = HashMap::new();
    for call in receiver.calls() {
        *calls.entry(call.header("x-task-id").unwrap().to_owned()).or_default() += 1;
    }
    calls
}

/// New tasks for `hook`, due within the next `spread`: ids and documents.
pub fn tasks(n: usize, hook: &str, spread: Duration) -> Vec<(String, String)> {
    let one = |n: usize, of: usize| {
        let delay_ms = spread.mul_f64(n as f64 / of as f64).as_millis() as u64;
        let document = json!({"delay_ms": delay_ms, "target": {"type": "http", "url": hook}});
        (Uuid::now_v7().to_string(), document.to_string())
    };
    (0..n).map(|i| one(i, n)).collect()
}
