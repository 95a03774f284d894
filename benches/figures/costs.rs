//! What the way of a task costs the database: its submission, claim, start record and outcome, beside the raw loop's.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;

use super::meter::Meter;
use super::{Bar, Figure};
use crate::harness::node::until;
use crate::harness::{Node, http};
use crate::raw::PAYLOAD;
use crate::raw::postgres::RawPostgres;

const RATE: usize = 1_000;
const BATCH: usize = 1_000;
/// The drain begins when all are in: slower than they come in.
const SUBMITTED_PER_SECOND: f64 = 15_000.0;
/// Time between looks at the metrics.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Statements, commits and bytes of WAL per task: at 1,000/s for `seconds`, and in a drain of `tasks`.
pub fn measure(meter: &mut Meter, seconds: usize, tasks: usize) -> Vec<Figure> {
    let raw = per_task(meter, tasks, "raw loop", |url| {
        let mut raw = RawPostgres::on(url);
        raw.insert(tasks, -1_000_000);
        assert_eq!(raw.drain().0, tasks);
    });
    let paced = per_task(meter, seconds * RATE, "1,000/s", |url| at_a_rate(url, seconds));
    let drained = per_task(meter, tasks, "drain", |url| in_a_drain(url, tasks));
    let names = [
        ["1,000/s: statements per task", "1,000/s: commits per task", "1,000/s: WAL per task"],
        ["drain: statements per task", "drain: commits per task", "drain: WAL per task"],
    ];
    let of = [
        format!("one node from its start on, {seconds} s"),
        format!("one node from its start on, {tasks} tasks in batches of {BATCH}"),
    ];
    let mut figures = Vec::new();
    for ((names, of), counted) in names.into_iter().zip(of).zip([paced, drained]) {
        for (n, name) in names.into_iter().enumerate() {
            let (unit, raw) = if n == 2 { ("B", format!("{:.0}", raw[n])) } else { ("", format!("{:.4}", raw[n])) };
            let detail = format!("raw loop {raw}; {of}");
            figures.push(Figure { name, value: counted[n], unit, bar: Bar::None, detail });
        }
    }
    figures
}

/// Statements, commits and bytes of WAL per task of `work` on a new schema.
fn per_task(meter: &mut Meter, tasks: usize, what: &str, work: impl FnOnce(&str)) -> [f64; 3] {
    let url = meter.server.schema();
    PostgresStore::new(&url, 1).prepare().unwrap();
    let before = meter.counted_anew();
    work(&url);
    let counted = meter.counted() - before;
    println!("      {what}, per task:");
    for kind in meter.most(8) {
        let (calls, us) = (kind.calls as f64 / tasks as f64, kind.us as f64 / tasks as f64);
        println!("        {calls:.4} calls, {us:.2} µs: {}", kind.words.chars().take(90).collect::<String>());
    }
    [counted.statements, counted.commits, counted.wal_bytes].map(|count| count as f64 / tasks as f64)
}

/// Each second's tasks come in two seconds before, as one batch.
fn at_a_rate(url: &str, seconds: usize) {
    let node = Node::silent_with(&["--database-url", url]);
    let began = SystemTime::now();
    for second in 0..seconds {
        let at =
            |n: usize| began + Duration::from_secs(second as u64 + 2) + Duration::from_secs(n as u64) / RATE as u32;
        submit(&node, (0..RATE).map(|n| document(at(n))));
        std::thread::sleep(Duration::from_secs(second as u64 + 1).saturating_sub(began.elapsed().unwrap()));
    }
    until_ended(&node, seconds * RATE);
}

/// All of them due at one instant, when all are in.
fn in_a_drain(url: &str, tasks: usize) {
    let node = Node::silent_with(&["--database-url", url]);
    let due = document(SystemTime::now() + Duration::from_secs_f64(tasks as f64 / SUBMITTED_PER_SECOND));
    for _ in 0..tasks / BATCH {
        submit(&node, (0..BATCH).map(|_| due.clone()));
    }
    until_ended(&node, tasks);
}

fn document(at: SystemTime) -> Value {
    let run_at = DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({"run_at": run_at, "target": {"type": "log"}, "payload": serde_json::from_str::<Value>(PAYLOAD).unwrap()})
}

fn submit(node: &Node, documents: impl Iterator<Item = Value>) {
    let answer = http::post_json(&node.url("/v1/tasks/batch"), &documents.collect());
    assert_eq!(answer.status, 201);
}

/// By what the node counts itself. Its metrics ask the database too, so they are looked at seldom.
pub fn until_ended(node: &Node, tasks: usize) {
    let line = format!("task_scheduler_outcomes_total{{outcome=\"succeeded\"}} {tasks}");
    let ended = || {
        std::thread::sleep(LOOKS_EVERY);
        String::from_utf8(http::get(&node.url("/metrics")).body).unwrap().contains(&line)
    };
    until("all were called", Duration::from_mins(2), ended);
    let stored = || http::get(&node.url("/v1/stats")).json()["tasks"]["succeeded"] == tasks;
    until("all outcomes are stored", Duration::from_secs(20), stored);
}
