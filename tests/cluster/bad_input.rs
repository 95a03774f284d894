//! What bad input gets: each answer is a problem that names the place, the value and what is allowed, and nothing is
//! stored.

mod requests;

use serde_json::{Value, json};

use crate::harness::{Node, http};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A task that is not due while a test runs.
fn task() -> Value {
    json!({ "delay_ms": 3_600_000, "target": { "type": "log" } })
}

/// A good task with one field changed or added; `null` takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut task = task();
    match value {
        Value::Null => task.as_object_mut().unwrap().remove(name),
        value => task.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    task
}

fn with_target(fields: Value) -> Value {
    with("target", fields)
}

/// A node that has stored nothing, and is asked again whether that is still so.
struct Untouched {
    node: Node,
    before: Value,
}

impl Untouched {
    fn node() -> Self {
        Self::of(Node::start())
    }

    fn of(node: Node) -> Self {
        let before = counts(&node);
        Self { node, before }
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> http::Answer {
        http::request("POST", &self.node.url("/v1/tasks"), headers, body)
    }

    /// The answer is this problem, and nothing was stored.
    fn refused(&self, answer: &http::Answer, status: u16, kind: &str) -> Value {
        let problem = problem(answer, status, kind);
        self.unchanged();
        problem
    }

    fn unchanged(&self) {
        assert_eq!(counts(&self.node), self.before, "something was stored");
        assert_eq!(http::get(&self.node.url("/v1/tasks")).json()["tasks"], json!([]));
    }

    /// The document is refused for this field.
    fn refused_field(&self, document: &Value, pointer: &str, value: &str, allowed: &str) {
        self.refused_document(document.to_string().as_bytes(), pointer, value, allowed);
    }

    fn refused_document(&self, document: &[u8], pointer: &str, value: &str, allowed: &str) {
        let problem = self.refused(&self.post(&[JSON], document), 400, "invalid-field");
        names(&problem, "pointer", pointer, value, allowed);
    }
}

fn counts(node: &Node) -> Value {
    http::get(&node.url("/v1/stats")).json()["tasks"].clone()
}

fn problem(answer: &http::Answer, status: u16, kind: &str) -> Value {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{text}");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:task-scheduler:problem:{kind}"), "{text}");
    assert_eq!(problem["status"], status, "{text}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{text}");
    problem
}

/// It names the place, and its `value` and `allowed` contain these.
fn names(problem: &Value, place: &str, name: &str, value: &str, allowed: &str) {
    assert_eq!(problem[place], name, "{problem}");
    for (member, part) in [("value", value), ("allowed", allowed)] {
        assert!(problem[member].as_str().is_some_and(|text| text.contains(part)), "{member} has {part}: {problem}");
    }
}

#[test]
fn no_body() {
    let node = Untouched::node();
    node.refused_document(b"", "", "empty", "a JSON object");
    node.refused_document(b" \n", "", "empty", "a JSON object");
}

#[test]
fn broken_json() {
    let node = Untouched::node();
    for json in ["{", "nul", "{\"delay_ms\": 1,}", "\u{0}", "[]"] {
        node.refused_document(json.as_bytes(), "", "", "a JSON object");
    }
    let trailing = format!("{} x", task());
    node.refused_document(trailing.as_bytes(), "", "line 1", "nothing after it");
    node.refused_document(b"{\"delay_ms\": 1, \"target\": {\"type\": \"\xff\"}}", "/target/type", "", "");
}

#[test]
fn a_wrong_type() {
    let node = Untouched::node();
    for (name, value, pointer) in [
        ("priority", json!("high"), "/priority"),
        ("delay_ms", json!(-1), "/delay_ms"),
        ("delay_ms", json!(1.5), "/delay_ms"),
        ("labels", json!({"a": 1}), "/labels/a"),
        ("retry", json!({"factor": "2"}), "/retry/factor"),
        ("target", json!("log"), "/target"),
        ("id", json!(42), "/id"),
    ] {
        node.refused_field(&with(name, value), pointer, "", "");
    }
}

#[test]
fn an_unknown_field() {
    let node = Untouched::node();
    node.refused_field(&with("when", json!(1)), "/when", "when", "");
    node.refused_field(&with("retry", json!({"tries": 3})), "/retry/tries", "tries", "");
    node.refused_field(&with_target(json!({"type": "log", "a/b": 1})), "/target/a~1b", "a/b", "");
}

#[test]
fn a_value_out_of_its_bounds() {
    let node = Untouched::node();
    for (name, value, pointer, given, allowed) in [
        ("priority", json!(10), "/priority", "10", "0 to 9"),
        ("timeout_ms", json!(0), "/timeout_ms", "0", "1 to 3600000"),
        ("retry", json!({"max_attempts": 0}), "/retry/max_attempts", "0", "1 to 1000"),
        ("labels", json!({"": "x"}), "/labels/", "", "1 to 256 characters"),
        ("target", json!({"type": "fax"}), "/target/type", "fax", "\"http\""),
    ] {
        node.refused_field(&with(name, value), pointer, given, allowed);
    }
}

#[test]
fn a_target_that_this_node_cannot_call() {
    let document = with_target(json!({"type": "kafka", "topic": "orders"}));
    Untouched::node().refused_field(&document, "/target/type", "kafka", "this node has no Kafka cluster");
}

#[test]
fn run_at_without_offset() {
    let document = json!({ "run_at": "2030-12-24T18:00:00", "target": { "type": "log" } });
    Untouched::node().refused_field(&document, "/run_at", "2030-12-24T18:00:00", "with an offset");
}

#[test]
fn run_at_together_with_delay_ms() {
    let document = with("run_at", json!("2030-12-24T18:00:00Z"));
    Untouched::node().refused_field(&document, "/run_at", "2030", "not both");
}

#[test]
fn neither_run_at_nor_delay_ms() {
    Untouched::node().refused_field(&with("delay_ms", Value::Null), "/run_at", "missing", "either run_at or delay_ms");
}

#[test]
fn a_year_9999() {
    let node = Untouched::node();
    let document = json!({ "run_at": "9999-01-01T00:00:00Z", "target": { "type": "log" } });
    node.refused_field(&document, "/run_at", "9999", "at most 10 years ahead");
    node.refused_field(&with("delay_ms", json!(u64::MAX)), "/delay_ms", "18446744073709551615", "10 years");
}

#[test]
fn an_idempotency_key_together_with_an_id() {
    let node = Untouched::node();
    let id = "0199c0de-0000-7000-8000-000000000001";
    let document = with("id", json!(id)).to_string();
    let answer = node.post(&[JSON, ("Idempotency-Key", "k")], document.as_bytes());
    names(&node.refused(&answer, 400, "invalid-field"), "pointer", "/id", id, "Idempotency-Key");
}

#[test]
fn an_illegal_idempotency_key() {
    let node = Untouched::node();
    let document = task().to_string();
    for (key, value) in [("", ""), ("a\tb", "a\\tb"), ("x".repeat(256).as_str(), "xxx")] {
        let answer = node.post(&[JSON, ("Idempotency-Key", key)], document.as_bytes());
        let problem = node.refused(&answer, 400, "invalid-header");
        names(&problem, "header", "Idempotency-Key", value, "1 to 255 characters");
    }
    let answer = node.post(&[JSON, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")], document.as_bytes());
    names(&node.refused(&answer, 400, "invalid-header"), "header", "Idempotency-Key", "twice", "one header");
}

#[test]
fn a_url_that_is_no_http_url_or_has_a_user_name() {
    let node = Untouched::node();
    for url in ["ftp://h/", "file:///etc/passwd", "/relative", "", "http://", "http://me@h/", "http://:secret@h/"] {
        let document = with_target(json!({ "type": "http", "url": url }));
        node.refused_field(&document, "/target/url", url, "without user name");
    }
    node.refused_field(&with_target(json!({"type": "http"})), "/target/url", "missing", "http");
}

#[test]
fn an_illegal_header_name_or_value_of_a_target() {
    let node = Untouched::node();
    for (name, value, pointer, given, allowed) in [
        ("a b", "c", "/target/headers/a b", "a b", "a header name"),
        ("", "c", "/target/headers/", "", "a header name"),
        ("a", "c\r\nd: e", "/target/headers/a", "c\\r\\nd: e", "without line breaks"),
        ("Host", "other", "/target/headers/Host", "Host", "sets itself"),
        ("X-Task-Epoch", "1", "/target/headers/X-Task-Epoch", "X-Task-Epoch", "sets itself"),
    ] {
        let document = with_target(json!({ "type": "http", "url": "http://h/", "headers": { name: value } }));
        node.refused_field(&document, pointer, given, allowed);
    }
}

#[test]
fn a_payload_above_256_kib() {
    let node = Untouched::node();
    let document = with("payload", json!("x".repeat(256 * 1024 - 1)));
    node.refused_field(&document, "/payload", "262145 bytes", "at most 262144 bytes");
}

#[test]
fn a_batch_above_16_mib() {
    let node = Untouched::node();
    let url = node.node.url("/v1/tasks/batch");
    let answer = http::request("POST", &url, &[JSON], &vec![b' '; 16 * 1024 * 1024 + 1]);
    let problem = node.refused(&answer, 413, "too-large");
    names(&problem, "pointer", "", "16777217 bytes", "at most 16777216 bytes");
}

#[test]
fn an_item_of_a_batch_above_1_mib() {
    let node = Untouched::node();
    let item = with("payload", json!("x".repeat(1024 * 1024)));
    let answer = http::post_json(&node.node.url("/v1/tasks/batch"), &json!([item]));
    assert_eq!(answer.status, 200);
    let result = &answer.json()["results"][0];
    assert_eq!((&result["index"], &result["problem"]["status"]), (&json!(0), &json!(413)), "{result}");
    assert_eq!(result["problem"]["type"], "urn:task-scheduler:problem:too-large");
    names(&result["problem"], "pointer", "/0", &item.to_string().len().to_string(), "at most 1048576 bytes");
    node.unchanged();
}

#[test]
fn a_batch_of_10_001_tasks() {
    let node = Untouched::node();
    let url = node.node.url("/v1/tasks/batch");
    let answer = http::post_json(&url, &Value::Array(vec![task(); 10_001]));
    names(&node.refused(&answer, 413, "too-large"), "pointer", "", "10001 tasks", "at most 10000 tasks");
    let lines = format!("{}\n", task()).repeat(10_001);
    let answer = http::request("POST", &url, &[("Content-Type", "application/x-ndjson")], lines.as_bytes());
    names(&node.refused(&answer, 413, "too-large"), "pointer", "", "10001 tasks", "at most 10000 tasks");
}

#[test]
fn a_batch_that_is_none() {
    let node = Untouched::node();
    let url = node.node.url("/v1/tasks/batch");
    for body in ["", "[", "[{},]", "[] []"] {
        let problem = node.refused(&http::request("POST", &url, &[JSON], body.as_bytes()), 400, "invalid-field");
        names(&problem, "pointer", "", "", "a JSON array of tasks");
    }
    let headers = [JSON, ("Idempotency-Key", "k")];
    let problem = node.refused(&http::request("POST", &url, &headers, b"[]"), 400, "invalid-header");
    names(&problem, "header", "Idempotency-Key", "given", "none for a batch");
}

#[test]
fn bad_items_of_a_batch_are_named_by_their_place() {
    let node = Untouched::node();
    let body = format!("{{\n{}\n{}\n[1]\n", with("priority", json!(10)), with("id", json!("42")));
    let answer = http::request("POST", &node.node.url("/v1/tasks/batch"), &[JSON], body.as_bytes());
    assert_eq!(answer.status, 200);
    let results = answer.json()["results"].clone();
    for (index, pointer) in ["/0", "/1/priority", "/2/id", "/3"].into_iter().enumerate() {
        assert_eq!(results[index]["index"], index);
        assert_eq!(results[index]["problem"]["pointer"], pointer, "{results}");
        assert_eq!(results[index]["problem"]["status"], 400);
    }
    node.unchanged();
}

#[test]
fn an_id_that_is_no_uuid() {
    let node = Untouched::node();
    node.refused_field(&with("id", json!("42")), "/id", "42", "a UUID");
    for (method, path) in [
        ("GET", "/v1/tasks/42"),
        ("GET", "/v1/tasks/42/attempts"),
        ("DELETE", "/v1/tasks/42"),
        ("POST", "/v1/tasks/42/resolve"),
    ] {
        let answer = http::request(method, &node.node.url(path), &[JSON], b"");
        names(&node.refused(&answer, 400, "invalid-parameter"), "parameter", "id", "42", "a UUID");
    }
}

#[test]
fn the_same_id_twice() {
    let node = Node::start();
    let url = node.url("/v1/tasks");
    let id = "0199c0de-0000-7000-8000-000000000001";
    let first = http::post_json(&url, &with("id", json!(id)));
    assert_eq!((first.status, first.json()), (201, json!({ "id": id, "state": "scheduled" })));
    let stored = counts(&node);

    // White space and the order of fields are no difference.
    let same = format!(r#"{{ "target": {{"type": "log"}}, "id": "{id}", "delay_ms": 3600000 }}"#);
    let again = http::request("POST", &url, &[JSON], same.as_bytes());
    assert_eq!((again.status, again.body), (201, first.body.clone()), "the same answer");
    assert_eq!(
        again.headers.iter().find(|(name, _)| name == "location"),
        first.headers.iter().find(|(name, _)| name == "location")
    );

    let mut other = with("id", json!(id));
    other["priority"] = json!(1);
    let problem = problem(&http::post_json(&url, &other), 409, "conflict");
    assert_eq!(problem["id"], id);
    assert_eq!(counts(&node), stored, "neither changed anything");
    assert_eq!(http::get(&node.url(&format!("/v1/tasks/{id}"))).json()["priority"], 0);
}

#[test]
fn bad_parameters_of_a_list() {
    let node = Untouched::node();
    for (query, name, value, allowed) in [
        ("cursor=x", "cursor", "x", "next_cursor"),
        ("cursor=", "cursor", "", "next_cursor"),
        ("cursor=AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cursor", "Ag", "next_cursor"),
        ("state=done", "state", "done", "scheduled, dispatched"),
        ("label=x", "label", "x", "name=value"),
        ("from=yesterday", "from", "yesterday", "RFC 3339"),
        ("to=2026-12-24T18:00:00", "to", "2026-12-24T18:00:00", "offset"),
        ("limit=0", "limit", "0", "1 to 1000"),
        ("limit=1001", "limit", "1001", "1 to 1000"),
        ("limit=1&limit=2", "limit", "2", "once"),
        ("page=2", "page", "2", "cursor"),
    ] {
        let answer = http::get(&node.node.url(&format!("/v1/tasks?{query}")));
        names(&node.refused(&answer, 400, "invalid-parameter"), "parameter", name, value, allowed);
    }
}

#[test]
fn json_nested_100_000_deep() {
    let node = Untouched::node();
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let document = |payload: &str| format!(r#"{{"delay_ms": 1, "target": {{"type": "log"}}, "payload": {payload}}}"#);
    node.refused_document(document(&nested(100_000)).as_bytes(), "/payload", "nested", "at most 128 levels");
    node.refused_document(nested(100_000).as_bytes(), "", "", "a JSON object");
    let field = format!(r#"{{"delay_ms": 1, "target": {{"type": "http", "url": {}}}}}"#, nested(100_000));
    node.refused_document(field.as_bytes(), "/target/url", "", "");

    let url = node.node.url("/v1/tasks/batch");
    let answer = http::request("POST", &url, &[JSON], format!("[{}]", document(&nested(100_000))).as_bytes());
    assert_eq!(answer.json()["results"][0]["problem"]["pointer"], "/0/payload");
    let id = "0199c0de-0000-7000-8000-000000000001";
    let resolve = node.node.url(&format!("/v1/tasks/{id}/resolve"));
    node.refused(&http::request("POST", &resolve, &[JSON], nested(100_000).as_bytes()), 400, "invalid-field");
}

#[test]
fn a_bad_resolution() {
    let node = Untouched::node();
    let url = node.node.url("/v1/tasks/0199c0de-0000-7000-8000-000000000001/resolve");
    for (body, pointer, value) in
        [("", "", ""), ("[]", "", "[]"), ("{}", "/state", "null"), (r#"{"state": "done"}"#, "/state", "done")]
    {
        let problem = node.refused(&http::request("POST", &url, &[JSON], body.as_bytes()), 400, "invalid-field");
        names(&problem, "pointer", pointer, value, "scheduled");
    }
}

#[test]
fn a_run_at_in_the_past_is_no_error() {
    let node = Node::start();
    for misfire in [json!("fire"), json!({ "expire_after_ms": 1 })] {
        let document = json!({ "run_at": "1999-01-01T00:00:00Z", "target": { "type": "log" }, "misfire": misfire });
        assert_eq!(http::post_json(&node.url("/v1/tasks"), &document).status, 201);
    }
}
