//! `task-scheduler stats`.

use clap::Args;
use serde_json::Value;

use super::answer::field;
use super::client::{Client, Path};
use super::exit::Failure;
use super::output::{pairs, print};

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler stats
  task-scheduler stats --json | jq .tasks.failed";

/// The states in the order of a task's life.
const STATES: [&str; 7] = ["scheduled", "dispatched", "succeeded", "failed", "unknown", "cancelled", "expired"];

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Stats {
    #[command(flatten)]
    client: Client,
}

impl Stats {
    /// Prints counts, rates, lateness and the queue.
    pub fn run(self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["v1", "stats"]))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&shown(&answer.json()?)) }
    }
}

fn shown(stats: &Value) -> String {
    let nothing = Value::Null;
    let part = |name: &str| stats.get(name).unwrap_or(&nothing);
    let mut rows: Vec<(&str, String)> = STATES.iter().map(|state| (*state, field(part("tasks"), state))).collect();
    let rates = part("rates");
    let rate = |name: &str| rates.get(name).and_then(Value::as_f64).map(|rate| format!("{rate:.1}/s"));
    let names = ["stored", "started", "ended"].map(|name| (name, rate(&format!("{name}_per_s"))));
    let told: Vec<String> = names.into_iter().filter_map(|(name, rate)| Some(format!("{name} {}", rate?))).collect();
    let over = rates.get("over_ms").and_then(Value::as_f64).map(|ms| format!(" (the last {:.0} s)", ms / 1_000.0));
    rows.push(("rates", format!("{}{}", told.join(", "), over.unwrap_or_default())));
    rows.push(("lateness", lateness(part("lateness_ms"))));
    let queue = part("queue");
    rows.push(("queue", format!("{} in memory, {} in the topic", field(queue, "depth"), field(queue, "lag"))));
    if let Some(stopped) = queue.get("stopped").and_then(Value::as_u64).filter(|stopped| *stopped > 0) {
        rows.push(("stopped", format!("{stopped} partitions wait for `task-scheduler offsets set`")));
    }
    rows.push(("dead letters", field(stats, "dead_letters")));
    rows.push(("pauses", field(stats, "pauses")));
    rows.retain(|(_, value)| !value.is_empty());
    pairs(&rows)
}

fn lateness(ms: &Value) -> String {
    let of = |name: &str| ms.get(name).and_then(Value::as_f64).map(|ms| format!("{name} {ms:.1} ms"));
    let told: Vec<String> = ["p50", "p99"].into_iter().filter_map(of).collect();
    if told.is_empty() { "nothing was started lately".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_rates_lateness_and_queue_are_readable() {
        let text = shown(&json!({
            "tasks": {"scheduled": 12, "failed": 1},
            "rates": {"over_ms": 60_000, "stored_per_s": 1.0, "started_per_s": 2.25, "ended_per_s": 0.0},
            "lateness_ms": {"p50": 0.61, "p99": null},
            "queue": {"depth": 3, "lag": 4, "stopped": 1},
            "dead_letters": 5, "pauses": 1,
        }));
        let line =
            |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        for (name, words) in [
            ("scheduled", "  12"),
            ("rates", "stored 1.0/s, started 2.2/s, ended 0.0/s (the last 60 s)"),
            ("lateness", "p50 0.6 ms"),
            ("queue", "3 in memory, 4 in the topic"),
            ("stopped", "1 partitions"),
            ("dead letters", "5"),
            ("pauses", "1"),
        ] {
            assert!(line(name).ends_with(words) || line(name).contains(words), "{text}");
        }
        assert!(!text.contains("p99"), "{text}");
    }
}
