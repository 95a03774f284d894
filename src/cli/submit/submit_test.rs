//! What `submit` makes of its arguments.

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::cli::fake_node::{FakeNode, Told};
use crate::domain::document::{Document as Checked, Received};
use crate::domain::time::Timestamp;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    submit: Submit,
}

fn parsed(args: &[&str]) -> Result<Submit, clap::Error> {
    Line::try_parse_from([&["submit"], args].concat()).map(|line| line.submit)
}

fn document(args: &[&str]) -> String {
    String::from_utf8(parsed(args).unwrap().as_document().unwrap()).unwrap()
}

#[test]
fn flags_become_the_document_that_the_api_takes() {
    let id = "0199c0de-0000-7000-8000-000000000001";
    let json = document(&[
        "--in",
        "3s",
        "--http",
        "http://h/x",
        "--method",
        "PUT",
        "--header",
        "X-A: 1",
        "--id",
        id,
        "--delivery",
        "at_least_once",
        "--priority",
        "3",
        "--label",
        "a=b=c",
        "--timeout-ms",
        "500",
        "--max-attempts",
        "2",
        "--expire-after-ms",
        "9",
        r#"{"order": 42}"#,
    ]);
    let at = Timestamp::from_micros(0);
    let task = Checked::parse(json.as_bytes())
        .unwrap()
        .check(Received { idempotency_key: None, record_key: None, at })
        .unwrap();
    assert_eq!(task.id.to_string(), id);
    assert_eq!(task.run_at.micros(), 3_000_000);
    assert_eq!((task.spec.priority, task.spec.retry.max_attempts), (3, 2));
    assert_eq!(task.spec.labels["a"], "b=c");
    assert_eq!(task.spec.payload.bytes(), br#"{"order": 42}"#);
}

#[test]
fn the_shortest_call_says_only_what_it_was_told() {
    assert_eq!(document(&["--in", "0s", "--log"]), r#"{"delay_ms":0,"target":{"type":"log"}}"#);
}

#[test]
fn a_topic_may_have_its_cluster_before_it() {
    let target = |args: &[&str]| {
        let document = document(&[&["--in", "0s"], args].concat());
        serde_json::from_str::<serde_json::Value>(&document).unwrap()["target"].clone()
    };
    assert_eq!(target(&["--kafka", "orders"]), serde_json::json!({"type": "kafka", "topic": "orders"}));
    assert_eq!(
        target(&["--kafka", "west/orders", "--record-key", "42", "--header", "A: 1"]),
        serde_json::json!({"type": "kafka", "cluster": "west", "topic": "orders", "key": "42", "headers": {"A": "1"}})
    );
}

#[test]
fn a_time_counted_from_now_is_the_nodes_to_count() {
    let log = r#""target":{"type":"log"}}"#;
    assert_eq!(document(&["--at", "in 5m", "--log"]), format!(r#"{{"delay_ms":300000,{log}"#));
    let instant = "2026-12-24T18:00:00+01:00";
    for at in [instant, "2026-12-24 18:00 Europe/Berlin"] {
        assert_eq!(document(&["--at", at, "--log"]), format!(r#"{{"run_at":"{instant}",{log}"#));
    }
}

#[test]
fn a_payload_comes_from_the_argument_or_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"[1]").unwrap();
    let at_file = format!("@{}", file.path().display());
    let payload = |args: &[&str]| {
        parsed(&[&["--in", "1s", "--log"], args].concat()).unwrap().payload().map(|json| json.unwrap().get().to_owned())
    };
    assert_eq!(payload(&[&at_file]).unwrap(), "[1]");
    assert_eq!(payload(&["--raw", &at_file]).unwrap(), r#"{"base64":"WzFd"}"#);
    assert_eq!(payload(&["--raw", "hello"]).unwrap(), r#"{"base64":"aGVsbG8="}"#);
    assert!(payload(&["@/nowhere/x"]).unwrap_err().message.contains("/nowhere/x"));
    assert_eq!(payload(&["--raw"]).unwrap_err().code, crate::cli::exit::USAGE);
}

#[test]
fn contradictions_and_gaps_are_wrong_usage() {
    for args in [
        vec!["--log"],
        vec!["--in", "1s"],
        vec!["--in", "1s", "--at", "x", "--log"],
        vec!["--in", "1s", "--log", "--http", "http://h/"],
        vec!["--in", "1s", "--log", "--method", "PUT"],
        vec!["--in", "1s", "--log", "--id", "a", "--key", "b"],
        vec!["--in", "1s", "--log", "--delivery", "exactly_once"],
        vec!["--document", "-", "--in", "1s"],
        vec!["--document", "-", "--lines", "-"],
        vec!["--lines", "-", "--in", "1s", "--log"],
        vec!["--lines", "-", "1"],
        vec!["--in", "1s", "--log", "--upload", "x"],
        vec!["--in", "1s", "--log", "--kafka", "orders"],
        vec!["--in", "1s", "--http", "http://h/", "--record-key", "1"],
        vec!["--in", "1s", "--log", "--header", "A: 1"],
        vec!["--at", "2026-12-24 18:00", "--log"],
        vec!["--in", "1s", "--log", "1", "--payload-file", "x"],
    ] {
        assert!(parsed(&args).is_err(), "{args:?}");
    }
    assert!(parsed(&["--document", "-", "--key", "k"]).is_ok());
}

#[test]
fn values_that_cannot_be_read_are_named() {
    for args in [
        ["--in", "5", "--log", "1"],
        ["--in", "5s", "--log", "hello"],
        ["--in", "5s", "--log", "--label=x"],
        ["--in", "5s", "--http=http://h", "--header=x"],
    ] {
        assert_eq!(parsed(&args).unwrap().as_document().unwrap_err().code, crate::cli::exit::USAGE, "{args:?}");
    }
}

#[test]
fn an_unclear_end_names_the_id_to_repeat_with() {
    let submit = parsed(&["--in", "1s", "--log", "--id", "X"]).unwrap();
    assert!(submit.repeatable(Failure::new(AWAY, "no answer")).message.contains("--id X"));
    assert_eq!(submit.repeatable(Failure::usage("no")).message, "no");
}

#[test]
fn a_refusal_as_json_names_the_id_to_repeat_with_too() {
    let unclear = |body: &'static str| {
        let node = FakeNode::start(move |_, _| Told::json(503, body));
        let submit = parsed(&["--in", "1s", "--log", "--json", "--server", &node.url]).unwrap();
        let failure = submit.run().unwrap_err();
        let sent: Value = serde_json::from_str(&node.asked()[0].body).unwrap();
        (failure, field(&sent, "id"))
    };
    let (failure, id) = unclear(r#"{"title": "Not now", "status": 503}"#);
    let told: Value = serde_json::from_slice(&failure.json.unwrap()).unwrap();
    assert_eq!((failure.code, &told["id"], &told["status"]), (AWAY, &Value::from(id), &Value::from(503)));
    // No node's: there is no place for an id in it.
    let (failure, id) = unclear("[]");
    assert!(failure.json.is_none() && failure.message.contains(&id), "{failure}");
}
