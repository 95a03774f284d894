//! Tasks submitted one by one by many callers at once: what it is worth that submissions share commits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;

use super::callers::{Request, call};
use super::process::{cpu_seconds, family_cpu_seconds};
use super::{Bar, Figure, median};
use crate::harness::Node;
use crate::raw::PAYLOAD;
use crate::raw::postgres::RawPostgres;
use crate::services::kafka;
use crate::services::postgres::Server;

const CALLERS: usize = 64;
/// Connections of the raw loop: more than this do not make it faster.
const RAW_CONNECTIONS: usize = 16;
/// Connections and statements are made, the callers are at their pace.
const WARM_UP: Duration = Duration::from_secs(1);

/// Submissions per second for `seconds`: `pairs` times with and without shared commits in turn, then over a topic.
pub fn measure(server: &Server, pairs: usize, seconds: u64) -> Vec<Figure> {
    let lasting = Duration::from_secs(seconds);
    let on_postgres = |flags: &[&str]| {
        let url = server.schema();
        let node = Node::silent_with(&[&["--database-url", &url], flags].concat());
        submitted(server, &node, lasting)
    };
    let (mut ratios, mut shared_rates, mut own_rates) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Each comes first as often as the other.
        let (shared, own) = if pair % 2 == 0 {
            (on_postgres(&[]), on_postgres(&["--ingest-batch", "1"]))
        } else {
            let own = on_postgres(&["--ingest-batch", "1"]);
            (on_postgres(&[]), own)
        };
        println!("      shared commits: {}\n      one commit each: {}", shared.line(), own.line());
        ratios.push(shared.rate / own.rate);
        shared_rates.push(shared.rate);
        own_rates.push(own.rate);
    }
    let detail = format!(
        "{:.0}/s against {:.0}/s, medians of {pairs}; the callers alone reach {:.0}/s; raw, {RAW_CONNECTIONS} connections, a \
         commit for each row: {:.0}/s",
        median(shared_rates),
        median(own_rates),
        callers_alone(server, lasting),
        raw_singles(server, lasting)
    );
    let mut figures = vec![Figure {
        name: "single POST, 64 connections / one commit each",
        value: median(ratios),
        unit: "",
        bar: Bar::AtLeast(3.0),
        detail,
    }];
    figures.push(over_a_topic(server, pairs, lasting));
    figures
}

fn over_a_topic(server: &Server, runs: usize, lasting: Duration) -> Figure {
    let name = "single POST, 64 connections, over a topic";
    let Some(brokers) = kafka::server() else { return Figure::missing(name, "no Kafka") };
    let rates = (0..runs).map(|_| {
        let (url, topic) = (server.schema(), brokers.topic());
        let flags = ["--database-url", &url, "--kafka-brokers", &brokers.brokers(), "--submission-topic", &topic];
        let run = submitted(server, &Node::silent_with(&flags), lasting);
        println!("      over a topic: {}", run.line());
        run.rate
    });
    let detail = format!("each answered by its delivery report, median of {runs}");
    Figure { name, value: median(rates.collect()), unit: "/s", bar: Bar::None, detail }
}

/// One run: submissions per second, and what one of them takes, in microseconds of CPU.
struct Run {
    rate: f64,
    node_us: f64,
    server_us: f64,
    callers_us: f64,
}

impl Run {
    fn line(&self) -> String {
        format!(
            "{:.0}/s; per submission {:.0} µs of CPU in the node, {:.0} µs in PostgreSQL, {:.0} µs in the callers",
            self.rate, self.node_us, self.server_us, self.callers_us
        )
    }
}

fn submitted(server: &Server, node: &Node, lasting: Duration) -> Run {
    let payload: Value = serde_json::from_str(PAYLOAD).unwrap();
    let document = json!({"delay_ms": 3_600_000, "target": {"type": "log"}, "payload": payload}).to_string();
    let request = Request::post(node.address(), "/v1/tasks", &document);
    call(CALLERS, &request, WARM_UP);
    let used = || [cpu_seconds(node.pid()), family_cpu_seconds(server.pid()), cpu_seconds(std::process::id())];
    let before = used();
    let (answers, took) = call(CALLERS, &request, lasting);
    let after = used();
    let us = |of: usize| (after[of] - before[of]) * 1e6 / answers as f64;
    Run { rate: answers as f64 / took.as_secs_f64(), node_us: us(0), server_us: us(1), callers_us: us(2) }
}

/// What the callers reach where the node has next to nothing to do: above what is measured, or it would be theirs.
fn callers_alone(server: &Server, lasting: Duration) -> f64 {
    let node = Node::silent_with(&["--database-url", &server.schema()]);
    let (answers, took) = call(CALLERS, &Request::get(node.address(), "/healthz"), lasting);
    answers as f64 / took.as_secs_f64()
}

/// What PostgreSQL itself reaches with a commit for each row, many of them under way at once.
fn raw_singles(server: &Server, lasting: Duration) -> f64 {
    let url = server.schema();
    PostgresStore::new(&url, 1).prepare().unwrap();
    let mut connections: Vec<RawPostgres> = (0..RAW_CONNECTIONS).map(|_| RawPostgres::on(&url)).collect();
    let (began, until) = (Instant::now(), Instant::now() + lasting);
    let inserted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = connections.iter_mut().map(|one| scope.spawn(move || one.insert_singly(until))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    inserted as f64 / began.elapsed().as_secs_f64()
}
