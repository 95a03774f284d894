//! Wrong settings and places where a node cannot run: one line that says what to do, and an exit code that is not 0.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use tempfile::{NamedTempFile, TempDir};

use crate::command_line::{Ended, ended, program, run};
use crate::harness::Node;

/// A node that must refuse to start.
fn refused(args: &[&str]) -> Ended {
    let ended = run(&[&["node"], args].concat());
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.stdout, "");
    ended
}

/// The same, before it has so much as opened its log: all of stderr is the one line.
fn refused_at_once(args: &[&str]) -> String {
    let ended = refused(args);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    ended.line().to_owned()
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_wrong_value_is_refused_with_its_name_and_what_is_allowed() {
    for (args, value, allowed) in [
        (["--slots", "0"], "\"0\"", "1 to 10000"),
        (["--slots", "many"], "\"many\"", "1 to 10000"),
        (["--claim-lead-ms", "251"], "\"251\"", "0 to 250 ms"),
        (["--listen", "localhost"], "\"localhost\"", "127.0.0.1:8080"),
        (["--http-allow", "10.0.0.0/99"], "\"10.0.0.0/99\"", "10.0.0.0/8"),
        (["--http-ambiguous-status", "502,200"], "\"200\"", "300 to 599"),
    ] {
        let line = refused_at_once(&args);
        let name = args[0].trim_start_matches("--").replace('-', "_");
        for part in [name.as_str(), value, args[0], "allowed", allowed] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}

#[test]
fn a_wrong_value_in_the_environment_or_the_file_is_named_with_its_place() {
    let mut command = program(&["node"]);
    command.env("TASK_SCHEDULER_DRAIN_MS", "soon");
    let by_environment = ended(command, b"");
    assert_eq!(by_environment.code, 2);
    assert!(by_environment.line().contains("TASK_SCHEDULER_DRAIN_MS"), "{by_environment:?}");

    let file = file("slots = true\n");
    let line = refused_at_once(&["--config", str_of(file.path())]);
    assert!(line.contains("slots is true") && line.contains(str_of(file.path())), "{line}");
}

#[test]
fn settings_that_contradict_each_other_are_refused_together() {
    let line = refused_at_once(&["--lease-ms", "1000", "--renew-ms", "900"]);
    assert!(line.contains("renew_ms is 900 ms") && line.contains("lease_ms is 1000 ms"), "{line}");
    let line = refused_at_once(&["--lease-ms", "500", "--renew-ms", "100"]);
    assert!(line.contains("lease_ms is 500 ms") && line.contains("lease_ms at least 500 + renew_ms"), "{line}");
    let line = refused_at_once(&["--dead-after-ms", "2000"]);
    assert!(line.contains("dead_after_ms is 2000 ms") && line.contains("here 3000 ms"), "{line}");
    let line = refused_at_once(&["--slots", "3000"]);
    assert!(line.contains("claim_buffer") && line.contains("3000"), "{line}");
}

#[test]
fn named_clusters_are_read_from_flags_environment_and_file() {
    let file = file(
        "kafka_target_cluster = [\"west=a:1;b:2\", \"east=c:3\"]\n\
         kafka_property = [\"west/sasl.password=hush\"]\n",
    );
    let mut command = program(&["check-config", "--json", "--kafka-target-topic", "east/orders"]);
    command.env("TASK_SCHEDULER_CONFIG", file.path());
    let checked = ended(command, b"");
    assert_eq!(checked.code, 0, "{checked:?}");
    let settings = checked.json()["settings"].clone();
    for (key, value) in [
        ("kafka_target_cluster", vec!["west=a:1;b:2", "east=c:3"]),
        ("kafka_target_topic", vec!["east/orders"]),
        ("kafka_property", vec!["west/sasl.password=***"]),
    ] {
        assert_eq!(settings[key]["value"], serde_json::Value::from(value), "{key}");
    }
    let mut command = program(&["node", "--kafka-target-topic", "north/orders"]);
    command.env("TASK_SCHEDULER_KAFKA_TARGET_CLUSTER", "west=a:1;b:2,east=c:3");
    let unknown = ended(command, b"");
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.line().contains("\"north/orders\"") && unknown.line().ends_with("west, east"), "{unknown:?}");
    let twice = refused_at_once(&["--kafka-target-cluster", "west=a:1", "--kafka-target-cluster", "west=b:1"]);
    assert!(twice.contains("\"west=b:1\"") && twice.contains("each name once"), "{twice}");
}

#[test]
fn an_unknown_key_and_an_unknown_flag_are_refused_by_name() {
    let file = file("slotz = 4\n");
    let line = refused_at_once(&["--config", str_of(file.path())]);
    assert!(line.contains("\"slotz\"") && line.contains("--help"), "{line}");
    let line = refused_at_once(&["--slotz", "4"]);
    assert!(line.contains("--slotz") && line.contains("--slots") && line.contains("--help"), "{line}");
}

#[test]
fn a_settings_file_that_cannot_be_read_is_refused() {
    let line = refused_at_once(&["--config", "/proc/no/such/file"]);
    assert!(line.contains("/proc/no/such/file") && line.contains("--config"), "{line}");
    let broken = file("slots = \n");
    let line = refused_at_once(&["--config", str_of(broken.path())]);
    assert!(line.contains("line 1"), "{line}");
}

#[test]
fn beyond_loopback_is_refused_without_the_word_for_it() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let line = refused_at_once(&["--listen", listen]);
        assert!(line.contains(listen) && line.contains("--allow-unauthenticated"), "{line}");
        let allowed = run(&["check-config", "--json", "--listen", listen, "--allow-unauthenticated"]);
        assert_eq!((allowed.code, &allowed.json()["address_guard"]), (0, &true.into()), "{allowed:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = TempDir::new().unwrap();
    let refused = refused(&["--listen", &address, "--data-dir", str_of(folder.path())]);
    let line = refused.line();
    assert!(line.contains(&address) && line.contains("--listen"), "{line}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let file = file("a file, not a folder");
    for folder in [file.path().join("data"), Path::new("/proc/task-scheduler").to_owned()] {
        let refused = refused(&["--listen", "127.0.0.1:0", "--data-dir", str_of(&folder)]);
        let line = refused.line();
        assert!(line.contains(str_of(&folder)) && line.contains("--data-dir"), "{line}");
    }
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = str_of(folder.path());
    assert_eq!(run(&["migrate", "--data-dir", path]).code, 0);
    let database = folder.path().join("task-scheduler.db");
    let mut connection = SqliteConnection::establish(str_of(&database)).unwrap();
    connection.batch_execute("UPDATE schema_version SET min_program = 9999").unwrap();
    drop(connection);
    let refused = refused(&["--listen", "127.0.0.1:0", "--data-dir", path]);
    let line = refused.line();
    assert!(line.contains("newer") && line.contains("9999"), "{line}");
    let migrate = run(&["migrate", "--data-dir", path]);
    assert_eq!(migrate.code, 2, "{migrate:?}");
    assert!(migrate.line().contains("newer"), "{migrate:?}");
}

#[test]
fn a_second_process_on_the_same_folder_is_told_who_has_it() {
    let node = Node::start();
    let refused = refused(&["--listen", "127.0.0.1:0", "--data-dir", str_of(node.data_dir())]);
    let line = refused.line();
    let (_, after) = line.split_once("process ").unwrap_or_else(|| panic!("no process in {line}"));
    let pid: u32 = after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.contains("task-scheduler") && command.contains("node"), "{command:?}");
    assert!(line.contains("--data-dir"), "{line}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = file("slots = 3\nclaim_buffer = 30\ndrain_ms = 300\n");
    let mut command = program(&["check-config", "--json", "--slots", "1"]);
    command
        .env("TASK_SCHEDULER_CONFIG", file.path())
        .env("TASK_SCHEDULER_SLOTS", "2")
        .env("TASK_SCHEDULER_CLAIM_BUFFER", "20");
    let checked = ended(command, b"");
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    let settings = checked.json()["settings"].clone();
    for (key, value, origin) in [
        ("slots", 1, "flag"),
        ("claim_buffer", 20, "environment"),
        ("drain_ms", 300, "file"),
        ("lease_ms", 3000, "default"),
    ] {
        assert_eq!((&settings[key]["value"], &settings[key]["origin"]), (&value.into(), &origin.into()), "{key}");
    }
}

#[test]
fn an_unknown_variable_is_a_warning_and_no_error() {
    let mut command = program(&["check-config", "--json"]);
    command.env("TASK_SCHEDULER_SLOTZ", "4").env("TASK_SCHEDULER_TEST_ANYTHING", "1");
    let checked = ended(command, b"");
    assert_eq!(checked.code, 0);
    let json = checked.json();
    assert_eq!((json["errors"].as_array().unwrap().len(), json["warnings"].as_array().unwrap().len()), (0, 1));
    assert!(json["warnings"][0].as_str().unwrap().contains("TASK_SCHEDULER_SLOTZ"));
}
