//! Real servers for the tests: started when the first test asks, one for the whole test binary, gone with it.

pub mod axe;
pub mod chromium;
pub mod kafka;
pub mod postgres;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that a test runs is on this machine; says so if it is not.
pub fn has_tool(name: &str, how: &str) -> bool {
    let asked = Command::new(name).arg("--version").stdin(Stdio::null()).output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        missing(name, "it is not on this machine", how);
    }
    there
}

/// A server cannot be had: says so past the test runner's capture, or fails where the server is required.
pub fn missing(server: &str, why: &str, how: &str) {
    let required = std::env::var("TASK_SCHEDULER_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name.trim() == server),
        "{server} is required by TASK_SCHEDULER_TEST_REQUIRE, but {why}; {how}"
    );
    let line = format!("\n*** SKIPPED: every test that needs {server}: {why}; {how} ***\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
