//! The README's examples of a submission, each run as it stands there.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::on_topic::OnTopic;
use crate::harness::{Node, Receiver, http};
use crate::services::{has_tool, kafka};

const README: &str = include_str!("../../README.md");
/// Before each example, with its name behind it.
const MARKER: &str = "\n<!-- example: ";
const SOON: Duration = Duration::from_secs(20);

/// Their texts by their names.
fn examples() -> BTreeMap<&'static str, &'static str> {
    let example = |part: &'static str| {
        let (name, rest) = part.split_once(" -->\n```").expect("a fenced block behind the marker");
        let (_language, text) = rest.split_once('\n').unwrap();
        (name, text.split_once("\n```\n").expect("the block's end").0)
    };
    README.split(MARKER).skip(1).map(example).collect()
}

/// An example with the test's own places instead of the README's.
fn example(name: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(examples()[name].to_owned(), |text, (readmes, own)| {
        assert!(text.contains(readmes), "{readmes} is not in the example {name}");
        text.replace(readmes, own)
    })
}

fn run(command: &mut Command) -> Output {
    command.env_remove("NODE_OPTIONS").env_remove("http_proxy").env_remove("HTTP_PROXY");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));
    output
}

/// The call that must come of it, once, no earlier than the example says; its task's id.
fn called(receiver: &Receiver) -> String {
    let calls = receiver.wait_for(1, SOON);
    let call = &calls[0];
    assert_eq!((call.path.as_str(), call.method.as_str()), ("/hook", "POST"));
    assert_eq!(serde_json::from_slice::<Value>(&call.body).unwrap(), serde_json::json!({"order": 42}));
    assert!(call.lateness_ms() >= 0.0, "{}", call.lateness_ms());
    call.header("x-task-id").unwrap().to_owned()
}

/// Runs an example against a node twice: what it prints names the task, the same one both times, which is called once.
fn submits(name: &str, interpreter: &[&str], file: &str) {
    let how = "install it (Debian: apt-get install curl python3 nodejs)";
    let tool = if name == "curl" { "curl" } else { interpreter[0] };
    if !has_tool(tool, how) {
        return;
    }
    let (node, receiver, folder) = (Node::start(), Receiver::start(), tempfile::tempdir().unwrap());
    let (api, hook) = (node.address().to_string(), receiver.address().to_string());
    let text = example(name, &[("127.0.0.1:8080", &api), ("127.0.0.1:9000", &hook)]);
    let path = folder.path().join(file);
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(interpreter[0]);
    command.args(&interpreter[1..]).arg(&path);
    let printed = String::from_utf8(run(&mut command).stdout).unwrap();
    assert_eq!(String::from_utf8(run(&mut command).stdout).unwrap(), printed, "the same key is the same task");
    let id = called(&receiver);
    assert!(printed.contains(&id), "{id} in {printed}");
    let counts = http::get(&node.url("/v1/stats")).json()["tasks"].clone();
    let tasks: u64 = counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((tasks, receiver.count()), (1, 1), "{counts}");
}

#[test]
fn the_shells_example_submits_a_task() {
    submits("curl", &["bash", "-eu", "-o", "pipefail"], "submit.sh");
}

#[test]
fn pythons_example_submits_a_task() {
    submits("python", &["python3", "-I"], "submit.py");
}

#[test]
fn nodes_example_submits_a_task() {
    submits("node", &["node"], "submit.mjs");
}

/// The console producer as a distribution of Kafka brings it.
fn console_producer(folder: &Path, jars: &Path) {
    let path = folder.join("kafka-console-producer.sh");
    let script =
        format!("#!/bin/sh\nexec java -cp '{}/*' org.apache.kafka.tools.ConsoleProducer \"$@\"\n", jars.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_console_producers_example_submits_a_task() {
    let (Some(jars), Some(on)) = (kafka::jars(), OnTopic::start(1)) else { return };
    let (receiver, folder) = (Receiver::start(), tempfile::tempdir().unwrap());
    console_producer(folder.path(), jars);
    let hook = receiver.address().to_string();
    let places = [("127.0.0.1:9092", on.brokers.as_str()), ("127.0.0.1:9000", &hook), ("task-submissions", &on.topic)];
    let text = example("kafka", &places);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    run(Command::new("bash").args(["-eu", "-o", "pipefail", "-c", &text]).env("PATH", path));
    let id = called(&receiver);
    assert!(text.contains(&id), "{id} in {text}");
}

#[test]
fn every_example_is_run_by_a_test() {
    let names: Vec<&str> = examples().into_keys().collect();
    assert_eq!(names, ["curl", "kafka", "node", "python"]);
}
