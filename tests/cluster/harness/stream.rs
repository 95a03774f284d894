//! A steady stream of submissions through the nodes' REST and straight on the topic, and a ledger of what was accepted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::http;
use super::on_topic::OnTopic;
use super::producer::Producer;
use super::tally::{Ledger, Task};

/// Between two batches of one submitter.
const TICK: Duration = Duration::from_millis(100);
/// Submitters of each node.
const LANES: usize = 2;
/// Tasks are due within this time.
const SPREAD_MS: u64 = 1_500;

/// A batch that was sent to a node.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub node: usize,
    pub sent: Instant,
    pub took: Duration,
    /// None without an answer; where each task has one of its own, that of the first.
    pub status: Option<u16>,
}

/// See the module. About a quarter of it goes straight on the topic.
pub struct Stream {
    shared: Arc<Shared>,
    submitters: Vec<JoinHandle<()>>,
}

struct Shared {
    hook: String,
    ledger: Mutex<Ledger>,
    asked: Mutex<Vec<Asked>>,
    stop: AtomicBool,
    /// How many batches each submitter sends; without, until it is told to stop.
    batches: Option<usize>,
}

impl Stream {
    /// About so many a second, until it is ended.
    pub fn start(on: &OnTopic, hook: &str, rate: usize) -> Self {
        Self::of(on, hook, rate, None)
    }

    /// Exactly so many a second, for so many seconds.
    pub fn lasting(on: &OnTopic, hook: &str, rate: usize, seconds: usize) -> Self {
        Self::of(on, hook, rate, Some(seconds * 10))
    }

    fn of(on: &OnTopic, hook: &str, rate: usize, batches: Option<usize>) -> Self {
        let shared = Arc::new(Shared {
            hook: hook.to_owned(),
            ledger: Mutex::default(),
            asked: Mutex::default(),
            stop: AtomicBool::new(false),
            batches,
        });
        let lanes = on.cluster.nodes.len() * LANES;
        let each = rate * 3 / 4 / lanes / 10;
        let own = rate / 10 - each * lanes;
        let mut submitters: Vec<_> = (0..lanes)
            .map(|lane| {
                let (shared, node) = (Arc::clone(&shared), lane / LANES);
                let url = on.cluster.nodes[node].url("/v1/tasks/batch");
                std::thread::spawn(move || shared.in_time(|| shared.submit(node, &url, each)))
            })
            .collect();
        let (topic, producer) = (Arc::clone(&shared), on.producer());
        submitters.push(std::thread::spawn(move || {
            topic.in_time(|| topic.put(&producer, own));
            topic.accept(producer.flush(Duration::from_mins(1)));
        }));
        Self { shared, submitters }
    }

    /// Tasks that were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.ledger.lock().unwrap().accepted.len()
    }

    /// What was asked of nodes and is answered.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Ends it.
    pub fn end(self) -> Ledger {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.last()
    }

    /// Waits for its end.
    pub fn last(self) -> Ledger {
        for submitter in self.submitters {
            submitter.join().unwrap();
        }
        std::mem::take(&mut self.shared.ledger.lock().unwrap())
    }
}

impl Shared {
    /// One batch a tick; those that fell behind follow at once if their number is fixed.
    fn in_time(&self, batch: impl Fn()) {
        let mut next = Instant::now();
        let mut sent = 0;
        while !self.stop.load(Ordering::SeqCst) && self.batches.is_none_or(|batches| sent < batches) {
            batch();
            sent += 1;
            next = if self.batches.is_some() { next + TICK } else { (next + TICK).max(Instant::now()) };
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// New tasks: ids and documents.
    fn tasks(&self, n: usize) -> Vec<(String, Value)> {
        let tasks: HashMap<String, (Value, Task)> = (0..n).map(|n| one(n, &self.hook)).collect();
        let offered = tasks.iter().map(|(id, (_, task))| (id.clone(), *task));
        self.ledger.lock().unwrap().offered.extend(offered);
        tasks.into_iter().map(|(id, (document, _))| (id, document)).collect()
    }

    fn submit(&self, node: usize, url: &str, n: usize) {
        let documents: Vec<Value> = self.tasks(n).into_iter().map(|(_, document)| document).collect();
        let (body, sent) = (Value::from(documents).to_string(), Instant::now());
        let answer = http::try_request("POST", url, &[("content-type", "application/json")], body.as_bytes());
        let status = answer.as_ref().ok().map(status_of);
        self.asked.lock().unwrap().push(Asked { node, sent, took: sent.elapsed(), status });
        let Some(answer) = answer.ok().filter(|answer| answer.status < 300) else { return };
        let results = answer.json()["results"].take();
        let taken = results.as_array().unwrap().iter().filter(|one| matches!(one["status"].as_u64(), Some(201 | 202)));
        self.accept(taken.map(|one| one["id"].as_str().unwrap().to_owned()));
    }

    fn put(&self, producer: &Producer, n: usize) {
        for (id, document) in self.tasks(n) {
            producer.send(&id, document.to_string().as_bytes());
        }
        self.accept(producer.delivered());
    }

    fn accept(&self, ids: impl IntoIterator<Item = String>) {
        let (ids, now) = (ids.into_iter().collect::<Vec<_>>(), SystemTime::now());
        let mut ledger = self.ledger.lock().unwrap();
        ledger.answered.extend(ids.iter().map(|id| (id.clone(), now)));
        ledger.accepted.extend(ids);
    }
}

fn status_of(answer: &http::Answer) -> u16 {
    if answer.status != 200 {
        return answer.status;
    }
    let first = answer.json()["results"][0].take();
    let status = if first["problem"].is_null() { &first["status"] } else { &first["problem"]["status"] };
    status.as_u64().unwrap() as u16
}

/// Half of them at most once.
fn one(n: usize, hook: &str) -> (String, (Value, Task)) {
    let (id, delay) = (Uuid::now_v7().to_string(), Duration::from_millis(rand::random_range(0..SPREAD_MS)));
    let at_most_once = n.is_multiple_of(2);
    // Whole microseconds, as they are written.
    let micros = DateTime::<Utc>::from(SystemTime::now() + delay).timestamp_micros();
    let due = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
    let document = json!({
        "id": id, "run_at": due.to_rfc3339_opts(SecondsFormat::Micros, true),
        "delivery": if at_most_once { "at_most_once" } else { "at_least_once" },
        "retry": {"initial_ms": 100}, "target": {"type": "http", "url": hook},
    });
    (id, (document, Task { due: due.into(), at_most_once }))
}
