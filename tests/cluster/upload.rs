//! `submit --lines` against a real node: each line becomes one task, whoever dies on the way.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::command_line::{ended, program};
use crate::harness::node::until;
use crate::harness::{Node, http};

/// Longest wait for a part of an upload.
const PATIENCE: Duration = Duration::from_mins(2);
/// Lines that say the same.
const TWINS: usize = 1_000;

/// So many lines, the last [`TWINS`] of them alike; due far ahead.
fn lines(count: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut text = Vec::with_capacity(count);
    for n in 0..count {
        let label = if n < count - TWINS { n.to_string() } else { "twin".to_owned() };
        let labels = serde_json::json!({ "n": label });
        let line = serde_json::json!({ "delay_ms": 86_400_000, "target": { "type": "log" }, "labels": labels });
        text.push(line.to_string());
    }
    file.write_all(text.join("\n").as_bytes()).unwrap();
    file
}

fn upload(node: &Node, file: &tempfile::NamedTempFile) -> std::process::Command {
    let server = format!("http://{}", node.address());
    program(&["submit", "--server", &server, "--quiet", "--lines", file.path().to_str().unwrap()])
}

fn scheduled(node: &Node) -> usize {
    http::get(&node.url("/v1/stats")).json()["tasks"]["scheduled"].as_u64().unwrap().try_into().unwrap()
}

/// How many tasks have each label, by listing all of them.
fn listed(node: &Node) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    let mut cursor = String::new();
    loop {
        let page = http::get(&node.url(&format!("/v1/tasks?limit=1000{cursor}"))).json();
        for task in page["tasks"].as_array().unwrap() {
            *found.entry(task["labels"]["n"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return found,
        }
    }
}

fn assert_each_once(node: &Node, count: usize) {
    assert_eq!(scheduled(node), count);
    let mut listed = listed(node);
    assert_eq!(listed.remove("twin"), Some(TWINS));
    assert_eq!(listed.len(), count - TWINS);
    assert!(listed.values().all(|tasks| *tasks == 1));
}

#[test]
fn an_upload_that_is_broken_off_and_repeated_makes_each_task_once() {
    const COUNT: usize = 100_000;
    let (node, file) = (Node::silent_with(&[]), lines(COUNT));
    let mut client = upload(&node, &file).spawn().unwrap();
    until("half of it is stored", PATIENCE, || scheduled(&node) >= COUNT / 2);
    client.kill().unwrap();
    assert_eq!(client.wait().unwrap().code(), None, "killed, not ended");
    let before = scheduled(&node);
    assert!(before < COUNT, "{before}");

    let repeated = ended(upload(&node, &file), b"");
    assert_eq!((repeated.code, repeated.stdout.as_str()), (0, "100000 tasks accepted\n"), "{repeated:?}");
    assert_each_once(&node, COUNT);
}

#[test]
fn an_upload_whose_node_dies_says_how_far_it_came_and_is_repeated() {
    const COUNT: usize = 30_000;
    let (mut node, file) = (Node::silent_with(&[]), lines(COUNT));
    let client = upload(&node, &file);
    let broken = std::thread::scope(|scope| {
        let upload = scope.spawn(|| ended(client, b""));
        until("some of it is stored", PATIENCE, || scheduled(&node) >= COUNT / 10);
        node.kill();
        upload.join().unwrap()
    });
    assert_eq!(broken.code, 75, "{broken:?}");
    let line = broken.line();
    assert!(line.starts_with("broken off behind line ") && line.contains("repeat the same command"), "{line}");

    node.restart();
    let repeated = ended(upload(&node, &file), b"");
    assert_eq!((repeated.code, repeated.stdout.as_str()), (0, "30000 tasks accepted\n"), "{repeated:?}");
    assert_each_once(&node, COUNT);
}

#[test]
fn refused_lines_are_told_by_their_numbers_and_the_rest_is_stored() {
    let node = Node::start();
    let server = format!("http://{}", node.address());
    let task = r#"{"delay_ms": 86400000, "target": {"type": "log"}}"#;
    let bad = r#"{"delay_ms": 1, "target": {"type": "log"}, "priority": 12}"#;
    let text = format!("{task}\n\n{bad}\nnot JSON\n{task}\n");
    let call = |flags: &[&str]| {
        let mut command = program(&[&["submit", "--server", &server, "--lines", "-"], flags].concat());
        command.stdin(std::process::Stdio::piped());
        ended(command, text.as_bytes())
    };
    let told = call(&[]);
    assert_eq!((told.code, told.stdout.as_str()), (1, "2 tasks accepted, 2 lines refused\n"), "{told:?}");
    for words in [["line 3: ", "/priority is 12"], ["line 4: ", "no JSON object"]] {
        let line = told.stderr.lines().find(|line| line.contains(words[0])).unwrap_or_else(|| panic!("{told:?}"));
        assert!(line.contains(words[1]), "{line}");
    }

    let json = call(&["--json"]);
    let lines: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<(u64, bool)> =
        lines.iter().map(|line| (line["line"].as_u64().unwrap(), line["problem"].is_object())).collect();
    assert_eq!((json.code, numbers.len()), (1, 4), "{json:?}");
    assert!([(1, false), (3, true), (4, true), (5, false)].iter().all(|one| numbers.contains(one)), "{numbers:?}");
    assert_eq!(scheduled(&node), 2);
}
