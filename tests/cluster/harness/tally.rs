//! What the receiver got, against what was accepted.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use uuid::Uuid;

use super::Receiver;
use super::look::Look;
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
    /// When, where that is known.
    pub answered: HashMap<String, SystemTime>,
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
        Self { offered, accepted: tasks.iter().map(|(id, _)| id.clone()).collect(), ..Self::default() }
    }

    /// The longest time from when an accepted task was due, and known to be accepted, to its first call, of those that were
    /// first called in this time. Not of those that were unknown until the node of the fault itself called them: it was given
    /// the answer to its start record when it was mended.
    pub fn longest_lateness(
        &self,
        receiver: &Receiver,
        watch: &mut Watch,
        (from, to): (SystemTime, SystemTime),
    ) -> Duration {
        let unknown = watch.ever_unknown();
        let mut first: HashMap<String, SystemTime> = HashMap::new();
        for call in receiver.calls() {
            let at = first.entry(call.header("x-task-id").unwrap().to_owned()).or_insert(call.at);
            *at = call.at.min(*at);
        }
        let late = |(id, at): (&String, &SystemTime)| {
            at.duration_since(self.offered.get(id)?.due.max(*self.answered.get(id)?)).ok()
        };
        let is_its = |id: &String| watch.excuses(id) && unknown.contains(&id.parse().unwrap());
        let judged = first.iter().filter(|(id, at)| (from..to).contains(*at) && !is_its(id));
        judged.filter_map(late).max().unwrap_or_default()
    }

    /// And this too.
    pub fn add(&mut self, more: Self) {
        self.offered.extend(more.offered);
        self.accepted.extend(more.accepted);
        self.answered.extend(more.answered);
    }
}

/// Looks at what stands in the database when a node dies, stands still or is cut off from it: only what had a start record
/// then may be unknown or called twice.
pub struct Watch {
    look: Look,
    /// Tasks a second.
    rate: usize,
    /// With a start record of the node's, of each fault.
    started: Vec<HashSet<Uuid>>,
}

impl Watch {
    /// From now on, under so many tasks a second.
    pub fn over(on: &OnTopic, rate: usize) -> Self {
        let mut look = Look::at(&on.cluster.url);
        look.trace();
        Self { look, rate, started: Vec::new() }
    }

    /// Does it to the node.
    pub fn fault(&mut self, node: usize, act: impl FnOnce()) {
        let generation = self.look.generation(node);
        act();
        if let Some(generation) = generation {
            self.started.push(self.look.held_at_a_fault(generation).started);
        }
    }

    fn ever_unknown(&mut self) -> HashSet<Uuid> {
        self.look.ids("SELECT id FROM test_unknown")
    }

    fn excuses(&self, id: &str) -> bool {
        let id = id.parse().unwrap();
        self.started.iter().any(|started| started.contains(&id))
    }

    /// No fault has left more that was never called than its slots, and what had its start record in the last 20 ms.
    fn judge(&self, never: &HashSet<Uuid>) {
        let most = 256 + self.rate / 50;
        for (n, started) in self.started.iter().enumerate() {
            let of_it = never.intersection(started).count();
            assert!(of_it <= most, "{of_it} unknown of fault {} were never called", n + 1);
        }
    }
}

/// The median, the 99th of a hundred and the last, in milliseconds.
pub fn spread(mut late_ms: Vec<f64>) -> String {
    late_ms.sort_by(f64::total_cmp);
    let at = |of_a_hundred: usize| late_ms.get(late_ms.len() * of_a_hundred / 100).or(late_ms.last());
    let [p50, p99, last] = [50, 99, 100].map(|n| at(n).copied().unwrap_or_default());
    format!("p50 {p50:.1}, p99 {p99:.1}, last {last:.1} ms")
}

/// Prints the figures, and judges them. The nodes live, and nothing is under way any more; without a `watch` nobody has died.
pub fn judge(row: &str, on: &OnTopic, ledger: &Ledger, receiver: &Receiver, watch: Option<&mut Watch>) {
    let times = received(receiver);
    let unknown: HashSet<String> = on.rows(UNKNOWN).into_keys().collect();
    let count = |id: &String| times.get(id).copied().unwrap_or(0);
    let lost: Vec<_> = ledger.accepted.iter().filter(|id| count(id) == 0 && !unknown.contains(*id)).collect();
    let never: HashSet<Uuid> = unknown.iter().filter(|id| count(id) == 0).map(|id| id.parse().unwrap()).collect();
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
         doubled at_least_once {}, unknown {} ({} of them never called), calls of nobody's task {strangers}, \
         both live and ended {twice}; lateness {}",
        ledger.accepted.len(),
        ledger.offered.len(),
        calls.len(),
        lost.len(),
        once.len(),
        least.len(),
        unknown.len(),
        never.len(),
        spread(late_ms),
    );
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(early, 0, "early");
    assert!(once.is_empty(), "{once:?}");
    judge_by(watch, ledger, &least, unknown, &never);
    assert_eq!((strangers, twice), (0, 0));
    let counted: i64 = on.cluster.counts(0).as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(counted, stored, "each is counted once");
}

/// What no fault excuses is neither called twice nor unknown, nor was it ever.
fn judge_by(
    watch: Option<&mut Watch>,
    ledger: &Ledger,
    doubled: &[&String],
    mut unknown: HashSet<String>,
    never: &HashSet<Uuid>,
) {
    let Some(watch) = watch else {
        assert!(doubled.is_empty() && unknown.is_empty(), "doubled {doubled:?}, unknown {unknown:?}");
        return;
    };
    unknown.extend(watch.look.ids("SELECT id FROM test_unknown").iter().map(ToString::to_string));
    println!("{} faults, {} tasks ever unknown", watch.started.len(), unknown.len());
    assert!(doubled.iter().all(|id| watch.excuses(id)), "doubled without a start record at a fault: {doubled:?}");
    assert!(unknown.iter().all(|id| watch.excuses(id)), "unknown without a start record at a fault: {unknown:?}");
    let fired_again = |id: &String| ledger.offered.get(id).is_some_and(|task| !task.at_most_once);
    assert!(!unknown.iter().any(fired_again), "at_least_once is fired again: {unknown:?}");
    watch.judge(never);
}
