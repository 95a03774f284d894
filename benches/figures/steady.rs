//! A steady load over HTTP, and how late its calls are beside whatever the node does.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::quantile;
use crate::harness::{Call, Node, Receiver, http};

/// Tasks per second.
pub const RATE: usize = 1_000;

/// The lateness of calls at [`RATE`] in so many seconds, in milliseconds; the tasks come in by this node.
pub fn p99(node: &Node, seconds: usize) -> f64 {
    quantile(&latenesses(node, RATE, seconds), 0.99)
}

/// All latenesses at so many tasks a second in milliseconds, sorted; negative ones are early.
pub fn latenesses(node: &Node, rate: usize, seconds: usize) -> Vec<f64> {
    let receiver = Receiver::start();
    let start = DateTime::<Utc>::from(SystemTime::now()) + Duration::from_secs(3);
    for second in 0..seconds {
        let at = |n: usize| start + Duration::from_micros((second * 1_000_000 + n * 1_000_000 / rate) as u64);
        let documents: Vec<Value> = (0..rate)
            .map(|n| {
                json!({"run_at": at(n).to_rfc3339_opts(SecondsFormat::Micros, true), "payload": {"n": n},
                    "target": {"type": "http", "url": receiver.url("/")}})
            })
            .collect();
        // Each second's tasks come in two seconds before, while the earlier ones are being called.
        let wait = (at(0) - Duration::from_secs(2)).signed_duration_since(DateTime::<Utc>::from(SystemTime::now()));
        std::thread::sleep(wait.to_std().unwrap_or_default());
        assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &Value::from(documents)).status, 201);
    }
    let calls = receiver.wait_for(seconds * rate, Duration::from_mins(1));
    let mut ms: Vec<f64> = calls.iter().map(Call::lateness_ms).collect();
    ms.sort_by(f64::total_cmp);
    ms
}
