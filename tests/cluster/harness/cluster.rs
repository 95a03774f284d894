//! Several nodes on one PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};

use super::node::until;
use super::{Node, http};
use crate::services::postgres::{Server, server};

/// Nodes on a schema of their own.
pub struct Cluster {
    /// The URL of the schema.
    pub url: String,
    /// The nodes, `node-0` first.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// So many nodes, started at once; `None` where there is no server.
    pub fn start(nodes: usize) -> Option<Self> {
        Some(Self::on(server()?, nodes))
    }

    /// The same on a server of the caller's.
    pub fn on(server: &Server, nodes: usize) -> Self {
        Self::with(server, nodes, &[])
    }

    /// The same with further flags.
    pub fn with(server: &Server, nodes: usize, more: &[&str]) -> Self {
        Self::at(server.schema(), nodes, more)
    }

    /// The same on a schema of the caller's.
    pub fn at(url: String, nodes: usize, more: &[&str]) -> Self {
        let nodes =
            (0..nodes).map(|n| Node::starting(&[&Self::flags(&url, &format!("node-{n}")), more].concat())).collect();
        let mut cluster = Self { url, nodes };
        cluster.nodes.iter_mut().for_each(Node::until_ready);
        until("somebody is master", Duration::from_secs(20), || cluster.master(0).is_some());
        cluster
    }

    /// One node more, whose way to the database is this URL.
    pub fn join(&mut self, url: &str) {
        let mut node = Node::starting(&Self::flags(url, &format!("node-{}", self.nodes.len())));
        node.until_ready();
        self.nodes.push(node);
    }

    /// What stands in the database: runs these statements.
    pub fn run(&self, sql: &str) {
        use diesel::Connection as _;
        use diesel::connection::SimpleConnection as _;
        diesel::pg::PgConnection::establish(&self.url).unwrap().batch_execute(sql).unwrap();
    }

    /// Makes the database's clock go wrong by so many microseconds from now on.
    pub fn shift_clock(&self, by_us: i64) {
        self.run(&format!(
            "CREATE OR REPLACE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE \
             AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT + {by_us} $$"
        ));
    }

    fn flags<'a>(url: &'a str, name: &'a str) -> [&'a str; 4] {
        ["--database-url", url, "--name", name]
    }

    /// `/v1/cluster` of a node.
    pub fn seen_by(&self, node: usize) -> Value {
        http::get(&self.nodes[node].url("/v1/cluster")).json()
    }

    /// The number of the node that is master, as node `by` sees it.
    pub fn master(&self, by: usize) -> Option<usize> {
        let seen = self.seen_by(by);
        let name = seen["nodes"].as_array().unwrap().iter().find(|node| node["is_master"] == true)?["name"].clone();
        name.as_str().unwrap().strip_prefix("node-")?.parse().ok()
    }

    /// How many of these tasks are a node's.
    pub fn of_node(&self, node: usize, ids: &[String]) -> usize {
        let name = format!("node-{node}");
        let by = (node + 1) % self.nodes.len();
        let is_its =
            |id: &&String| http::get(&self.nodes[by].url(&format!("/v1/tasks/{id}"))).json()["node"] == name.as_str();
        ids.iter().filter(is_its).count()
    }

    /// The counts by state.
    pub fn counts(&self, by: usize) -> Value {
        http::get(&self.nodes[by].url("/v1/stats")).json()["tasks"].clone()
    }

    /// Submits `tasks` tasks for `hook` to a node in one batch, due evenly over `spread` from `delay` on; their ids.
    pub fn submit(&self, to: usize, hook: &str, tasks: usize, (delay, spread): (Duration, Duration)) -> Vec<String> {
        let one = |n: usize| {
            let due = delay + spread.mul_f64(n as f64 / tasks as f64);
            json!({"delay_ms": due.as_millis() as u64, "target": {"type": "http", "url": hook}})
        };
        let batch: Vec<Value> = (0..tasks).map(one).collect();
        let answer = http::post_json(&self.nodes[to].url("/v1/tasks/batch"), &Value::from(batch));
        assert!(matches!(answer.status, 201 | 202), "{}", String::from_utf8_lossy(&answer.body));
        let results = answer.json();
        results["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }
}
