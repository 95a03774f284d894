//! `task-scheduler cluster`.

use clap::Args;
use serde_json::Value;

use super::answer::field;
use super::client::{Client, Path};
use super::exit::Failure;
use super::output::print;
use super::table::table;

/// Most terms shown; the JSON has all that the server sends.
const TERMS_SHOWN: usize = 10;

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler cluster
  task-scheduler cluster --json | jq '.nodes[].name'";

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Cluster {
    #[command(flatten)]
    client: Client,
}

impl Cluster {
    /// Prints the nodes, who is master, and the latest terms.
    pub fn run(self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["v1", "cluster"]))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&shown(&answer.json()?)) }
    }
}

fn shown(cluster: &Value) -> String {
    let nodes = rows(cluster, "nodes", |node| {
        let role = if node.get("is_master").and_then(Value::as_bool) == Some(true) { "master" } else { "follower" };
        let mut row = ["name", "state"].map(|name| field(node, name)).to_vec();
        row.push(role.to_owned());
        row.extend(
            ["slots", "free_slots", "heartbeat_age_ms", "clock_offset_ms", "address", "version", "id"]
                .map(|name| field(node, name)),
        );
        row
    });
    let mut terms = rows(cluster, "terms", |term| {
        ["epoch", "elected_at", "ended_at", "end_reason", "node"].map(|name| field(term, name)).to_vec()
    });
    terms.truncate(TERMS_SHOWN);
    let heading =
        ["NAME", "STATE", "ROLE", "SLOTS", "FREE", "HEARTBEAT AGE MS", "CLOCK OFFSET MS", "ADDRESS", "VERSION", "ID"];
    format!(
        "epoch {}\n\n{}\n{}",
        field(cluster, "epoch"),
        table(&heading, &nodes),
        table(&["EPOCH", "ELECTED AT", "ENDED AT", "END REASON", "NODE"], &terms)
    )
}

fn rows(cluster: &Value, name: &str, row: fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    cluster.get(name).and_then(Value::as_array).map(|items| items.iter().map(row).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_master_stands_out() {
        let text = shown(&json!({
            "epoch": 7, "master": "g1",
            "nodes": [{"id": "g1", "name": "a", "state": "alive", "is_master": true, "slots": 256, "free_slots": 256}],
            "terms": [{"epoch": 7, "node": "g1", "elected_at": "t", "ended_at": null, "end_reason": null}],
        }));
        assert!(text.starts_with("epoch 7\n"));
        assert!(text.lines().any(|line| line.starts_with("a ") && line.contains("master")), "{text}");
        assert!(text.lines().last().unwrap().starts_with("7 "), "{text}");
    }
}
