//! An upload against a server that refuses, breaks off and recovers.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::{Value, json};

use super::*;
use crate::cli::exit::USAGE;
use crate::cli::fake_node::{Asked, FakeNode, Told};

const TASK: &str = r#"{"delay_ms": 1, "target": {"type": "log"}}"#;

fn file(lines: &[&str]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    file
}

fn upload(node: &FakeNode, file: &tempfile::NamedTempFile) -> Result<(), Failure> {
    let client = node.client();
    Upload { client: &client, file: file.path().to_str().unwrap(), name: "", quiet: true }.run()
}

fn documents(asked: &Asked) -> Vec<Value> {
    asked.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(asked: &Asked) -> Vec<String> {
    documents(asked).iter().map(|document| field(document, "id")).collect()
}

/// Each item answered by `answer`.
fn results(asked: &Asked, answer: impl Fn(usize, &Value) -> Value) -> Told {
    let results: Vec<Value> = documents(asked).iter().enumerate().map(|(at, document)| answer(at, document)).collect();
    Told::value(200, &json!({ "results": results }))
}

fn accepted(_: usize, document: &Value) -> Value {
    json!({ "id": document["id"], "status": 201 })
}

fn problem(at: usize, status: u16) -> Value {
    json!({ "index": at, "problem": { "title": "No", "status": status, "detail": "/priority is 12; allowed: 0 to 9" } })
}

#[test]
fn every_line_is_sent_once_in_batches() {
    let node = FakeNode::start(|asked, _| results(asked, accepted));
    upload(&node, &file(&vec![TASK; 2_500])).unwrap();
    let asked = node.asked();
    assert_eq!(asked.iter().map(|one| documents(one).len()).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    assert_eq!(asked[0].line, "POST /v1/tasks/batch");
    assert_eq!(asked[0].header("content-type"), "application/x-ndjson");
    let distinct: BTreeSet<String> = asked.iter().flat_map(ids).collect();
    assert_eq!(distinct.len(), 2_500);
}

#[test]
fn refused_lines_are_counted_and_the_rest_goes_on() {
    let node = FakeNode::start(|asked, _| {
        results(asked, |at, document| if at == 1 { problem(at, 400) } else { accepted(at, document) })
    });
    let failure = upload(&node, &file(&[TASK, "no JSON", TASK, TASK])).unwrap_err();
    assert_eq!(failure.code, REFUSED);
    assert!(failure.message.starts_with("2 lines"), "{failure}");
    assert_eq!(documents(&node.asked()[0]).len(), 3);
}

#[test]
fn a_broken_connection_is_tried_again_with_the_same_ids() {
    let node = FakeNode::start(|asked, before| match before {
        0 => Told::nothing(),
        1 => results(asked, accepted).broken(),
        2 => Told::value(503, &json!({ "title": "Not now", "status": 503 })),
        _ => results(asked, accepted),
    });
    upload(&node, &file(&[TASK; 3])).unwrap();
    let asked: Vec<Vec<String>> = node.asked().iter().map(ids).collect();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|ids| *ids == asked[0]), "{asked:?}");
}

#[test]
fn of_a_batch_only_what_was_not_taken_is_sent_again() {
    let node = FakeNode::start(|asked, before| {
        let again =
            move |at, document: &Value| if before == 0 && at == 1 { problem(at, 503) } else { accepted(at, document) };
        results(asked, again)
    });
    upload(&node, &file(&[TASK; 3])).unwrap();
    let asked: Vec<Vec<String>> = node.asked().iter().map(ids).collect();
    assert_eq!((asked.len(), &asked[1]), (2, &vec![asked[0][1].clone()]));
}

#[test]
fn who_answers_as_no_node_does_is_given_up_at_last_with_how_far_it_came() {
    let node = FakeNode::start(|asked, before| match before {
        0 => results(asked, accepted),
        _ => Told::value(404, &json!({ "title": "There is nothing at this path", "status": 404 })),
    });
    let failure = upload(&node, &file(&[TASK; 1_001])).unwrap_err();
    assert_eq!(failure.code, REFUSED);
    assert!(failure.message.contains("behind line 1000: 1000 tasks accepted"), "{failure}");
}

#[test]
fn a_server_that_stays_away_is_to_be_tried_again() {
    let far = Tally { accepted: 998, refused: 2, line: 1_000 };
    let failure = broken_off(Failure::new(AWAY, "no answer"), &far);
    assert_eq!(failure.code, AWAY);
    for words in ["line 1000", "998 tasks accepted, 2 lines refused", "no answer", "repeat the same command"] {
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let client = Client::of("http://127.0.0.1:1");
    let failure = Upload { client: &client, file: "/nowhere/x", name: "", quiet: true }.run().unwrap_err();
    assert_eq!(failure.code, USAGE);
}
