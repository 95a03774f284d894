//! The list of metrics against the README, the dashboard and the alerts: each is named as it is, everywhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Described, Metrics, PREFIX_OF_NAMES};
use crate::clock::Clock;

fn catalogue() -> Vec<Described> {
    Metrics::new(Clock::new()).unwrap().catalogue().to_vec()
}

fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|cause| panic!("{path}: {cause}"))
}

/// What can be asked for: a histogram is three families.
fn series() -> BTreeSet<String> {
    let parts = |one: Described| match one.kind {
        "histogram" => ["_bucket", "_sum", "_count"].map(|end| one.name.clone() + end).to_vec(),
        _ => vec![one.name],
    };
    catalogue().into_iter().flat_map(parts).collect()
}

/// The program's metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    words.filter(|word| word.starts_with(PREFIX_OF_NAMES)).map(str::to_owned).collect()
}

#[test]
fn each_is_there_once_and_follows_the_conventions() {
    let all = catalogue();
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "one name, one meaning");
    for one in &all {
        let own = one.name.starts_with(PREFIX_OF_NAMES) || one.name.starts_with("process_");
        assert!(own, "{one:?}");
        assert_eq!(one.kind == "counter", one.name.ends_with("_total"), "{one:?}");
        assert!(one.kind != "histogram" || one.name.ends_with("_seconds"), "{one:?}");
        assert!(one.help.ends_with('.') && one.help.len() > 8, "{one:?}");
    }
}

#[test]
fn the_readme_lists_every_metric_as_it_is() {
    let readme = file("README.md");
    let row = |one: &Described| {
        let labels: Vec<String> = one.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", one.name, one.kind, labels.join(", "), one.help)
    };
    let rows: Vec<String> = catalogue().iter().map(row).collect();
    let listed = |line: &&str| line.starts_with(&format!("| `{PREFIX_OF_NAMES}")) || line.starts_with("| `process_");
    let found: Vec<&str> = readme.lines().filter(listed).collect();
    assert_eq!(found, rows, "README.md should have exactly these rows, in this order:\n{}", rows.join("\n"));
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let series = series();
    for path in [
        "docker/grafana/dashboards/task-scheduler.json",
        "docker/prometheus/alerts.yml",
        "docker/prometheus/alerts_test.yml",
    ] {
        let asked = named(&file(path));
        assert!(asked.len() > 5, "{path}: {asked:?}");
        let unknown: Vec<&String> = asked.difference(&series).collect();
        assert!(unknown.is_empty(), "{path} asks for {unknown:?}");
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let dashboard: Value = serde_json::from_str(&file("docker/grafana/dashboards/task-scheduler.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "one id for each");
    let shown: Vec<&Value> = panels.iter().filter(|panel| panel["type"] != "row").collect();
    assert!(shown.len() >= 15, "{}", shown.len());
    for panel in shown {
        for place in ["/title", "/description", "/fieldConfig/defaults/unit"] {
            let text = panel.pointer(place).and_then(Value::as_str).unwrap_or_default();
            assert!(!text.is_empty(), "no {place} in {panel}");
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert!(expression.contains("job=\"$job\""), "of one cluster: {expression}");
            assert!(target["legendFormat"].is_string(), "{target}");
        }
    }
}

#[test]
fn every_alert_says_what_to_do_and_is_tried_out() {
    let (alerts, tests) = (file("docker/prometheus/alerts.yml"), file("docker/prometheus/alerts_test.yml"));
    let rules: Vec<&str> = alerts.split("\n      - alert: ").skip(1).collect();
    assert!(rules.len() >= 12, "{}", rules.len());
    for rule in rules {
        let name = rule.lines().next().unwrap();
        for part in ["expr:", "severity:", "summary:", "description:"] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is not tried out");
    }
}
