//! The process is killed 30 times under load, and what the receiver got must be right.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::database::{Snapshot, snapshot};
use crate::harness::node::until;
use crate::harness::{Call, Node, Receiver, http};

const KILLS: usize = 30;
const RATE: usize = 500;
const SUBMITTERS: usize = 4;
/// Tasks of one batch of one submitter: with its pause they make the rate.
const BATCH: usize = 10;
const PAUSE: Duration = Duration::from_millis(1_000 * (BATCH * SUBMITTERS) as u64 / RATE as u64);
const SLOTS: usize = 256;

/// A task that was answered with success.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    run_at: SystemTime,
    at_most_once: bool,
}

type Ledger = Arc<Mutex<HashMap<Uuid, Accepted>>>;

/// Submits until it is told to stop; a batch that got no answer is sent again with the same ids.
fn submit(url: &str, hook: &str, accepted: &Ledger, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let (documents, tasks): (Vec<Value>, Vec<_>) = (0..BATCH).map(|n| task(n, hook)).unzip();
        let body = Value::from(documents).to_string();
        let mut waiting = true;
        while waiting {
            let answer = http::try_request("POST", url, &[("content-type", "application/json")], body.as_bytes());
            waiting = !answer.is_ok_and(|answer| answer.status == 201);
            if waiting {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        accepted.lock().unwrap().extend(tasks);
        std::thread::sleep(PAUSE.saturating_sub(began.elapsed()));
    }
}

/// A quarter is due at once, the rest within 5 s; half of them at most once.
fn task(n: usize, hook: &str) -> (Value, (Uuid, Accepted)) {
    let id = Uuid::now_v7();
    let delay = if n.is_multiple_of(4) { 0 } else { rand::random_range(0..5_000_000) };
    // Whole microseconds, as they are written.
    let now = DateTime::<Utc>::from(SystemTime::now()).timestamp_micros() + delay;
    let run_at = DateTime::<Utc>::from_timestamp_micros(now).unwrap();
    let at_most_once = rand::random::<bool>();
    let document = json!({
        "id": id, "run_at": run_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "delivery": if at_most_once { "at_most_once" } else { "at_least_once" },
        "retry": {"initial_ms": 100}, "target": {"type": "http", "url": hook}, "payload": {"n": n},
    });
    (document, (id, Accepted { run_at: run_at.into(), at_most_once }))
}

/// What the kills have left behind, added up.
#[derive(Default)]
struct Seen {
    claimed: HashSet<Uuid>,
    started: HashSet<Uuid>,
    unstarted: HashSet<Uuid>,
    restarts: Vec<Duration>,
}

impl Seen {
    fn add(&mut self, left: Snapshot) {
        self.unstarted.extend(left.claimed.difference(&left.started));
        self.claimed.extend(left.claimed);
        self.started.extend(left.started);
    }
}

#[test]
fn killed_30_times_under_load_it_loses_nothing_and_doubles_nothing() {
    let receiver = Receiver::start();
    let mut node = Node::start();
    let accepted = Ledger::default();
    let stop = Arc::new(AtomicBool::new(false));
    let submitters: Vec<_> = (0..SUBMITTERS)
        .map(|_| {
            let (url, hook) = (node.url("/v1/tasks/batch"), receiver.url("/hook"));
            let (accepted, stop) = (Arc::clone(&accepted), Arc::clone(&stop));
            std::thread::spawn(move || submit(&url, &hook, &accepted, &stop))
        })
        .collect();
    let mut seen = Seen::default();
    for _ in 0..KILLS {
        // The fault itself: a moment that nothing announces.
        std::thread::sleep(Duration::from_millis(rand::random_range(200..1_500)));
        node.kill();
        seen.add(snapshot(node.data_dir()));
        seen.restarts.push(node.restart());
    }
    stop.store(true, Ordering::SeqCst);
    for submitter in submitters {
        submitter.join().unwrap();
    }
    until("every task has come to its end", Duration::from_mins(1), || {
        let counts = http::get(&node.url("/v1/stats")).json()["tasks"].clone();
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let folder = node.data_dir().to_owned();
    node.kill();
    judge(&accepted.lock().unwrap(), &receiver.calls(), &seen, &snapshot(&folder));
}

fn judge(accepted: &HashMap<Uuid, Accepted>, calls: &[Call], seen: &Seen, end: &Snapshot) {
    let mut received: HashMap<Uuid, usize> = HashMap::new();
    let mut early = 0;
    for call in calls {
        let id: Uuid = call.header("x-task-id").unwrap().parse().unwrap();
        *received.entry(id).or_default() += 1;
        early += usize::from(accepted.get(&id).is_some_and(|task| call.at < task.run_at));
    }
    let times = |id: &Uuid| received.get(id).copied().unwrap_or(0);
    let state = |id: &Uuid| end.states.get(id).copied();
    let unknown: Vec<&Uuid> = accepted.keys().filter(|id| state(id) == Some(4)).collect();
    let unseen = unknown.iter().filter(|id| times(id) == 0).count();
    let lost: Vec<&Uuid> = accepted
        .keys()
        .filter(|id| !(times(id) > 0 && matches!(state(id), Some(2 | 4)) || state(id) == Some(4)))
        .collect();
    let doubled = |once: bool| {
        accepted.iter().filter(|(id, task)| task.at_most_once == once && times(id) > 1).map(|(id, _)| *id).collect()
    };
    let (doubled_once, doubled_least): (Vec<Uuid>, Vec<Uuid>) = (doubled(true), doubled(false));
    let not_fired: Vec<&Uuid> = seen
        .unstarted
        .iter()
        .filter(|id| accepted.contains_key(id) && times(id) == 0 && state(id) != Some(4))
        .collect();
    let slowest = seen.restarts.iter().max().unwrap();
    println!(
        "{KILLS} kills, {} tasks accepted, {} calls; lost {}, early {early}, at_most_once doubled {}, at_least_once doubled {}, \
         unknown {} ({unseen} never received), claimed at a kill {} ({} without a start record, {} of them not fired), \
         slowest restart {slowest:?}",
        accepted.len(),
        calls.len(),
        lost.len(),
        doubled_once.len(),
        doubled_least.len(),
        unknown.len(),
        seen.claimed.len(),
        seen.unstarted.len(),
        not_fired.len(),
    );
    assert!(accepted.len() > KILLS * RATE / 4, "the load was too thin to prove anything");
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(early, 0);
    assert!(doubled_once.is_empty(), "{doubled_once:?}");
    assert!(doubled_least.iter().all(|id| seen.claimed.contains(id)), "doubled without a kill's reason");
    assert!(unknown.iter().all(|id| seen.started.contains(id)), "unknown without a start record at a kill");
    assert!(unseen <= KILLS * (RATE * 20 / 1_000 + SLOTS), "{unseen} unknown were never sent");
    assert!(not_fired.is_empty(), "{not_fired:?}");
}
