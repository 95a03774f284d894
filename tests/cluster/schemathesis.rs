//! schemathesis reads the API's description and tries to prove the node wrong.
//!
//! What it is told beyond the description stands in `schemathesis/`: `schemathesis.toml`, and `hooks.py` for what JSON
//! Schema cannot say.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::Node;
use crate::harness::alone::alone;
use crate::services;

const NAME: &str = "schemathesis";
const PROGRAM: &str = "TASK_SCHEDULER_SCHEMATHESIS";
/// Longest time of a run.
const BOUND: Duration = Duration::from_mins(3);
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/schemathesis");

/// The program, if it is there and runs.
fn program() -> Option<String> {
    let program = std::env::var(PROGRAM).unwrap_or_else(|_| NAME.to_owned());
    let runs = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    runs.then_some(program)
}

#[test]
fn the_node_is_as_its_description_says() {
    let Some(program) = program() else {
        let how = format!("`pip install schemathesis`, or name it by {PROGRAM}");
        return services::missing(NAME, "it is not in PATH", &how);
    };
    // What is measured elsewhere is not to be measured beside it.
    let _alone = alone();
    let node = Node::silent_with(&[]);
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let run = Command::new("timeout")
        .args(["--signal=KILL", &BOUND.as_secs().to_string(), &program])
        .args(["--config-file", &format!("{FOLDER}/schemathesis.toml"), "run", "--seed=1", "--no-color"])
        .args(["--checks=all", "--phases=examples,coverage,fuzzing,stateful", &node.url("/openapi.json")])
        .env("SCHEMATHESIS_HOOKS", format!("{FOLDER}/hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let took = began.elapsed();
    assert!(run.status.success(), "after {took:?}: {}\n{said}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
    let end = said.trim_end().lines().rev().take(12).collect::<Vec<&str>>();
    println!("schemathesis: {took:?}\n{}", end.into_iter().rev().collect::<Vec<&str>>().join("\n"));
}
