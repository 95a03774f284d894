//! How fast lists and counts are answered when there is much: a million tasks that wait and a million that have ended.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::filled::Filling;
use super::{Bar, Figure};
use crate::harness::node::until;
use crate::harness::{Node, http};
use crate::services::postgres::Server;

const CALLS: usize = 20;
const LIST_MS: f64 = 50.0;
const STATS_MS: f64 = 10.0;
/// Claims that are held while it is measured.
const RUNNING: usize = 100;

/// What is asked for, first pages all of them. `half` and `other` never stand together, `absent` nowhere, `rare` 20 times;
/// a tenant has 2,000 tasks, a target 100,000, `env` half of all.
const LISTS: [(&str, &str); 24] = [
    ("no filter", "limit=100"),
    ("no filter, 1,000 of them", "limit=1000"),
    ("state=scheduled", "state=scheduled"),
    ("state=dispatched", "state=dispatched"),
    ("state=succeeded", "state=succeeded"),
    ("state=failed", "state=failed"),
    ("state=unknown", "state=unknown"),
    ("state=cancelled", "state=cancelled"),
    ("state=expired", "state=expired"),
    ("label, half of all", "label=env%3Dprod"),
    ("label, few", "label=rare%3Dx"),
    ("label, none", "label=absent%3Dx"),
    ("two labels", "label=env%3Dprod&label=tenant%3Dt4"),
    ("two labels that never meet", "label=half%3Da&label=other%3Db"),
    ("target", "target=http:host3.example.org"),
    ("target and label", "target=http:host5.example.org&label=half%3Da"),
    ("target and label that never meet", "target=http:host3.example.org&label=env%3Dprod"),
    ("label and state=scheduled", "label=env%3Dprod&state=scheduled"),
    ("label and state=succeeded", "label=env%3Dprod&state=succeeded"),
    ("label and state=failed", "label=env%3Dprod&state=failed"),
    ("label and state=failed that never meet", "label=tenant%3Dt5&state=failed"),
    ("label and state=dispatched", "label=env%3Dprod&state=dispatched"),
    ("from and to", "from=2023-11-14T22:30:00Z&to=2023-11-14T22:30:01Z"),
    (
        "state, label, target, from and to",
        "state=succeeded&label=other%3Db&target=log&from=2023-11-14T22:20:00Z&to=2023-11-14T22:30:00Z",
    ),
];

/// On a file.
pub fn embedded() -> Vec<Figure> {
    let folder = Filling::far_ahead().folder();
    measure(&Node::silent(folder.path()), "SQLite")
}

/// On a PostgreSQL.
pub fn cluster(server: &Server) -> Vec<Figure> {
    let url = Filling::far_ahead().schema(server);
    measure(&Node::silent_with(&["--database-url", &url]), "PostgreSQL")
}

fn measure(node: &Node, store: &str) -> Vec<Figure> {
    // Accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let one = json!({
        "delay_ms": 0, "timeout_ms": 600_000, "labels": {"env": "prod"},
        "target": {"type": "http", "url": format!("http://{address}/")},
    });
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &Value::from(vec![one; RUNNING])).status, 201);
    let stats = || http::get(&node.url("/v1/stats")).json();
    until("calls are under way", Duration::from_secs(30), || stats()["tasks"]["dispatched"] == RUNNING);
    println!("      {store}: {}", stats()["tasks"]);
    let mut worst = Vec::new();
    for (what, query) in LISTS {
        worst.push(asked(node, &format!("{store}: {what}"), &format!("/v1/tasks?{query}")));
    }
    for (what, query) in LISTS.into_iter().filter(|(what, _)| what.contains("never") || *what == "no filter") {
        worst.push(deep(node, &format!("{store}: {what}, further on"), query));
    }
    let list = worst.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap();
    let stats = asked(node, &format!("{store}: stats"), "/v1/stats");
    let (lists, counts) = match store {
        "SQLite" => ("slowest of all lists (SQLite)", "stats (SQLite)"),
        _ => ("slowest of all lists (PostgreSQL)", "stats (PostgreSQL)"),
    };
    let of = format!("most of {CALLS} calls; 1,000,000 tasks wait, 1,000,000 have ended");
    vec![
        Figure {
            name: lists,
            value: list.0,
            unit: "ms",
            bar: Bar::AtMost(LIST_MS),
            detail: format!("{}; {of}", list.1),
        },
        Figure { name: counts, value: stats.0, unit: "ms", bar: Bar::AtMost(STATS_MS), detail: of },
    ]
}

/// The longest of the calls, after one that is not counted: it makes the plans.
fn asked(node: &Node, what: &str, path: &str) -> (f64, String) {
    let first = timed(node, path);
    let mut took: Vec<f64> = (0..CALLS).map(|_| timed(node, path).0).collect();
    told(what, first.0, &mut took, &first.1)
}

/// Page by page.
fn deep(node: &Node, what: &str, query: &str) -> (f64, String) {
    let (mut took, mut cursor, mut last) = (Vec::new(), String::new(), Value::Null);
    while took.len() <= CALLS {
        let (ms, answer) = timed(node, &format!("/v1/tasks?{query}{cursor}"));
        took.push(ms);
        last = answer;
        let Some(next) = last["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let first = took.remove(0);
    if took.is_empty() {
        took.push(first);
    }
    told(what, first, &mut took, &last)
}

fn told(what: &str, first: f64, took: &mut [f64], answer: &Value) -> (f64, String) {
    took.sort_by(f64::total_cmp);
    let longest = took[took.len() - 1];
    let tasks = answer["tasks"].as_array().map_or(0, Vec::len);
    let goes_on = answer["next_cursor"].is_string();
    println!(
        "      {what:<60} p50 {:>7.2} ms, max {longest:>7.2} ms, first call {first:>7.2} ms; {tasks} tasks{}",
        took[took.len() / 2],
        if goes_on { ", goes on" } else { "" }
    );
    (longest, what.to_owned())
}

fn timed(node: &Node, path: &str) -> (f64, Value) {
    let began = Instant::now();
    let answer = http::get(&node.url(path));
    let ms = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status, 200, "{path}");
    (ms, answer.json())
}
