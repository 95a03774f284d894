//! A steady load of submissions through whichever nodes answer, and a ledger of what they have accepted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cluster::Cluster;
use super::http;

/// Tasks a second.
pub const RATE: usize = 300;
const SUBMITTERS: usize = 3;
/// Tasks of one batch of one submitter: with its pause they make the rate.
const BATCH: usize = 10;
const PAUSE: Duration = Duration::from_millis(1_000 * (BATCH * SUBMITTERS) as u64 / RATE as u64);
/// Tasks are due within this time.
pub const SPREAD: Duration = Duration::from_secs(3);
/// Longest wait for an answer; then another node is asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// A submitter that was not answered by the node it prefers tries it again after this time.
const RETURN: Duration = Duration::from_secs(3);
/// By then somebody must have accepted a batch.
const LONGEST: Duration = Duration::from_mins(2);

/// A task that was answered with success.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// A call before this is early.
    pub earliest: SystemTime,
    /// It is late from then on; not before `sent`.
    pub due: SystemTime,
    /// When the request was sent that was answered.
    pub sent: SystemTime,
    /// When it was answered.
    pub answered: SystemTime,
    pub at_most_once: bool,
}

/// What was accepted.
pub type Ledger = HashMap<Uuid, Accepted>;

/// Stops when it is dropped.
pub struct Load {
    shared: Arc<Shared>,
    submitters: Vec<JoinHandle<Pace>>,
}

/// What one submitter has done.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    /// Batches that were accepted.
    batches: usize,
    /// How long it was at it, without the time in which no node accepted its batch.
    lasted: Duration,
}

struct Shared {
    urls: Vec<String>,
    hook: String,
    ledger: Mutex<Ledger>,
    stop: AtomicBool,
}

/// When a task is due.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// As `run_at` says.
    At(SystemTime),
    /// So long after its receipt, as `delay_ms` says.
    In(Duration),
}

struct Batch {
    body: String,
    tasks: Vec<(Uuid, Due, bool)>,
}

impl Load {
    /// From now on, through these nodes.
    pub fn start(cluster: &Cluster, hook: &str) -> Self {
        let urls = cluster.nodes.iter().map(|node| node.url("/v1/tasks/batch")).collect();
        let shared =
            Arc::new(Shared { urls, hook: hook.to_owned(), ledger: Mutex::default(), stop: AtomicBool::new(false) });
        let submitter = |n| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.submit_all(n))
        };
        Self { submitters: (0..SUBMITTERS).map(submitter).collect(), shared }
    }

    /// Besides, through this node: so many tasks for `hook`, all due at `due`, half of them at most once; their ids.
    pub fn add(&self, node: usize, hook: &str, tasks: usize, due: SystemTime) -> Vec<Uuid> {
        let batch = Batch::of((0..tasks).map(|n| (Due::At(due), n % 2 == 0)), hook);
        self.shared.submit(node, &batch);
        batch.tasks.iter().map(|(id, ..)| *id).collect()
    }

    /// Ends it; what was accepted, and what part that is of the rate over the time in which nodes accepted anything.
    pub fn end(mut self) -> (Ledger, f64) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let paces: Vec<Pace> =
            std::mem::take(&mut self.submitters).into_iter().map(|submitter| submitter.join().unwrap()).collect();
        let batches: usize = paces.iter().map(|pace| pace.batches).sum();
        let lasted: Duration = paces.iter().map(|pace| pace.lasted).sum();
        (self.shared.ledger.lock().unwrap().clone(), batches as f64 / lasted.div_duration_f64(PAUSE))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn submit_all(&self, own: usize) -> Pace {
        let (mut node, mut left, mut pace) = (own, Instant::now(), Pace::default());
        let mut next = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            if left.elapsed() > RETURN {
                node = own % self.urls.len();
            }
            let (answered, in_vain) = self.submit(node, &Batch::of((0..BATCH).map(mixed), &self.hook));
            if answered != node {
                (node, left) = (answered, Instant::now());
            }
            // One slow answer is made up for at once, an outage is not: that would be another load.
            next = (next + PAUSE).max(Instant::now().checked_sub(PAUSE).unwrap());
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            pace.batches += 1;
            pace.lasted += began.elapsed().saturating_sub(in_vain);
        }
        pace
    }

    /// Sends it until somebody has accepted all of it; who that was, and how long nobody did. What got no answer is sent
    /// again with the same ids.
    fn submit(&self, first: usize, batch: &Batch) -> (usize, Duration) {
        let began = SystemTime::now();
        for node in (first..).map(|node| node % self.urls.len()) {
            let sent = SystemTime::now();
            let headers = [("content-type", "application/json")];
            let answer = http::try_within(PATIENCE, ("POST", &self.urls[node]), &headers, batch.body.as_bytes());
            let answered = SystemTime::now();
            if answer.is_ok_and(|answer| is_taken(&answer)) {
                let accepted = |(id, due, at_most_once): &(Uuid, Due, bool)| {
                    let (earliest, due) = match *due {
                        Due::At(at) => (at, at.max(sent)),
                        Due::In(delay) => (began + delay, answered + delay),
                    };
                    (*id, Accepted { earliest, due, sent, answered, at_most_once: *at_most_once })
                };
                self.ledger.lock().unwrap().extend(batch.tasks.iter().map(accepted));
                return (node, sent.duration_since(began).unwrap_or_default());
            }
            let elapsed = began.elapsed().unwrap_or_default();
            assert!(elapsed < LONGEST, "nobody accepts a batch");
            // A refusal comes at once: the nodes are not to be kept busy with nothing else.
            std::thread::sleep(Duration::from_millis(20));
        }
        unreachable!()
    }
}

fn is_taken(answer: &http::Answer) -> bool {
    let told = String::from_utf8_lossy(&answer.body);
    assert!(answer.status < 400 || answer.status >= 500, "{} {told}", answer.status);
    matches!(answer.status, 201 | 202)
}

/// A quarter is due at once, a quarter by a delay, the rest by an instant; half of them at most once.
fn mixed(n: usize) -> (Due, bool) {
    let later = rand::random_range(Duration::ZERO..SPREAD);
    let due = match n % 4 {
        0 => Due::At(SystemTime::now()),
        1 => Due::In(Duration::from_millis(later.as_millis() as u64)),
        _ => Due::At(SystemTime::now() + later),
    };
    (due, rand::random())
}

impl Batch {
    fn of(tasks: impl Iterator<Item = (Due, bool)>, hook: &str) -> Self {
        let one = |(due, at_most_once): (Due, bool)| {
            // Whole microseconds, as they are written.
            let at = |at: SystemTime| DateTime::from_timestamp_micros(DateTime::<Utc>::from(at).timestamp_micros());
            let due = match due {
                Due::At(instant) => Due::At(at(instant).unwrap().into()),
                Due::In(delay) => Due::In(delay),
            };
            (Uuid::now_v7(), due, at_most_once)
        };
        let tasks: Vec<(Uuid, Due, bool)> = tasks.map(one).collect();
        let document = |(id, due, at_most_once): &(Uuid, Due, bool)| {
            let mut document = json!({
                "id": id, "delivery": if *at_most_once { "at_most_once" } else { "at_least_once" },
                "retry": {"initial_ms": 100}, "target": {"type": "http", "url": hook}, "payload": {"of": "a load"},
            });
            match due {
                Due::At(at) => {
                    document["run_at"] = DateTime::<Utc>::from(*at).to_rfc3339_opts(SecondsFormat::Micros, true).into();
                }
                Due::In(delay) => document["delay_ms"] = (delay.as_millis() as u64).into(),
            }
            document
        };
        let body = tasks.iter().map(document).collect::<Vec<Value>>();
        Self { body: Value::from(body).to_string(), tasks }
    }
}
