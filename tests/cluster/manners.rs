//! The API's manners: a request's name, gzip both ways. Batches line by line: [`lines`].

mod lines;

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::harness::http::Answer;
use crate::harness::{Node, http};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const GZIP: (&str, &str) = ("Accept-Encoding", "gzip");
const PACKED: (&str, &str) = ("Content-Encoding", "gzip");
/// What a browser takes that goes to a page.
const PERSON: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{:?}", answer.headers);
    let mut bytes = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn later() -> Value {
    json!({ "delay_ms": 3_600_000, "target": { "type": "log" }, "labels": { "of": "manners" } })
}

#[test]
fn every_answer_names_its_request() {
    let node = Node::start();
    let named = |name: &str, method: &str, path: &str| {
        http::request(method, &node.url(path), &[JSON, ("X-Request-Id", name)], b"{}")
    };
    for (method, path, status) in [
        ("GET", "/v1/stats", 200),
        ("GET", "/actors", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/tasks", 405),
        ("POST", "/v1/tasks", 400),
        ("GET", "/v1/tasks/42", 400),
    ] {
        let answer = named("caller/7:x", method, path);
        assert_eq!((answer.status, answer.header("x-request-id")), (status, Some("caller/7:x")), "{method} {path}");
        if status >= 400 {
            assert_eq!(answer.json()["request_id"], "caller/7:x", "{method} {path}");
        }
    }
    let foreign = [("Host", "evil.example"), ("X-Request-Id", "r")];
    let refused = http::request("GET", &node.url("/v1/tasks"), &foreign, b"");
    assert_eq!((refused.status, refused.header("x-request-id")), (403, Some("r")), "by the rule for browsers too");
    assert_eq!(refused.json()["request_id"], "r");
    let long = "x".repeat(129);
    for bad in ["", "two words", long.as_str()] {
        let answer = named(bad, "GET", "/nowhere");
        let made = answer.header("x-request-id").unwrap().to_owned();
        assert_ne!(made, bad);
        assert_eq!((made.len(), &answer.json()["request_id"]), (36, &json!(made)), "{bad:?} gets one of the node's");
    }
}

#[test]
fn people_are_told_by_a_page_and_programs_by_json() {
    let node = Node::start();
    let ask = |method: &str, path: &str, more: &[(&str, &str)]| {
        http::request(method, &node.url(path), &[&[("X-Request-Id", "r")], more].concat(), b"")
    };
    let evil = ("Host", "evil.example");
    for (method, path, more, status) in [
        ("GET", "/nowhere", None, 404),
        ("GET", "/tasks/a/b/c", None, 404),
        ("DELETE", "/cluster", None, 405),
        ("DELETE", "/docs", None, 405),
        ("GET", "/", Some(evil), 403),
        ("POST", "/cluster/pauses", Some(("Content-Type", "text/plain")), 415),
        ("POST", "/cluster/pauses", Some(("Origin", "http://evil.example")), 403),
    ] {
        let more: Vec<(&str, &str)> = more.into_iter().collect();
        let json = ask(method, path, &more);
        let page = ask(method, path, &[&[PERSON], more.as_slice()].concat());
        assert_eq!((json.status, page.status), (status, status), "{method} {path}");
        assert_eq!(json.header("content-type"), Some("application/problem+json"), "{method} {path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{method} {path}");
        for header in ["allow", "x-request-id"] {
            assert_eq!(page.header(header), json.header(header), "{header} of {method} {path}");
        }
        assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
        let html = String::from_utf8(page.body).unwrap();
        assert!(html.starts_with("<!DOCTYPE html>") && html.contains("<p role=\"alert\">"), "{method} {path}: {html}");
        assert_eq!((&json.json()["status"], &json.json()["request_id"]), (&json!(status), &json!("r")));
    }
    for path in ["/v1/nowhere", "/v1/tasks/42", "/metrics/x", "/assets/none/x", "/live/none/x"] {
        let answer = ask("GET", path, &[PERSON]);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path} is for programs");
    }
}

#[test]
fn answers_come_in_gzip_for_those_who_take_it() {
    let node = Node::start();
    let many = Value::Array(vec![later(); 200]);
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &many).status, 201);
    let plain = http::request("GET", &node.url("/v1/tasks?limit=200"), &[("Accept-Encoding", "identity")], b"");
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    let small = http::request("GET", &node.url("/v1/tasks?limit=200"), &[GZIP], b"");
    assert!(small.body.len() * 5 < plain.body.len(), "{} of {}", small.body.len(), plain.body.len());
    assert_eq!(unpacked(&small), plain.body);
    assert_eq!(small.header("content-length"), Some(small.body.len().to_string().as_str()));
    let metrics = http::request("GET", &node.url("/metrics"), &[GZIP], b"");
    assert!(unpacked(&metrics).starts_with(b"# HELP"));
    let short = http::request("GET", &node.url("/healthz"), &[GZIP], b"");
    assert_eq!((short.header("content-encoding"), short.json()["status"].as_str()), (None, Some("alive")));
}

#[test]
fn bodies_may_come_in_gzip() {
    let node = Node::start();
    let url = node.url("/v1/tasks");
    let answer = http::request("POST", &url, &[JSON, PACKED], &packed(later().to_string().as_bytes()));
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(http::get(&node.url(&format!("/v1/tasks/{id}"))).json()["labels"], later()["labels"]);
    let many = packed(Value::Array(vec![later(); 500]).to_string().as_bytes());
    let answer = http::request("POST", &node.url("/v1/tasks/batch"), &[JSON, PACKED], &many);
    assert_eq!((answer.status, answer.json()["results"].as_array().unwrap().len()), (201, 500));
    let cut = packed(later().to_string().as_bytes());
    for broken in [b"{}".as_slice(), &cut[..cut.len() - 1], b""] {
        let answer = http::request("POST", &url, &[JSON, PACKED], broken);
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (400, Some("urn:task-scheduler:problem:bad-request"))
        );
    }
}

#[test]
fn a_bomb_is_413_and_costs_no_memory() {
    let node = Node::start();
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let bomb = packed(&vec![b' '; 1024 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024 + 200, "{}", bomb.len());
    let before = memory();
    for _ in 0..4 {
        let answer = http::request("POST", &node.url("/v1/tasks"), &[JSON, PACKED], &bomb[..1_000_000]);
        assert_eq!((answer.status, answer.json()["value"].as_str()), (413, Some("more than 1048576 bytes")));
        let answer = http::request("POST", &node.url("/v1/tasks/batch"), &[JSON, PACKED], &bomb);
        assert_eq!((answer.status, answer.json()["value"].as_str()), (413, Some("more than 16777216 bytes")));
    }
    // A batch of the largest size, twice while its buffer grows.
    let grown = memory() - before;
    assert!(grown < 64 * 1024, "{grown} KiB more");
}
