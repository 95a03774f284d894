//! A disk without room: nothing is half stored, and everything goes on when there is room.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::node::until;
use crate::harness::{Node, Receiver, http};

/// A small disk of the test's own; `None` where it may not be mounted.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mounted() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let filler = self.path().join("filler");
        let mut size = 4 * 1024 * 1024;
        let mut content = std::fs::read(&filler).unwrap_or_default();
        while size >= 1_024 {
            let mut more = content.clone();
            more.resize(content.len() + size, 1);
            if std::fs::write(&filler, &more).is_ok() {
                content = more;
            } else {
                std::fs::write(&filler, &content).unwrap();
                size /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_forgotten_when_there_is_room() {
    let Some(disk) = Disk::mounted() else {
        eprintln!("\n!!! SKIPPED disk_full: a tmpfs cannot be mounted here; run the tests as root to see it\n");
        return;
    };
    let receiver = Receiver::start();
    let node = Node::in_folder(&disk.path().join("data"), &[]);
    let document = |n: usize| {
        json!({"delay_ms": 0, "payload": "x".repeat(20_000), "labels": {"n": n.to_string()},
            "target": {"type": "http", "url": receiver.url("/")}})
    };
    let before = json!({"delay_ms": 2_000, "target": {"type": "http", "url": receiver.url("/before")}});
    assert_eq!(http::post_json(&node.url("/v1/tasks"), &before).status, 201);
    disk.fill();
    let mut refused = None;
    for n in 0..200 {
        let answer = http::post_json(&node.url("/v1/tasks"), &document(n));
        if answer.status == 503 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 201);
    }
    let refused = refused.expect("the disk gets full");
    assert!(refused.header("content-type").unwrap().starts_with("application/problem+json"));
    assert!(refused.header("retry-after").is_some());
    let batch: Vec<Value> = (0..50).map(|n| document(1_000 + n)).collect();
    let answer = http::post_json(&node.url("/v1/tasks/batch"), &Value::from(batch));
    assert_ne!(answer.status, 201, "nothing of a batch that has no room is accepted");
    let count = |node: &Node, label: &str| {
        let listed = http::get(&node.url(&format!("/v1/tasks?limit=1000&label={label}"))).json();
        listed["tasks"].as_array().unwrap().len()
    };
    assert_eq!(count(&node, "n%3D1000") + count(&node, "n%3D1049"), 0, "nothing is half stored");
    disk.make_room();
    until("submissions are taken again", Duration::from_secs(20), || {
        http::post_json(&node.url("/v1/tasks"), &document(9_999)).status == 201
    });
    until("every accepted task ends", Duration::from_secs(30), || {
        let counts = http::get(&node.url("/v1/stats")).json()["tasks"].clone();
        counts["scheduled"] == 0 && counts["dispatched"] == 0
    });
    let before = receiver.calls().iter().filter(|call| call.path == "/before").count();
    assert_eq!(before, 1, "what was accepted before is called once");
}
