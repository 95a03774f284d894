//! The commands that change tasks which are there, hold them back, and look for them.

use std::time::Duration;

use super::{call, ended, program, state, submit};
use crate::harness::node::until;
use crate::harness::{Answer, Node, Receiver};

const SOON: Duration = Duration::from_secs(30);

/// A receiver that fails each task's first call, and takes the others.
fn failing_first() -> Receiver {
    Receiver::answering(|_, before| Answer::status(if before == 0 { 500 } else { 200 }))
}

/// A task's field, as JSON.
fn shown(node: &Node, id: &str, field: &str) -> String {
    let task = call(node, &["get", id, "--json"]).ok().json();
    task[field].as_str().unwrap_or_else(|| panic!("no {field} in {task}")).to_owned()
}

#[test]
fn a_task_is_run_before_its_time_and_watched_to_its_end() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let id = submit(&node, &["--in", "1h", "--http", &receiver.url("/hook")]);
    assert_eq!(call(&node, &["run", &id]).ok().stdout, format!("{id} scheduled\n"));
    assert!(call(&node, &["watch", &id]).ok().stdout.contains("  succeeded "));
    let again = call(&node, &["run", &id]);
    assert_eq!(again.code, 1);
    assert!(again.line().starts_with("409 "), "{again:?}");
}

#[test]
fn failed_tasks_are_retried_by_their_ids_and_by_filters() {
    let (node, receiver) = (Node::start(), failing_first());
    let url = receiver.url("/hook");
    let ids: Vec<String> = (0..3)
        .map(|_| submit(&node, &["--in", "0s", "--http", &url, "--max-attempts", "1", "--label", "kind=hook"]))
        .collect();
    for id in &ids {
        assert_eq!(call(&node, &["watch", id]).code, 1);
    }
    assert_eq!(call(&node, &["retry", &ids[0]]).ok().stdout, format!("{} scheduled\n", ids[0]));
    call(&node, &["watch", &ids[0]]).ok();
    let many = ["retry", "--label", "kind=hook", "--yes"];
    assert_eq!(call(&node, &many).ok().stdout, "2 of 2 tasks changed\n");
    for id in &ids[1..] {
        call(&node, &["watch", id]).ok();
    }
    assert_eq!(call(&node, &many).ok().stdout, "0 of 0 tasks changed\n");
}

#[test]
fn tasks_are_rescheduled_by_their_ids_and_by_filters() {
    let node = Node::start();
    let ids: Vec<String> = (0..2).map(|_| submit(&node, &["--in", "1h", "--log", "--label", "a=b"])).collect();
    let before = shown(&node, &ids[0], "run_at");
    assert_eq!(call(&node, &["reschedule", &ids[0], "--in", "2h"]).ok().stdout, format!("{} scheduled\n", ids[0]));
    assert!(shown(&node, &ids[0], "run_at") > before);
    let many = call(&node, &["reschedule", "--label", "a=b", "--yes", "--at", "tomorrow 18:00 UTC", "--json"]);
    let last = many.ok().json();
    assert_eq!((&last["changed"], &last["done"]), (&2.into(), &true.into()));
    for id in &ids {
        assert!(shown(&node, id, "due_at").ends_with("T18:00:00.000000Z"));
    }
}

#[test]
fn many_tasks_are_counted_and_cancelled() {
    let node = Node::start();
    let ids: Vec<String> =
        ["a=b", "a=b", "a=c"].map(|label| submit(&node, &["--in", "1h", "--log", "--label", label])).to_vec();
    let dry = ["cancel", "--label", "a=b", "--dry-run"];
    assert_eq!(call(&node, &dry).ok().stdout, "2 tasks to cancel\n");
    assert_eq!(call(&node, &[dry.as_slice(), &["--json"]].concat()).ok().json()["matched"], 2);
    assert_eq!(state(&node, &ids[0]), "scheduled");
    assert_eq!(call(&node, &["cancel", "--label", "a=b", "--yes"]).ok().stdout, "2 of 2 tasks changed\n");
    let states = [&ids[0], &ids[1], &ids[2]].map(|id| state(&node, id));
    assert_eq!(states, ["cancelled", "cancelled", "scheduled"]);
    let refused = call(&node, &["cancel", "--state", "failed", "--yes"]);
    assert_eq!(refused.code, 1);
    assert!(refused.line().starts_with("400 "), "{refused:?}");
}

#[test]
fn what_has_a_paused_label_waits_until_it_is_resumed() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let paused = call(&node, &["pause", "--label", "tenant:acme", "--reason", "they asked"]).ok().stdout;
    assert!(paused.contains(" tenant=acme ") && paused.contains(" they asked"), "{paused}");
    let id = submit(&node, &["--in", "0s", "--http", &receiver.url("/hook"), "--label", "tenant=acme"]);
    until("it waits", SOON, || call(&node, &["pauses", "--json"]).ok().json()["pauses"][0]["waiting"] == 1);
    assert_eq!(receiver.count(), 0);
    call(&node, &["pause"]).ok();
    assert_eq!(call(&node, &["resume", "--label", ""]).code, 2);
    let of_everything = call(&node, &["resume"]).ok().stdout;
    assert!(of_everything.contains(" everything "), "{of_everything}");
    assert_eq!(state(&node, &id), "scheduled");

    let resumed = call(&node, &["resume", "--label", "tenant:acme"]).ok().stdout;
    assert!(resumed.contains(" tenant=acme ") && resumed.contains(" 1000 "), "{resumed}");
    call(&node, &["watch", &id]).ok();
    until("the pauses are gone", SOON, || call(&node, &["pauses"]).ok().stdout.lines().count() == 1);
    assert_eq!(call(&node, &["resume", "--all"]).code, 1);
}

#[test]
fn there_are_no_dead_letters_without_a_topic() {
    let node = Node::start();
    let listed = call(&node, &["dead-letters"]).ok().stdout;
    assert!(listed.starts_with("ID ") && listed.lines().count() == 1, "{listed}");
    let json = call(&node, &["dead-letters", "list", "--json"]).ok().json();
    assert_eq!(json["dead_letters"], serde_json::json!([]));
    for action in ["show", "replay"] {
        let missing = call(&node, &["dead-letters", action, "17"]);
        assert_eq!(missing.code, 1);
        assert!(missing.line().starts_with("404 "), "{missing:?}");
    }
}

#[test]
fn a_list_shows_the_tasks_of_a_target() {
    let node = Node::start();
    let to_log = submit(&node, &["--in", "1h", "--log"]);
    let to_host = submit(&node, &["--in", "1h", "--http", "http://127.0.0.1:9/hook"]);
    for (target, id) in [("log", &to_log), ("http:127.0.0.1:9", &to_host)] {
        let listed = call(&node, &["list", "--target", target]).ok().stdout;
        assert!(listed.lines().count() == 2 && listed.contains(id.as_str()), "{target}: {listed}");
    }
    assert_eq!(call(&node, &["list", "--target", "mail:a"]).code, 1);
}

#[test]
fn a_watch_whose_reader_has_gone_ends() {
    let node = Node::start();
    let id = submit(&node, &["--in", "1h", "--log"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let server = format!("http://{}", node.address());
    let mut command = program(&["watch", &id, "--timeout", "10s", "--server", &server]);
    command.stdout(writer);
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn lines_counted_from_now_are_told_to_make_no_new_tasks_again() {
    let node = Node::start();
    let server = format!("http://{}", node.address());
    let upload = |flags: &[&str], line: &str| {
        let mut command = program(&[&["submit", "--server", &server, "--lines", "-"], flags].concat());
        command.stdin(std::process::Stdio::piped());
        let ended = ended(command, line.as_bytes());
        assert_eq!((ended.code, ended.stdout.as_str()), (0, "1 tasks accepted\n"), "{ended:?}");
        ended
    };
    let relative = r#"{"delay_ms": 86400000, "target": {"type": "log"}}"#;
    for _ in 0..2 {
        let told = upload(&[], relative);
        assert!(told.line().contains("--upload"), "{told:?}");
    }
    assert_eq!(call(&node, &["stats", "--json"]).ok().json()["tasks"]["scheduled"], 1);
    upload(&["--upload", "tuesday"], relative).ok();
    let at = shown(&node, &submit(&node, &["--in", "1h", "--log"]), "run_at");
    upload(&[], &format!(r#"{{"run_at": "{at}", "target": {{"type": "log"}}}}"#)).ok();
    assert_eq!(call(&node, &["stats", "--json"]).ok().json()["tasks"]["scheduled"], 4);
}
