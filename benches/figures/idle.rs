//! What a node costs that has nothing to do yet, and how fast it is there.

use std::time::Duration;

use super::process::{cpu_seconds, resident_mb};
use super::{Bar, Figure};
use crate::harness::Node;
use crate::raw::Raw;

const WAITING: usize = 100_000;
const MANY: usize = 1_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// CPU and memory with 100,000 future tasks, over `seconds`.
pub fn measure(seconds: u64) -> Vec<Figure> {
    let folder = tempfile::tempdir().unwrap();
    Raw::create(folder.path()).insert(WAITING, |n| HOUR_US + n as i64);
    let node = Node::silent(folder.path());
    // Its start is over.
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu_seconds(node.pid());
    std::thread::sleep(Duration::from_secs(seconds));
    let used = cpu_seconds(node.pid()) - before;
    let detail = format!("{WAITING} future tasks, over {seconds} s");
    vec![
        Figure {
            name: "idle: part of a core",
            value: used / seconds as f64 * 100.0,
            unit: "%",
            bar: Bar::AtMost(0.5),
            detail: detail.clone(),
        },
        Figure {
            name: "idle: resident memory",
            value: resident_mb(node.pid()),
            unit: "MB",
            bar: Bar::AtMost(48.0),
            detail,
        },
    ]
}

/// From the start of the process to its first ready answer, with 1,000,000 future tasks.
pub fn start() -> Figure {
    let folder = tempfile::tempdir().unwrap();
    Raw::create(folder.path()).insert(MANY, |n| HOUR_US + n as i64);
    let mut node = Node::silent(folder.path());
    node.kill();
    let mut took: Vec<f64> = (0..3)
        .map(|_| {
            let took = node.restart();
            node.kill();
            took.as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    Figure {
        name: "start to ready",
        value: took[1],
        unit: "ms",
        bar: Bar::AtMost(500.0),
        detail: format!("{MANY} future tasks, after a kill, median of 3"),
    }
}
