//! What 100,000 failed tasks that are retried at once, held by a pause and let go at a pace do to the tasks of others.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::{Bar, Figure, median, quantile};
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Call, Node, Receiver, http};
use crate::services::postgres::Server;

/// The filter that finds them.
const LABEL: &str = "bulk=mine";
/// How many of them are let go a second: as many as where nobody says.
const PACE: usize = 1_000;

/// What others see alone is the same all the time: seconds of a run.
const ALONE: usize = 45;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Runs without and with, in turn.
    pub pairs: usize,
    /// How long each lasts at most, in seconds.
    pub seconds: usize,
    /// Failed tasks.
    pub failed: usize,
}

/// Where it is measured.
enum Place<'a> {
    Embedded,
    Cluster(&'a Server),
}

/// On one embedded node, with 1,000 tasks/s of others.
pub fn embedded(size: Size) -> Vec<Figure> {
    measure(&Place::Embedded, size)
}

/// On three nodes, with 1,000 tasks/s of others.
pub fn cluster(server: &Server, size: Size) -> Vec<Figure> {
    measure(&Place::Cluster(server), size)
}

fn measure(place: &Place<'_>, size: Size) -> Vec<Figure> {
    let mut ratios = Vec::new();
    for _ in 0..size.pairs {
        let alone = run(place, Size { failed: 0, seconds: size.seconds.min(ALONE), ..size });
        let beside = run(place, size);
        println!("      lateness of others, p99: {alone:.2} ms alone, {beside:.2} ms beside the bulk");
        ratios.push(beside / alone);
    }
    let detail = format!("{} tasks, {PACE}/s, medians of {} pairs", size.failed, size.pairs);
    vec![Figure {
        name: "lateness p99 of others, beside a bulk retry / alone",
        value: median(ratios),
        unit: "",
        bar: Bar::AtMost(2.0),
        detail,
    }]
}

/// The p99 of the others' lateness in milliseconds.
fn run(place: &Place<'_>, size: Size) -> f64 {
    let receiver = Receiver::start();
    let (nodes, rate): (Stand, usize) = match place {
        Place::Embedded => (Stand::Embedded(Box::new(Node::silent_with(&[]))), 1_000),
        Place::Cluster(server) => (Stand::Cluster(Cluster::on(server, 3)), 1_000),
    };
    if size.failed > 0 {
        nodes.fill(&receiver.url("/bulk"), size.failed);
    }
    let began = Instant::now();
    let phases = std::thread::scope(|scope| {
        let others = scope.spawn(|| nodes.submit_others(&receiver, rate, size.seconds));
        let phases = (size.failed > 0).then(|| {
            std::thread::sleep(Duration::from_secs(4));
            let phases = bulk(&nodes.url(0), &receiver, size.failed);
            println!("      the bulk was through after {:.1} s of {} s", began.elapsed().as_secs_f64(), size.seconds);
            phases
        });
        others.join().unwrap();
        phases
    });
    let all = receiver.wait_for(rate * size.seconds + size.failed, Duration::from_mins(1));
    let bulk: Vec<&Call> = all.iter().filter(|call| call.path == "/bulk").collect();
    let ids: HashSet<_> = bulk.iter().map(|call| call.header("x-task-id").unwrap()).collect();
    assert_eq!((bulk.len(), ids.len()), (size.failed, size.failed), "each once");
    let others: Vec<&Call> = all.iter().filter(|call| call.path == "/others").collect();
    assert_eq!(others.len(), rate * size.seconds);
    for (name, from, to) in phases.into_iter().flatten() {
        let late = sorted(others.iter().filter(|call| (from..to).contains(&call.at)));
        if !late.is_empty() {
            println!("      {name}: p50 {:.2} ms, p99 {:.2} ms", quantile(&late, 0.5), quantile(&late, 0.99));
        }
    }
    until("all have succeeded", Duration::from_secs(20), || {
        let counts = http::get(&format!("{}/v1/stats", nodes.url(0))).json()["tasks"].clone();
        counts["succeeded"] == rate * size.seconds + size.failed && counts["failed"] == 0
    });
    quantile(&sorted(others.iter()), 0.99)
}

/// How late these calls were.
fn sorted<'a>(calls: impl Iterator<Item = &'a &'a Call>) -> Vec<f64> {
    let mut late: Vec<f64> = calls.map(|call| call.lateness_ms()).collect();
    late.sort_by(f64::total_cmp);
    late
}

/// What is done, since when and until when.
type Phase = (&'static str, SystemTime, SystemTime);

/// Pause, retry, resume: what an operator does after an outage of a target.
fn bulk(url: &str, receiver: &Receiver, failed: usize) -> [Phase; 2] {
    let pause = http::post_json(&format!("{url}/v1/pauses"), &json!({"label": LABEL, "reason": "measured"}));
    assert_eq!(pause.status, 201);
    let (began, first) = (Instant::now(), SystemTime::now());
    let query = LABEL.replace('=', "%3D");
    let retried = http::try_within(
        Duration::from_mins(2),
        ("POST", &format!("{url}/v1/tasks:retry?label={query}")),
        &[("content-type", "application/json")],
        b"{}",
    )
    .unwrap();
    let json = retried.json();
    assert_eq!((retried.status, json["changed"].as_u64()), (200, Some(failed as u64)), "{json}");
    println!("      {failed} retried in {:.1} s", began.elapsed().as_secs_f64());
    let held = receiver.calls().iter().filter(|call| call.path == "/bulk").count();
    assert_eq!(held, 0, "they are paused");
    let second = SystemTime::now();
    let id = &pause.json()["id"];
    let resumed = http::post_json(&format!("{url}/v1/pauses/{id}/resume"), &json!({"per_second": PACE}));
    assert_eq!(resumed.status, 200);
    until("the catch-up is through", Duration::from_mins(10), || {
        http::get(&format!("{url}/v1/pauses")).json()["pauses"] == json!([])
    });
    [("while they are retried", first, second), ("while they are let go", second, SystemTime::now())]
}

enum Stand {
    Embedded(Box<Node>),
    Cluster(Cluster),
}

impl Stand {
    fn url(&self, node: usize) -> String {
        match self {
            Self::Embedded(only) => only.url(""),
            Self::Cluster(cluster) => cluster.nodes[node].url(""),
        }
    }

    /// Each second's tasks come in two seconds before, while the earlier ones are being called.
    fn submit_others(&self, receiver: &Receiver, rate: usize, seconds: usize) {
        let hook = receiver.url("/others");
        let began = Instant::now();
        for second in 0..seconds {
            let ahead = Duration::from_secs(second as u64 + 2).saturating_sub(began.elapsed()).as_secs_f64();
            let due = |n: usize| ((ahead + n as f64 / rate as f64) * 1e3) as u64;
            let documents: Vec<Value> = (0..rate)
                .map(|n| json!({"delay_ms": due(n), "target": {"type": "http", "url": hook}, "labels": {"of": "others"}}))
                .collect();
            let node = if let Self::Cluster(cluster) = self { second % cluster.nodes.len() } else { 0 };
            let answer = http::post_json(&format!("{}/v1/tasks/batch", self.url(node)), &Value::from(documents));
            assert_eq!(answer.status, 201);
            std::thread::sleep(Duration::from_secs(second as u64 + 1).saturating_sub(began.elapsed()));
        }
    }

    /// Failed tasks, as copies of one that the program has stored itself.
    fn fill(&self, hook: &str, failed: usize) {
        let (name, value) = LABEL.split_once('=').unwrap();
        let document =
            json!({"delay_ms": 86_400_000, "target": {"type": "http", "url": hook}, "labels": {name: value}});
        let one = http::post_json(&format!("{}/v1/tasks", self.url(0)), &document).json();
        let gone =
            http::request("DELETE", &format!("{}/v1/tasks/{}", self.url(0), one["id"].as_str().unwrap()), &[], b"");
        assert_eq!(gone.status, 200);
        let kept = "due_at, run_at, priority, misfire_ms, claim_no, delivery, retry, timeout_ms, target, labels, payload_kind, \
            payload, fingerprint, finished_at";
        let sql = |id: &str, rows: &str| {
            format!(
                "INSERT INTO task_history (id, created_at, state, attempt, {kept}) \
                 SELECT {id}, t.created_at - n, 3, 1, {kept} FROM {rows}, (SELECT * FROM task_history WHERE state = 5) t; \
                 INSERT INTO task_tag (tag, created_at, id) SELECT 'l:{LABEL}', created_at, id FROM task_history WHERE state = 3;"
            )
        };
        match self {
            Self::Embedded(node) => {
                let rows = format!(
                    "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {failed}) SELECT n FROM s) s"
                );
                let counted = format!("UPDATE task_count SET tasks = tasks + {failed} WHERE state = 3");
                let c = rusqlite::Connection::open(node.data_dir().join("task-scheduler.db")).unwrap();
                c.busy_timeout(Duration::from_secs(10)).unwrap();
                c.execute_batch(&format!("BEGIN IMMEDIATE; {}{counted}; COMMIT", sql("randomblob(16)", &rows)))
                    .unwrap();
            }
            Self::Cluster(cluster) => {
                let rows = format!("generate_series(1, {failed}) n");
                let counted = format!(
                    "INSERT INTO task_count (writer, stream, state, tasks) VALUES (gen_random_uuid(), 9, 3, {failed}); ANALYZE"
                );
                cluster.run(&format!("{}{counted}", sql("gen_random_uuid()", &rows)));
            }
        }
    }
}
