//! The command line against a real node: what it prints, in both forms, and its exit codes.

mod changing;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::harness::node::{free_address, until};
use crate::harness::{Node, Receiver};

/// Longest life of a command that is to end by itself.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a state is asked for before a test gives up; each time is a process of its own.
const LOOKS_MAX: usize = 1_000;

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|cause| panic!("{cause} in {self:?}"))
    }

    /// What it said on stderr, which must be one line of its own besides the log's.
    pub fn line(&self) -> &str {
        let mut lines = self.stderr.lines().filter(|line| !line.starts_with('['));
        let line = lines.next().unwrap_or_else(|| panic!("nothing on stderr: {self:?}"));
        assert_eq!(lines.next(), None, "one line: {self:?}");
        line.strip_prefix("task-scheduler: ").unwrap_or_else(|| panic!("not the program's own line: {self:?}"))
    }

    fn ok(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }
}

/// The program with these arguments and nothing of this process's environment.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_task-scheduler"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end, which must come by itself.
pub fn ended(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).unwrap();
    }
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (tell, told) = mpsc::channel();
    let tell_err = tell.clone();
    std::thread::spawn(move || tell.send((false, text(&mut out))));
    std::thread::spawn(move || tell_err.send((true, text(&mut err))));
    let mut ended = Ended { code: -1, stdout: String::new(), stderr: String::new() };
    for _ in 0..2 {
        match told.recv_timeout(COMMAND_TIMEOUT) {
            Ok((false, text)) => ended.stdout = text,
            Ok((true, text)) => ended.stderr = text,
            Err(_) => {
                child.kill().unwrap();
                panic!("{command:?} did not end by itself: {ended:?}");
            }
        }
    }
    ended.code = child.wait().unwrap().code().unwrap_or(-1);
    ended
}

fn text(from: &mut impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Runs the program without input.
pub fn run(args: &[&str]) -> Ended {
    ended(program(args), b"")
}

/// A client command against `node`.
fn call(node: &Node, args: &[&str]) -> Ended {
    let mut command = program(args);
    command.env("TASK_SCHEDULER_SERVER", format!("http://{}", node.address()));
    ended(command, b"")
}

/// Submits and returns the id.
fn submit(node: &Node, args: &[&str]) -> String {
    call(node, &[&["submit"], args].concat()).ok().stdout.trim().to_owned()
}

fn state(node: &Node, id: &str) -> String {
    call(node, &["get", id, "--json"]).ok().json()["state"].as_str().unwrap().to_owned()
}

fn until_state(node: &Node, id: &str, wanted: &str) {
    let mut last = String::new();
    for _ in 0..LOOKS_MAX {
        last = state(node, id);
        if last == wanted {
            return;
        }
    }
    panic!("task {id} is {last}, not {wanted}");
}

#[test]
fn a_task_is_submitted_fired_and_shown() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let url = receiver.url("/hook");
    let id = submit(
        &node,
        &["--in", "100ms", "--http", &url, "--header", "X-Mine: 1", "--label", "kind=hook", r#"{"order": 42}"#],
    );
    assert_eq!(receiver.wait_for(1, Duration::from_secs(20)).len(), 1);
    until_state(&node, &id, "succeeded");

    let shown = call(&node, &["get", &id]).ok().stdout;
    for words in [vec!["id", &id], vec!["state", "succeeded"], vec!["target", "POST", &url], vec!["attempt", "1"]] {
        assert!(
            shown.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == words),
            "{words:?} in\n{shown}"
        );
    }
    let listed = call(&node, &["list", "--state", "succeeded", "--label", "kind=hook"]).ok().stdout;
    assert!(listed.starts_with("ID ") && listed.lines().count() == 2 && listed.contains(&id), "{listed}");
}

#[test]
fn json_is_the_answer_of_the_api_as_it_is() {
    let node = Node::start();
    let submitted = call(&node, &["submit", "--in", "1h", "--log", "--json", "1"]).ok().json();
    let id = submitted["id"].as_str().unwrap();
    assert_eq!(call(&node, &["get", id, "--json"]).ok().json()["id"], id);
    assert_eq!(call(&node, &["list", "--json"]).ok().json()["tasks"][0]["id"], id);
    assert!(call(&node, &["cluster", "--json"]).ok().json()["epoch"].is_i64());
    assert!(!call(&node, &["cancel", id, "--json"]).ok().stdout.is_empty());
    let refused = call(&node, &["get", "0199c0de-0000-7000-8000-00000000dead", "--json"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    let problem: Value = serde_json::from_str(&refused.stderr).unwrap();
    assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
}

#[test]
fn the_same_id_and_the_same_key_are_the_same_task() {
    let node = Node::start();
    let id = "0199c0de-0000-7000-8000-000000000001";
    for _ in 0..2 {
        assert_eq!(submit(&node, &["--in", "1h", "--log", "--id", id, "1"]), id);
    }
    let other = call(&node, &["submit", "--in", "1h", "--log", "--id", id, "2"]);
    assert_eq!(other.code, 1);
    assert!(other.line().starts_with("409 "), "{other:?}");
    let keyed = submit(&node, &["--in", "1h", "--log", "--key", "order-42"]);
    assert_eq!(submit(&node, &["--in", "1h", "--log", "--key", "order-42"]), keyed);
}

#[test]
fn payloads_and_documents_come_from_stdin_and_files_too() {
    let node = Node::start();
    let from_stdin = |args: &[&str], input: &[u8]| {
        let mut command = program(args);
        command.env("TASK_SCHEDULER_SERVER", format!("http://{}", node.address())).stdin(Stdio::piped());
        let id = ended(command, input).ok().stdout.trim().to_owned();
        call(&node, &["get", &id, "--json"]).ok().json()["payload"].clone()
    };
    assert_eq!(from_stdin(&["submit", "--in", "1h", "--log", "-"], b"[1, 2]"), serde_json::json!([1, 2]));
    let document = br#"{"delay_ms": 3600000, "target": {"type": "log"}, "payload": "whole"}"#;
    assert_eq!(from_stdin(&["submit", "--document", "-"], document), "whole");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[0, 255]).unwrap();
    let path = file.path().to_str().unwrap();
    let raw = from_stdin(&["submit", "--in", "1h", "--log", "--raw", "--payload-file", path], b"");
    assert_eq!(raw["base64"], "AP8=");
}

#[test]
fn a_scheduled_task_is_cancelled_and_an_unknown_id_is_not() {
    let node = Node::start();
    let id = submit(&node, &["--in", "1h", "--log"]);
    assert_eq!(call(&node, &["cancel", &id]).ok().stdout, format!("{id} cancelled\n"));
    assert_eq!(state(&node, &id), "cancelled");
    let missing = call(&node, &["cancel", "0199c0de-0000-7000-8000-00000000dead"]);
    assert_eq!(missing.code, 1);
    assert!(missing.line().starts_with("404 "), "{missing:?}");
}

#[test]
fn a_list_goes_on_at_its_cursor() {
    let node = Node::start();
    let ids: Vec<String> = (0..3).map(|_| submit(&node, &["--in", "1h", "--log"])).collect();
    let first = call(&node, &["list", "--limit", "2"]);
    assert_eq!((first.code, first.stdout.lines().count()), (0, 3), "{first:?}");
    let cursor = first.line().rsplit(' ').next().unwrap();
    let rest = call(&node, &["list", "--limit", "2", "--cursor", cursor]).ok().stdout;
    assert!(rest.lines().count() == 2 && rest.contains(&ids[0]), "{rest}");
}

#[test]
fn an_unknown_task_is_resolved_once() {
    let node = Node::start();
    // Reads the request and hangs up: nobody can know whether it was carried out.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in silent.incoming() {
            let _ = connection.unwrap().read(&mut [0; 1024]);
        }
    });
    let id = submit(&node, &["--in", "0s", "--http", &url]);
    until_state(&node, &id, "unknown");
    assert_eq!(call(&node, &["resolve", &id, "failed"]).ok().stdout, format!("{id} failed\n"));
    assert_eq!(state(&node, &id), "failed");
    let again = call(&node, &["resolve", &id, "succeeded"]);
    assert_eq!(again.code, 1);
    assert!(again.line().starts_with("409 "), "{again:?}");
}

#[test]
fn a_task_is_watched_to_its_end() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let id = submit(&node, &["--at", "in 300ms", "--http", &receiver.url("/hook")]);
    let watched = call(&node, &["watch", &id]).ok().stdout;
    assert!(watched.lines().last().unwrap().contains("  succeeded   by attempt 1"), "{watched}");
    let json = call(&node, &["watch", &id, "--json"]).ok().json();
    assert_eq!((json["id"].as_str(), json["state"].as_str()), (Some(id.as_str()), Some("succeeded")));

    // Nobody listens there.
    let url = format!("http://{}/", free_address());
    let id = submit(&node, &["--in", "0s", "--http", &url, "--max-attempts", "1"]);
    let failed = call(&node, &["watch", &id]);
    assert_eq!(failed.code, 1);
    assert!(failed.line().starts_with(&format!("the task {id} is failed: ")), "{failed:?}");

    let id = submit(&node, &["--in", "1h", "--log"]);
    let late = call(&node, &["watch", &id, "--timeout", "100ms"]);
    assert_eq!(late.code, 75);
    assert!(late.line().contains("is still scheduled"), "{late:?}");
    assert_eq!(call(&node, &["watch", "0199c0de-0000-7000-8000-00000000dead"]).code, 1);
}

#[test]
fn several_tasks_are_cancelled_and_a_refused_one_is_told() {
    let node = Node::start();
    let ids: Vec<String> = (0..2).map(|_| submit(&node, &["--in", "1h", "--log"])).collect();
    let missing = "0199c0de-0000-7000-8000-00000000dead";
    let cancelled = call(&node, &["cancel", &ids[0], missing, &ids[1]]);
    assert_eq!((cancelled.code, cancelled.stdout), (1, format!("{} cancelled\n{} cancelled\n", ids[0], ids[1])));
    assert!(cancelled.stderr.contains(&format!("{missing}: 404 ")), "{}", cancelled.stderr);
}

#[test]
fn many_tasks_are_not_changed_without_a_yes() {
    let node = Node::start();
    let unasked = call(&node, &["cancel", "--label", "a=b"]);
    assert_eq!(unasked.code, 2);
    assert!(unasked.line().contains("--yes"), "{unasked:?}");
}

#[test]
fn a_list_follows_its_pages_to_the_end() {
    let node = Node::start();
    let ids: Vec<String> = (0..3).map(|_| submit(&node, &["--in", "1h", "--log"])).collect();
    let all = call(&node, &["list", "--all", "--from", "1h ago", "--to", "in 1h"]).ok().stdout;
    assert!(all.lines().count() == 4 && ids.iter().all(|id| all.contains(id)), "{all}");
    assert_eq!(call(&node, &["list", "--from", "in 1h"]).ok().stdout.lines().count(), 1);
}

#[test]
fn the_figures_are_readable_and_there_as_json() {
    let node = Node::start();
    submit(&node, &["--in", "1h", "--log"]);
    let shown = call(&node, &["stats"]).ok().stdout;
    for words in [vec!["scheduled", "1"], vec!["succeeded", "0"]] {
        assert!(shown.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == words), "{shown}");
    }
    assert_eq!(call(&node, &["stats", "--json"]).ok().json()["tasks"]["scheduled"], 1);
    assert!(run(&["completions", "bash"]).ok().stdout.contains("reschedule"));
}

#[test]
fn a_time_without_its_zone_is_wrong_usage() {
    let refused = run(&["submit", "--at", "2026-12-24 18:00", "--log"]);
    assert_eq!(refused.code, 2);
    assert!(refused.line().contains("lacks its zone") && refused.line().contains("Europe/Berlin"), "{refused:?}");
}

#[test]
fn the_cluster_is_shown_with_its_master() {
    let node = Node::with(&["--name", "node-of-the-test"]);
    let shown = call(&node, &["cluster"]).ok().stdout;
    assert!(shown.starts_with("epoch "), "{shown}");
    let row = shown.lines().find(|line| line.starts_with("node-of-the-test ")).unwrap_or_else(|| panic!("{shown}"));
    assert!(row.contains(" alive ") && row.contains(" master "), "{row}");
}

#[test]
fn a_refusal_names_the_field_its_value_and_what_is_allowed() {
    let node = Node::start();
    let refused = call(&node, &["submit", "--in", "1h", "--log", "--priority", "12"]);
    assert_eq!(refused.code, 1);
    let line = refused.line();
    assert!(
        line.starts_with("400 ") && line.contains("/priority") && line.contains("12") && line.contains("allowed"),
        "{line}"
    );
    let no_id = call(&node, &["get", "42"]);
    assert_eq!(no_id.code, 1);
    assert!(no_id.line().starts_with('4'), "{no_id:?}");
}

#[test]
fn a_server_that_is_away_is_to_be_tried_again() {
    // Bound and let go of: nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{free}");
    for args in [vec!["list"], vec!["cluster"], vec!["submit", "--in", "1s", "--log"]] {
        let away = run(&[args.as_slice(), &["--server", &server]].concat());
        assert_eq!(away.code, 75, "{away:?}");
        assert!(away.line().contains(&server), "{away:?}");
    }
}

#[test]
fn a_node_is_healthy_when_it_takes_submissions() {
    let node = Node::start();
    assert_eq!(call(&node, &["health"]).ok().stdout, "ready\n");
    assert_eq!(call(&node, &["health", "--json"]).ok().json()["status"], "ready");

    // Nobody listens on port 1: it waits for its database.
    let waiting = Node::starting(&["--database-url", "postgres://nobody@127.0.0.1:1/none"]);
    until("it answers", COMMAND_TIMEOUT, || call(&waiting, &["health"]).line().starts_with("503 "));
    let unhealthy = call(&waiting, &["health"]);
    assert_eq!(unhealthy.code, 1);
    assert!(unhealthy.line().contains("the actors are starting"), "{unhealthy:?}");

    let nobody = format!("http://{}", free_address());
    assert_eq!(run(&["health", "--server", &nobody]).code, 1);
    assert_eq!(run(&["health", "--server", "localhost:8080"]).code, 2);
}

#[test]
fn migrate_makes_the_database_once_and_not_under_a_running_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(run(&["migrate", "--data-dir", path]).ok().stdout.starts_with("applied "));
    assert!(run(&["migrate", "--data-dir", path]).ok().stdout.starts_with("nothing to do"));
    assert_eq!(run(&["migrate", "--data-dir", path, "--json"]).ok().json()["applied"], serde_json::json!([]));

    let node = Node::start();
    let refused = run(&["migrate", "--data-dir", node.data_dir().to_str().unwrap()]);
    assert_eq!(refused.code, 2);
    assert!(refused.line().contains("in use by process "), "{refused:?}");
}

#[test]
fn check_config_prints_every_setting_and_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let shown = run(&["check-config", "--data-dir", data.to_str().unwrap(), "--slots", "7"]).ok().stdout;
    let row = shown.lines().find(|line| line.starts_with("slots ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["slots", "7", "-", "the", "flag", "--slots"]);
    assert!(!Path::new(&data).exists());
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program(&["check-config"]);
    command.stdout(writer);
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}
