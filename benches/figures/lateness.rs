//! How late calls are, measured where they arrive.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::steady::latenesses;
use super::{Bar, Figure, median, quantile};
use crate::harness::{Node, Receiver, http};

const RATE: usize = 500;

/// 500 tasks/s over HTTP for `seconds`, `runs` times; the medians over the runs.
pub fn measure(runs: usize, seconds: usize) -> Vec<Figure> {
    let (mut firsts, mut middles, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let ms = latenesses(&Node::start(), RATE, seconds);
        let (p50, p99) = (quantile(&ms, 0.5), quantile(&ms, 0.99));
        println!(
            "      {} calls in {seconds} s: first {:.3} ms, p50 {p50:.3} ms, p99 {p99:.3} ms, last {:.3} ms",
            ms.len(),
            ms[0],
            ms[ms.len() - 1]
        );
        firsts.push(ms[0]);
        middles.push(p50);
        lasts.push(p99);
    }
    let detail = format!("{RATE}/s for {seconds} s, {runs} runs");
    let earliest = firsts.into_iter().fold(f64::INFINITY, f64::min);
    vec![
        Figure {
            name: "earliest call after its instant",
            value: earliest,
            unit: "ms",
            bar: Bar::AtLeast(0.0),
            detail: detail.clone(),
        },
        Figure {
            name: "lateness over HTTP, p50",
            value: median(middles),
            unit: "ms",
            bar: Bar::AtMost(1.0),
            detail: detail.clone(),
        },
        Figure { name: "lateness over HTTP, p99", value: median(lasts), unit: "ms", bar: Bar::AtMost(10.0), detail },
    ]
}

/// `tasks` tasks due at once, one after another: from the `201` to the call.
pub fn at_once(tasks: usize) -> Figure {
    let (receiver, node) = (Receiver::start(), Node::start());
    let document = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let mut ms = Vec::with_capacity(tasks);
    for n in 1..=tasks {
        let answer = http::post_json(&node.url("/v1/tasks"), &document);
        let answered = SystemTime::now();
        assert_eq!(answer.status, 201);
        let call = receiver.wait_for(n, Duration::from_secs(10)).pop().unwrap();
        ms.push(call.at.duration_since(answered).unwrap_or_default().as_secs_f64() * 1e3);
    }
    ms.sort_by(f64::total_cmp);
    Figure {
        name: "delay_ms 0: from its 201 to the call, p50",
        value: quantile(&ms, 0.5),
        unit: "ms",
        bar: Bar::AtMost(10.0),
        detail: format!("{tasks} tasks, p99 {:.2} ms", quantile(&ms, 0.99)),
    }
}
