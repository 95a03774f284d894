//! The files of docker/ against the program: what no engine is needed for.

use std::collections::BTreeMap;
use std::path::Path;

use crate::command_line::{ended, program};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// The settings of docker/node.env; those that are only shown, behind a `#`, too.
fn settings() -> BTreeMap<String, String> {
    let text = file("docker/node.env");
    let pairs = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let pairs = pairs.filter(|(name, _)| !name.contains(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What stands behind `key:` in a line of docker/compose.yml, in every such line.
fn values<'a>(compose: &'a str, key: &str) -> Vec<&'a str> {
    let lines = compose.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim).collect()
}

/// The whole number before `unit`.
fn number(text: &str, unit: &str) -> u64 {
    text.strip_suffix(unit).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{text} is not in {unit}"))
}

#[test]
fn the_program_takes_every_setting_of_the_containers() {
    let settings = settings();
    assert!(settings.len() >= 4, "{settings:?}");
    let mut command = program(&["check-config", "--json"]);
    command.envs(&settings);
    let checked = ended(command, b"");
    assert_eq!(checked.code, 0, "{checked:?}");
    let json = checked.json();
    assert_eq!(json["address_guard"], true);
    for name in settings.keys() {
        let key = name.strip_prefix("TASK_SCHEDULER_").unwrap_or_else(|| panic!("{name}")).to_lowercase();
        assert_eq!(json["settings"][&key]["origin"], "environment", "{name} is no setting");
    }
    let mentioned = [file("docker/compose.yml"), file("docker/Dockerfile")].concat();
    let words = mentioned.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    for name in words.filter_map(|word| word.strip_prefix("TASK_SCHEDULER_")) {
        assert!(!json["settings"][name.to_lowercase()].is_null(), "TASK_SCHEDULER_{name} is no setting");
    }
}

#[test]
fn ports_are_published_on_loopback_only() {
    let compose = file("docker/compose.yml");
    let ports = values(&compose, "ports");
    assert_eq!(ports.len(), 5, "one for each node, and two for what shows their metrics: {ports:?}");
    assert!(ports.iter().all(|published| published.starts_with("[\"127.0.0.1:")), "{ports:?}");
    let listen = settings()["TASK_SCHEDULER_LISTEN"].clone();
    let port = listen.rsplit_once(':').unwrap().1;
    for (host, published) in (8080..).zip(&ports[..3]) {
        assert_eq!(*published, format!("[\"127.0.0.1:{host}:{port}\"]"));
    }
    assert_eq!(values(&compose, "network_mode"), Vec::<&str>::new());
}

#[test]
fn prometheus_asks_every_node_at_its_port() {
    let (compose, prometheus) = (file("docker/compose.yml"), file("docker/prometheus/prometheus.yml"));
    let listen = settings()["TASK_SCHEDULER_LISTEN"].clone();
    let port = listen.rsplit_once(':').unwrap().1;
    let targets: Vec<String> = values(&compose, "hostname").iter().map(|name| format!("\"{name}:{port}\"")).collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
    assert_eq!(values(&prometheus, "- targets"), [format!("[{}]", targets.join(", "))]);
}

#[test]
fn a_container_is_given_the_time_that_its_node_needs_to_stop() {
    let mut command = program(&["check-config", "--json"]);
    command.envs(settings());
    let drain = ended(command, b"").json()["settings"]["drain_ms"]["value"].as_u64().unwrap();
    let compose = file("docker/compose.yml");
    let of_node = values(&compose, "stop_grace_period")[0];
    // Two seconds more for requests that are being answered, and some for the rest.
    assert!(number(of_node, "s") * 1_000 >= drain + 5_000, "{of_node}, drain {drain} ms");
}

#[test]
fn the_image_is_built_by_the_version_of_rust_that_the_program_asks_for() {
    let (manifest, dockerfile) = (file("Cargo.toml"), file("docker/Dockerfile"));
    let asked = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("\nFROM rust:{asked}-slim-bookworm AS build\n")), "not by {asked}");
}
