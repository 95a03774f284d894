//! What the receiver got, against what was accepted.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Receiver;
use super::on_topic::{OnTopic, received};

const UNKNOWN: &str = "SELECT id::text AS name, 1::bigint AS number FROM task_history WHERE state = 4";
const STORED: &str = "SELECT 'stored' AS name, count(*) AS number FROM \
    (SELECT id FROM task UNION ALL SELECT id FROM task_history) AS every";
const TWICE: &str = "SELECT 'twice' AS name, count(*) AS number FROM task JOIN task_history USING (id)";

/// A task as it was submitted.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// A call before this is early.
    pub due: SystemTime,
    pub at_most_once: bool,
}

/// Everything that was submitted.
#[derive(Debug, Default)]
pub struct Ledger {
    pub offered: HashMap<String, Task>,
    /// Those that were answered with success, or that a delivery report told of.
    pub accepted: HashSet<String>,
}

impl Ledger {
    /// Of tasks that are about to be put on a topic: ids and documents.
    pub fn of(tasks: &[(String, String)]) -> Self {
        let now = SystemTime::now();
        let task = |document: &String| {
            let document: Value = serde_json::from_str(document).unwrap();
            Task { due: now + Duration::from_millis(document["delay_ms"].as_u64().unwrap()), at_most_once: true }
        };
        let offered = tasks.iter().map(|(id, document)| (id.clone(), task(document))).collect();
        Self { offered, accepted: tasks.iter().map(|(id, _)| id.clone()).collect() }
    }

    /// And this too.
    pub fn add(&mut self, more: Self) {
        self.offered.extend(more.offered);
        self.accepted.extend(more.accepted);
    }
}

/// What processes that died or stood still may leave: none where none did.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Started, with an outcome that nobody can know: at most once, so perhaps never.
    pub unknown: usize,
    /// At least once, and called twice.
    pub doubled: usize,
}

impl Allowed {
    /// Nobody died.
    pub const NONE: Self = Self { unknown: 0, doubled: 0 };

    /// So many times a node died or stood still: all slots, and what had its start record in the last 20 ms.
    pub fn deaths(times: usize, rate: usize) -> Self {
        let one = 256 + rate / 50;
        Self { unknown: times * one, doubled: times * one }
    }
}

/// The median, the 99th of a hundred and the last, in milliseconds.
pub fn spread(mut late_ms: Vec<f64>) -> String {
    late_ms.sort_by(f64::total_cmp);
    let at = |of_a_hundred: usize| late_ms.get(late_ms.len() * of_a_hundred / 100).or(late_ms.last());
    let [p50, p99, last] = [50, 99, 100].map(|n| at(n).copied().unwrap_or_default());
    format!("p50 {p50:.1}, p99 {p99:.1}, last {last:.1} ms")
}

/// Prints the figures, and judges them. The nodes live, and nothing is under way any more.
pub fn judge(row: &str, on: &OnTopic, ledger: &Ledger, receiver: &Receiver, allowed: Allowed) {
    let times = received(receiver);
    let unknown: HashSet<String> = on.rows(UNKNOWN).into_keys().collect();
    let count = |id: &String| times.get(id).copied().unwrap_or(0);
    let lost: Vec<_> = ledger.accepted.iter().filter(|id| count(id) == 0 && !unknown.contains(*id)).collect();
    let never = unknown.iter().filter(|id| count(id) == 0).count();
    let doubled = |once: bool| -> Vec<&String> {
        ledger
            .offered
            .iter()
            .filter(|(id, task)| task.at_most_once == once && count(id) > 1)
            .map(|(id, _)| id)
            .collect()
    };
    let strangers = times.keys().filter(|id| !ledger.offered.contains_key(*id)).count();
    let calls = receiver.calls();
    let late_ms: Vec<f64> = calls
        .iter()
        .filter_map(|call| {
            let due = ledger.offered.get(call.header("x-task-id").unwrap())?.due;
            Some(match call.at.duration_since(due) {
                Ok(late) => late.as_secs_f64() * 1e3,
                Err(early) => -early.duration().as_secs_f64() * 1e3,
            })
        })
        .collect();
    let early = late_ms.iter().filter(|late| **late < 0.0).count();
    let (once, least) = (doubled(true), doubled(false));
    let (stored, twice) = (on.number(STORED), on.number(TWICE));
    println!(
        "{row}: {} accepted of {} submitted, {stored} stored, {} calls; lost {}, early {early}, doubled at_most_once {}, \
         doubled at_least_once {}, unknown {} ({never} of them never called), calls of nobody's task {strangers}, \
         both live and ended {twice}; lateness {}",
        ledger.accepted.len(),
        ledger.offered.len(),
        calls.len(),
        lost.len(),
        once.len(),
        least.len(),
        unknown.len(),
        spread(late_ms),
    );
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(early, 0, "early");
    assert!(once.is_empty(), "{once:?}");
    assert!(least.len() <= allowed.doubled, "{least:?}");
    assert!(unknown.len() <= allowed.unknown, "{unknown:?}");
    assert_eq!((strangers, twice), (0, 0));
    let counted: i64 = on.cluster.counts(0).as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(counted, stored, "each is counted once");
}
