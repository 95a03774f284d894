//! What a browser that stays open makes a node keep in memory, beyond what a twin without one keeps.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::costs::until_ended;
use super::filled::history;
use super::process::resident_mb;
use super::{Bar, Figure, median};
use crate::harness::node::until;
use crate::harness::{Browser, Node, http};

const NAME: &str = "memory that grows with a browser open";
const MOST_MB: f64 = 1.0;
/// Tasks per second on each node.
const RATE: u64 = 10;
const SOON: Duration = Duration::from_secs(30);
/// Where a page says whether it renews itself.
const STATE: &str = "#stream-state";
/// Each event that changes anything on the page is one call, however many sections it renews.
const COUNTS: &str = "window.renewed = 0;
    const seen = new MutationObserver(() => { window.renewed += 1; });
    seen.observe(document.querySelector('main'), {childList: true, subtree: true});";
/// Tasks that have run before the browser comes, and how many of them are submitted at once: SQLite's cache of pages is full then,
/// which otherwise fills for half an hour, now in memory that lies about from the start, now in new.
const BEFORE: usize = 30_000;
const AT_ONCE: usize = 500;
/// Seconds between two samples in an hour.
const EVERY: usize = 5;

/// Memory of both nodes at one second of the run.
type Sample = (usize, [f64; 2]);

/// For so many seconds: an hour, and less only for a look.
pub fn measure(seconds: usize) -> Figure {
    let Some(browser) = Browser::open() else {
        return Figure::missing(NAME, "there is no Chromium");
    };
    // The page is as full at its start as it ever gets.
    let folders = [history(), history()];
    let nodes = folders.each_ref().map(|folder| Node::silent(folder.path()));
    nodes.iter().for_each(work);
    browser.goto(&nodes[0].url("/"));
    let state = || browser.text(STATE).unwrap_or_default();
    until("the page is live", SOON, || state() == "Live");
    browser.run(COUNTS, &[]);
    let samples = run(&nodes, seconds);
    let (state, renewed) = (state(), browser.run("return window.renewed", &[]).as_u64().unwrap_or(0));
    if state != "Live" || renewed < seconds as u64 / 2 {
        return Figure::missing(NAME, &format!("the page was renewed {renewed} times and says {state:?}"));
    }
    // From two minutes on until seven, and the last five: of an hour.
    let minute = |n: usize| seconds * n / 60;
    let of = |node: usize, from: usize, to: usize| {
        let within = samples.iter().filter(|(second, _)| (minute(from)..minute(to)).contains(second));
        median(within.map(|(_, mb)| mb[node]).collect())
    };
    let [[before, after], [twin_before, twin_after]] = [0, 1].map(|node| [of(node, 2, 7), of(node, 55, 60)]);
    Figure {
        name: NAME,
        // What the load makes a node keep, its caches, it makes the twin keep too; all of it stands in the detail.
        value: (after - before) - (twin_after - twin_before),
        unit: "MB",
        bar: Bar::AtMost(MOST_MB),
        detail: format!(
            "{before:.2} MB, then {after:.2} MB; the twin {twin_before:.2} MB, then {twin_after:.2} MB; {RATE} tasks/s each for \
             {seconds} s; the page was renewed {renewed} times and says {state:?}"
        ),
    }
}

/// A light load on both; what they hold meanwhile.
fn run(nodes: &[Node; 2], seconds: usize) -> Vec<Sample> {
    let every = (seconds * EVERY / 3_600).max(1);
    let (began, mut samples) = (Instant::now(), Vec::new());
    for second in 0..seconds {
        nodes.iter().for_each(submit);
        if second % every == 0 {
            let sample = nodes.each_ref().map(|node| resident_mb(node.pid()));
            samples.push((second, sample));
        }
        std::thread::sleep(Duration::from_secs(second as u64 + 1).saturating_sub(began.elapsed()));
    }
    samples
}

/// What a node has done before.
fn work(node: &Node) {
    for _ in 0..BEFORE / AT_ONCE {
        batch(node, (0..AT_ONCE).map(|_| 0));
    }
    until_ended(node, BEFORE);
}

/// A second's tasks, due in the next one.
fn submit(node: &Node) {
    batch(node, (0..RATE).map(|n| 1_000 + n * 1_000 / RATE));
}

/// Tasks that are due after so many milliseconds each.
fn batch(node: &Node, delays_ms: impl Iterator<Item = u64>) {
    let task = |delay_ms| json!({"delay_ms": delay_ms, "target": {"type": "log"}, "payload": {"n": delay_ms}});
    let documents: Vec<Value> = delays_ms.map(task).collect();
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &Value::from(documents)).status, 201);
}
