//! Cancels and repeated submissions that race: with the submission, the claim, the end of the call. An answered cancel
//! holds, and what is not cancelled is called once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, received};
use crate::harness::producer::Producer;
use crate::harness::{Answer, Node, Receiver, http, length};

const SOON: Duration = Duration::from_secs(30);
const THREADS: usize = 16;

/// Where they race.
enum Field {
    /// One node and its file.
    Embedded(Cluster),
    /// Nodes on a database.
    Nodes(Cluster),
    /// And a topic.
    Topic(OnTopic),
}

/// One race: what every cancel was answered, in order.
struct Raced {
    id: String,
    cancels: Vec<http::Answer>,
}

/// One race of a repeated submission: how often it surely came before its task moved to history, and how often after.
struct Again {
    raced: Raced,
    live: usize,
    ended: usize,
}

impl Raced {
    fn is_cancelled(&self) -> bool {
        self.cancels.iter().any(|answer| matches!(answer.status, 200 | 202))
    }

    /// What its last cancel was told.
    fn told(&self) -> String {
        let Some(last) = self.cancels.last() else { return "not cancelled".to_owned() };
        match last.json()["state"].as_str() {
            Some(state) => format!("{} {state}", last.status),
            None => last.status.to_string(),
        }
    }
}

impl Field {
    fn cluster(&self) -> &Cluster {
        match self {
            Self::Embedded(cluster) | Self::Nodes(cluster) => cluster,
            Self::Topic(on) => &on.cluster,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "one node, embedded",
            Self::Nodes(_) => "three nodes",
            Self::Topic(_) => "three nodes on a topic",
        }
    }

    fn producer(&self) -> Option<Producer> {
        if let Self::Topic(on) = self { Some(on.producer()) } else { None }
    }

    /// A URL of one node or another.
    fn url(&self, n: usize, path: &str) -> String {
        let nodes = &self.cluster().nodes;
        nodes[n % nodes.len()].url(path)
    }

    fn submit(&self, n: usize, document: &Value) {
        let answer = http::post_json(&self.url(n, "/v1/tasks"), document);
        assert!(matches!(answer.status, 201 | 202), "{}", answer.json());
    }

    fn cancel(&self, n: usize, id: &str) -> http::Answer {
        http::request("DELETE", &self.url(n, &format!("/v1/tasks/{id}")), &[], b"")
    }

    /// Nothing is under way any more.
    fn settle(&self) {
        if let Self::Topic(on) = self {
            return on.settle(SOON);
        }
        until("all have ended", SOON, || {
            let counts = self.cluster().counts(0);
            counts["scheduled"] == 0 && counts["dispatched"] == 0
        });
    }

    /// Runs so many races at once, and judges them: what was cancelled with success is never called, all else once.
    fn races(&self, row: &str, receiver: &Receiver, one: impl Fn(usize) -> Raced + Sync) -> BTreeMap<String, usize> {
        let (times, began) = (length::of(70, 2_000), Instant::now());
        let raced: Vec<Raced> = std::thread::scope(|scope| {
            let one = &one;
            let lane = |first| scope.spawn(move || (first..times).step_by(THREADS).map(one).collect::<Vec<_>>());
            let lanes: Vec<_> = (0..THREADS).map(lane).collect();
            lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
        });
        self.settle();
        let calls = received(receiver);
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        let (mut fired, mut lost, mut again, mut wrong) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for race in &raced {
            *told.entry(race.told()).or_default() += 1;
            let count = calls.get(&race.id).copied().unwrap_or(0);
            let (cancelled, shown) = (race.is_cancelled(), format!("{} {}: {count} calls", race.id, race.told()));
            if cancelled && count > 0 {
                fired.push(shown.clone());
            } else if !cancelled && count == 0 {
                lost.push(shown.clone());
            }
            if count > 1 {
                again.push(shown.clone());
            }
            let state = http::get(&self.url(0, &format!("/v1/tasks/{}", race.id))).json()["state"].take();
            if state != if cancelled { "cancelled" } else { "succeeded" } {
                wrong.push(format!("{shown}, {state}"));
            }
        }
        println!(
            "{}: {row}: {times} races within {:.1?}: {told:?}; called in spite of a cancel {}, lost {}, called again {}, in a \
             wrong state {}",
            self.name(),
            began.elapsed(),
            fired.len(),
            lost.len(),
            again.len(),
            wrong.len()
        );
        assert!(fired.is_empty(), "{fired:?}");
        assert!(lost.is_empty(), "{lost:?}");
        assert!(again.is_empty(), "{again:?}");
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(told.get("409 scheduled"), None, "what is scheduled can be cancelled");
        told
    }

    fn all(&self) {
        // A call takes up to 20 ms, so that its end has moments before and after.
        let receiver = Receiver::answering(|_, _| Answer {
            after: Duration::from_millis(rand::random_range(0..20)),
            ..Answer::status(204)
        });
        let met = |told: &BTreeMap<String, usize>, ends: &[&str]| {
            let least = length::of(1, 20);
            assert!(ends.iter().all(|end| told.get(*end).is_some_and(|times| *times >= least)), "{ends:?} of {told:?}");
        };
        let told = self.races("cancel and submission", &receiver, |n| self.submission(n, &receiver.url("/")));
        met(&told, if matches!(self, Self::Topic(_)) { &["202 cancelled"] } else { &["200 cancelled", "404"] });
        let told = self.races("cancel and claim", &receiver, |n| self.claim(n, &receiver.url("/")));
        met(&told, &["200 cancelled", "409 dispatched"]);
        let told = self.races("cancel and the call's end", &receiver, |n| self.end(n, &receiver.url("/")));
        met(&told, &["409 dispatched", "409 succeeded"]);
        let producer = self.producer();
        let (live, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        self.races("the same again and the call's end", &receiver, |n| {
            let again = self.again(n, &receiver.url("/"), producer.as_ref());
            live.fetch_add(again.live, Ordering::Relaxed);
            ended.fetch_add(again.ended, Ordering::Relaxed);
            again.raced
        });
        let met = [live.into_inner(), ended.into_inner()];
        println!("{}: repeated while it was live {} times, when it had ended {} times", self.name(), met[0], met[1]);
        assert!(met.iter().all(|times| *times >= length::of(1, 20)), "both sides of the move: {met:?}");
    }

    /// At once, by two callers. A third of the cancels is repeated afterwards, a third comes right after the submission.
    fn submission(&self, n: usize, hook: &str) -> Raced {
        let (id, document) = task(400..600, hook);
        let mut cancels = Vec::new();
        let after_it = n.is_multiple_of(3);
        std::thread::scope(|scope| {
            let submission = scope.spawn(|| {
                pause(0..12);
                self.submit(n, &document);
            });
            if !after_it {
                pause(0..12);
                cancels.push(self.cancel(n + 1, &id));
            }
            submission.join().unwrap();
        });
        if after_it || n % 3 == 1 {
            cancels.push(self.cancel(n + 1, &id));
        }
        Raced { id, cancels }
    }

    /// Around the claim, 50 ms before it is due.
    fn claim(&self, n: usize, hook: &str) -> Raced {
        let (id, document) = task(100..200, hook);
        let sent = Instant::now();
        self.submit(n, &document);
        wait_until(sent, &document, -90..10);
        let cancels = vec![self.cancel(n + 1, &id)];
        Raced { id, cancels }
    }

    /// Around the end of its call, when the row moves to history.
    fn end(&self, n: usize, hook: &str) -> Raced {
        let (id, document) = task(100..120, hook);
        let sent = Instant::now();
        self.submit(n, &document);
        wait_until(sent, &document, 0..60);
        let cancels = vec![self.cancel(n + 1, &id)];
        Raced { id, cancels }
    }

    /// The same document again, through another node and on the topic, around the end of its call.
    fn again(&self, n: usize, hook: &str, producer: Option<&Producer>) -> Again {
        let (id, document) = task(100..120, hook);
        let sent = Instant::now();
        self.submit(n, &document);
        let (mut live, mut ended) = (0, 0);
        let state = || http::get(&self.url(n + 1, &format!("/v1/tasks/{id}"))).json()["state"].take();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                wait_until(sent, &document, -10..50);
                if let Some(producer) = producer {
                    producer.send(&id, document.to_string().as_bytes());
                }
            });
            for _ in 0..2 {
                wait_until(sent, &document, -10..50);
                // What had ended before was repeated after that, what was live afterwards before it.
                ended += usize::from(state() == "succeeded");
                self.submit(n + 1, &document);
                live += usize::from(matches!(state().as_str(), Some("scheduled" | "dispatched")));
            }
        });
        Again { raced: Raced { id, cancels: Vec::new() }, live, ended }
    }
}

/// A new task for `hook`, due within so many milliseconds.
fn task(delay_ms: std::ops::Range<u64>, hook: &str) -> (String, Value) {
    let id = Uuid::now_v7().to_string();
    let document = json!({"id": id, "delay_ms": rand::random_range(delay_ms), "target": {"type": "http", "url": hook}});
    (id, document)
}

/// The fault itself: a moment that nothing announces.
fn pause(within_ms: std::ops::Range<u64>) {
    std::thread::sleep(Duration::from_micros(rand::random_range(within_ms.start * 1_000..within_ms.end * 1_000)));
}

/// The same, so many milliseconds after the instant when it is due.
fn wait_until(sent: Instant, document: &Value, after_ms: std::ops::Range<i64>) {
    let delay_us = document["delay_ms"].as_i64().unwrap() * 1_000;
    let at_us = delay_us + rand::random_range(after_ms.start * 1_000..after_ms.end * 1_000);
    std::thread::sleep((sent + Duration::from_micros(at_us as u64)).saturating_duration_since(Instant::now()));
}

#[test]
fn on_a_topic_an_answered_cancel_holds_and_all_else_is_called_once() {
    if let Some(on) = OnTopic::start(3) {
        Field::Topic(on).all();
    }
}

#[test]
fn on_three_nodes_an_answered_cancel_holds_and_all_else_is_called_once() {
    if let Some(cluster) = Cluster::start(3) {
        Field::Nodes(cluster).all();
    }
}

#[test]
fn on_one_node_an_answered_cancel_holds_and_all_else_is_called_once() {
    Field::Embedded(Cluster { url: String::new(), nodes: vec![Node::start()] }).all();
}
