//! How fast submissions go in and due tasks go out, beside the raw loop.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bar, Figure, median};
use crate::harness::node::until;
use crate::harness::{Node, http};
use crate::raw::Raw;

const TASKS: usize = 100_000;
const BATCH: usize = 10_000;
const SUBMITTERS: usize = 2;

/// Drain and submit, `pairs` times in turn with the raw loop; the medians of the ratios.
pub fn measure(pairs: usize) -> Vec<Figure> {
    let (mut drains, mut submits, mut details) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let folder = tempfile::tempdir().unwrap();
        let mut raw = Raw::create(&folder.path().join("raw"));
        let raw_insert = rate(TASKS, raw.insert(TASKS, |_| -1_000_000));
        let (drained, took) = raw.drain();
        assert_eq!(drained, TASKS);
        let raw_drain = rate(TASKS, took);
        drop(raw);
        let submit = submitted();
        let drain = drained_by_a_node();
        println!(
            "      raw insert {raw_insert:.0}/s, REST batch submit {submit:.0}/s; raw drain {raw_drain:.0}/s, node's drain {drain:.0}/s"
        );
        submits.push(submit / raw_insert);
        drains.push(drain / raw_drain);
        details.push((raw_insert, submit, raw_drain, drain));
    }
    let middle = |of: fn(&(f64, f64, f64, f64)) -> f64| median(details.iter().map(of).collect());
    vec![
        Figure {
            name: "drain of 100,000 due log tasks / raw loop",
            value: median(drains),
            unit: "",
            bar: Bar::AtLeast(0.5),
            detail: format!("{:.0}/s against {:.0}/s, medians of {pairs}", middle(|d| d.3), middle(|d| d.2)),
        },
        Figure {
            name: "batch submit over REST / raw insert",
            value: median(submits),
            unit: "",
            bar: Bar::AtLeast(0.5),
            detail: format!("{:.0}/s against {:.0}/s, medians of {pairs}", middle(|d| d.1), middle(|d| d.0)),
        },
    ]
}

/// Ten batches of 10,000 over two connections; tasks per second until the last answer.
fn submitted() -> f64 {
    let node = Node::start();
    let one = json!({"delay_ms": 3_600_000, "target": {"type": "log"}, "payload": {"order": 42, "text": "0123456789".repeat(7)}});
    let body = Value::from(vec![one; BATCH]).to_string();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SUBMITTERS {
            scope.spawn(|| {
                for _ in 0..TASKS / BATCH / SUBMITTERS {
                    let json = [("content-type", "application/json")];
                    let answer = http::request("POST", &node.url("/v1/tasks/batch"), &json, body.as_bytes());
                    assert_eq!(answer.status, 201);
                }
            });
        }
    });
    rate(TASKS, began.elapsed())
}

/// A node that starts with everything due and a silent log; tasks per second between its first and last end.
fn drained_by_a_node() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    Raw::create(folder.path()).insert(TASKS, |_| -1_000_000);
    let node = Node::silent(folder.path());
    drain_rate(&node, TASKS)
}

/// Tasks per second between the first look that sees one ended and the end of all.
pub fn drain_rate(node: &Node, tasks: usize) -> f64 {
    let ended = || {
        let counts = http::get(&node.url("/v1/stats")).json()["tasks"].clone();
        usize::try_from(counts["succeeded"].as_u64().unwrap()).unwrap()
    };
    until("it has begun", Duration::from_secs(20), || ended() > 0);
    let (began, first) = (Instant::now(), ended());
    assert!(first < tasks / 2, "too fast to be measured: {first} had ended before the first look");
    until("all have ended", Duration::from_mins(2), || ended() == tasks);
    rate(tasks - first, began.elapsed())
}

fn rate(tasks: usize, took: Duration) -> f64 {
    tasks as f64 / took.as_secs_f64()
}
