//! Requests that are wrong before their document is read: headers, sizes, paths, and what is cut off or too slow.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::{JSON, Untouched, names, problem, task, with};
use crate::harness::{Node, http};

/// Sends these bytes, closes the writing side if asked to, and reads all that comes back.
fn raw(node: &Node, bytes: &[u8], close: bool) -> String {
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    if close {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    // Closed with bytes of the request unread, a connection ends with a reset: after the answer.
    if let Err(cause) = stream.read_to_end(&mut answer) {
        assert_eq!(cause.kind(), ErrorKind::ConnectionReset);
    }
    String::from_utf8(answer).unwrap()
}

fn raw_problem(answer: &str, kind: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{answer}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["type"], format!("urn:task-scheduler:problem:{kind}"), "{answer}");
    problem
}

#[test]
fn no_or_another_content_type() {
    let node = Untouched::node();
    let document = task().to_string();
    for (headers, value) in [
        (vec![], "missing"),
        (vec![("Content-Type", "text/plain")], "text/plain"),
        (vec![("Content-Type", "application/x-www-form-urlencoded")], "application/x-www-form-urlencoded"),
        (vec![("Content-Type", "multipart/form-data; boundary=application/json")], "multipart"),
        (vec![("Content-Type", "application/x-ndjson")], "ndjson"),
    ] {
        let problem = node.refused(&node.post(&headers, document.as_bytes()), 415, "unsupported-media-type");
        names(&problem, "header", "Content-Type", value, "application/json");
    }
    for encoding in ["br", "deflate", "gzip, gzip"] {
        let encoded = node.post(&[JSON, ("Content-Encoding", encoding)], document.as_bytes());
        let problem = node.refused(&encoded, 415, "unsupported-media-type");
        names(&problem, "header", "Content-Encoding", encoding, "gzip, or none");
    }
    let twice = [JSON, ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")];
    node.refused(&node.post(&twice, document.as_bytes()), 415, "unsupported-media-type");
}

#[test]
fn a_foreign_host() {
    let node = Untouched::node();
    let document = task().to_string();
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1"] {
        let refused = node.refused(&node.post(&[JSON, ("Host", host)], document.as_bytes()), 403, "foreign-host");
        names(&refused, "header", "Host", host, "--allowed-host");
        // A page whose name was pointed at this machine must not read either.
        let read = http::request("GET", &node.node.url("/v1/tasks"), &[("Host", host)], b"");
        problem(&read, 403, "foreign-host");
    }
    let nameless = raw(&node.node, b"GET /v1/tasks HTTP/1.0\r\n\r\n", false);
    names(&raw_problem(&nameless, "foreign-host"), "header", "Host", "missing", "one header");
}

#[test]
fn a_foreign_origin() {
    let node = Untouched::node();
    let document = task().to_string();
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "https://127.0.0.1"] {
        let answer = node.post(&[JSON, ("Origin", origin)], document.as_bytes());
        let problem = node.refused(&answer, 403, "foreign-origin");
        names(&problem, "header", "Origin", origin, "the node itself");
    }
    let id = "0199c0de-0000-7000-8000-000000000001";
    let url = node.node.url(&format!("/v1/tasks/{id}"));
    problem(&http::request("DELETE", &url, &[("Origin", "http://evil.example")], b""), 403, "foreign-origin");
}

#[test]
fn a_body_above_1_mib() {
    let node = Untouched::node();
    let document = with("payload", json!("x".repeat(1024 * 1024))).to_string();
    let problem = node.refused(&node.post(&[JSON], document.as_bytes()), 413, "too-large");
    names(&problem, "pointer", "", &document.len().to_string(), "at most 1048576 bytes");
}

#[test]
fn a_body_above_1_mib_in_chunks() {
    let node = Untouched::node();
    let mut request = format!(
        "POST /v1/tasks HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        node.node.address()
    )
    .into_bytes();
    for _ in 0..17 {
        request.extend_from_slice(b"10000\r\n");
        request.extend_from_slice(" ".repeat(0x10000).as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let problem = raw_problem(&raw(&node.node, &request, false), "too-large");
    names(&problem, "pointer", "", "more than 1048576 bytes", "at most 1048576 bytes");
    node.unchanged();
}

#[test]
fn an_unknown_path() {
    let node = Untouched::node();
    for path in ["/v3", "/v2/tasks", "/v1", "/v1/tasks/", "/v1//tasks", "/v1/tasks/a/b/c", "/favicon.ico"] {
        let problem = node.refused(&http::get(&node.node.url(path)), 404, "unknown-path");
        assert!(problem["detail"].as_str().unwrap().contains(path), "{problem}");
    }
    let nobody = "0199c0de-0000-7000-8000-00000000dead";
    for (method, path) in [("GET", ""), ("GET", "/attempts"), ("DELETE", ""), ("POST", "/resolve")]
        .map(|(m, p)| (m, format!("/v1/tasks/{nobody}{p}")))
    {
        let answer = http::request(method, &node.node.url(&path), &[JSON], br#"{"state": "failed"}"#);
        assert_eq!(node.refused(&answer, 404, "no-such-task")["id"], nobody);
    }
}

#[test]
fn a_wrong_method() {
    let node = Untouched::node();
    let id = "0199c0de-0000-7000-8000-000000000001";
    for (method, path, allow) in [
        ("PUT", "/v1/tasks".to_owned(), vec!["GET", "HEAD", "POST"]),
        ("DELETE", "/v1/tasks".to_owned(), vec!["GET", "HEAD", "POST"]),
        ("GET", "/v1/tasks/batch".to_owned(), vec!["POST"]),
        ("PUT", format!("/v1/tasks/{id}"), vec!["DELETE", "GET", "HEAD", "PATCH"]),
        ("PUT", "/v1/tasks:cancel".to_owned(), vec!["POST"]),
        ("GET", format!("/v1/tasks/{id}/run"), vec!["POST"]),
        ("GET", format!("/v1/tasks/{id}/resolve"), vec!["POST"]),
        ("POST", "/v1/stats".to_owned(), vec!["GET", "HEAD"]),
        ("OPTIONS", "/v1/cluster".to_owned(), vec!["GET", "HEAD"]),
        ("DELETE", "/actors".to_owned(), vec!["GET", "HEAD"]),
    ] {
        let answer = http::request(method, &node.node.url(&path), &[JSON], b"{}");
        node.refused(&answer, 405, "method-not-allowed");
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(allowed, allow, "{method} {path}");
        // A path that does not take the method does not ask for a content type either.
        let bare = http::request(method, &node.node.url(&path), &[], b"");
        let problem = node.refused(&bare, 405, "method-not-allowed");
        assert_eq!(bare.header("allow"), answer.header("allow"), "{method} {path}");
        assert!(problem["detail"].as_str().unwrap().starts_with(method), "{problem}");
    }
}

#[test]
fn a_slow_client() {
    let node = Untouched::of(Node::with(&["--client-timeout-ms", "300"]));
    let head =
        format!("POST /v1/tasks HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", node.node.address());
    let slow_body = raw(&node.node, format!("{head}Content-Length: 100\r\n\r\n{{\"delay_ms\"").as_bytes(), false);
    assert!(slow_body.starts_with("HTTP/1.1 408 "), "{slow_body}");
    assert_eq!(raw_problem(&slow_body, "timeout")["status"], 408);
    // A head that never ends is no request yet.
    let slow_head = raw(&node.node, head.as_bytes(), false);
    assert!(slow_head.starts_with("HTTP/1.1 408 "), "{slow_head}");
    let problem = raw_problem(&slow_head, "timeout");
    assert!(problem["detail"].as_str().unwrap().contains("head"), "{problem}");
    node.unchanged();
}

#[test]
fn announced_bodies_that_never_come_keep_nobody_out() {
    let node = Node::start();
    let announced = format!(
        "POST /v1/tasks/batch HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 16777216\r\n\r\n[",
        node.address()
    );
    let idle: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(node.address()).unwrap();
            stream.write_all(announced.as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(http::post_json(&node.url("/v1/tasks"), &task()).status, 201);
    }
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &json!([task()])).status, 201);
    drop(idle);
}

#[test]
fn a_truncated_request() {
    let node = Untouched::node();
    let head =
        format!("POST /v1/tasks HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", node.node.address());
    // Cut off right after a whole document: what was announced counts.
    let document = task().to_string();
    let cut = format!("{head}Content-Length: {}\r\n\r\n{document}", document.len() + 1);
    let cut_body = raw(&node.node, cut.as_bytes(), true);
    assert!(cut_body.starts_with("HTTP/1.1 400 "), "{cut_body}");
    raw_problem(&cut_body, "bad-request");
    let cut_head = raw(&node.node, head.as_bytes(), true);
    assert!(cut_head.is_empty() || cut_head.starts_with("HTTP/1.1 4"), "{cut_head}");
    node.unchanged();
}

#[test]
fn what_is_no_http() {
    let node = Untouched::node();
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00 no line\r\n\r\n".as_slice(),
        b"GET /v1/tasks\r\n\r\n",
        b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let answer = raw(&node.node, bytes, true);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        raw_problem(&answer, "bad-request");
    }
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "x".repeat(200_000));
    let answer = raw(&node.node, large.as_bytes(), false);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    raw_problem(&answer, "head-too-large");
    node.unchanged();
}
