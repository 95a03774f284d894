//! Batches that are sent and answered line by line, over bare sockets: who sends when is the test.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PACKED, later, packed};
use crate::harness::{Node, http};

const LINES: [(&str, &str); 2] = [("Content-Type", "application/x-ndjson"), ("Accept", "application/x-ndjson")];

const PATIENCE: Duration = Duration::from_secs(20);
/// So long a caller may stay away from [`hasty`].
const TIMEOUT: Duration = Duration::from_millis(300);

fn hasty() -> Node {
    Node::with(&["--client-timeout-ms", "300"])
}

/// An upload in chunks of HTTP, and its answer as far as it has come.
struct Upload {
    stream: BufReader<TcpStream>,
}

impl Upload {
    fn begin(node: &Node) -> Self {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/tasks/batch HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\n\
             Accept: application/x-ndjson\r\nX-Request-Id: up-1\r\nTransfer-Encoding: chunked\r\n\r\n",
            node.address()
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    fn send(&mut self, text: &str) {
        write!(self.stream.get_mut(), "{:x}\r\n{text}\r\n", text.len()).unwrap();
    }

    /// Sends this again and again, ten times while a caller may stay away, until something is answered.
    fn trickle(&mut self, text: &str) {
        let began = Instant::now();
        while self.idle(TIMEOUT / 10) {
            assert!(began.elapsed() < TIMEOUT * 20, "{text:?} keeps it open");
            self.send(text);
        }
    }

    /// Nothing is answered for so long.
    fn idle(&mut self, wait: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(wait)).unwrap();
        let read = self.stream.fill_buf().map(<[u8]>::len);
        self.stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        match read {
            Ok(_) => false,
            Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => true,
            Err(cause) => panic!("{cause}"),
        }
    }

    fn finish(&mut self) {
        self.stream.get_mut().write_all(b"0\r\n\r\n").unwrap();
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            let line = self.read_line();
            if line.is_empty() {
                return head.to_ascii_lowercase();
            }
            head += &(line + "\n");
        }
    }

    /// The next chunk of the answer; empty at its end.
    fn chunk(&mut self) -> Vec<Value> {
        let length = usize::from_str_radix(&self.read_line(), 16).unwrap();
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.trim().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn rest(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return all;
            }
            all.extend(chunk);
        }
    }
}

fn stored(node: &Node) -> u64 {
    http::get(&node.url("/v1/stats")).json()["tasks"]["scheduled"].as_u64().unwrap()
}

fn line() -> String {
    later().to_string() + "\n"
}

#[test]
fn each_line_is_answered_before_the_next_is_sent() {
    let node = Node::start();
    let mut upload = Upload::begin(&node);
    for index in 0..20 {
        // Also where a line comes in two parts.
        let text = line();
        let (first, second) = text.split_at(10);
        upload.send(first);
        upload.send(second);
        if index == 0 {
            let head = upload.head();
            assert!(head.starts_with("http/1.1 200 ok\n"), "{head}");
            assert!(head.contains("content-type: application/x-ndjson\n") && head.contains("x-request-id: up-1\n"));
        }
        let answer = upload.chunk();
        assert_eq!((answer.len(), &answer[0]["index"], &answer[0]["status"]), (1, &json!(index), &json!(201)));
        let id = answer[0]["id"].as_str().unwrap();
        assert_eq!(http::get(&node.url(&format!("/v1/tasks/{id}"))).status, 200, "committed when it is answered");
    }
    upload.send(" \n\n{\"priority\": 10}\n");
    let refused = upload.chunk();
    assert_eq!((&refused[0]["index"], &refused[0]["problem"]["status"]), (&json!(20), &json!(400)), "{refused:?}");
    assert_eq!(refused[0]["problem"]["pointer"], "/20/target");
    assert_eq!(refused[0]["problem"]["request_id"], "up-1");
    // The last line needs no end.
    upload.send(line().trim_end());
    upload.finish();
    let rest = upload.rest();
    assert_eq!((rest.len(), &rest[0]["index"], &rest[0]["status"]), (1, &json!(21), &json!(201)));
    assert_eq!(stored(&node), 21);
}

#[test]
fn what_came_in_whole_before_the_break_is_taken() {
    let node = Node::start();
    let mut upload = Upload::begin(&node);
    upload.send(&(line() + &line() + &line()[..20]));
    upload.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    upload.head();
    let rest = upload.rest();
    assert_eq!(rest.len(), 3, "{rest:?}");
    assert_eq!([&rest[0]["status"], &rest[1]["status"]], [&json!(201); 2]);
    let problem = &rest[2]["problem"];
    assert_eq!(
        (&rest[2]["index"], &problem["status"], &problem["request_id"]),
        (&json!(2), &json!(400), &json!("up-1"))
    );
    assert_eq!(stored(&node), 2);
    // Whoever is gone altogether has sent them all the same.
    let mut upload = Upload::begin(&node);
    upload.send(&line().repeat(3));
    upload.head();
    upload.chunk();
    drop(upload);
    assert_eq!(stored(&node), 5);
}

#[test]
fn a_caller_that_stops_sending_is_told_so() {
    let node = hasty();
    let mut upload = Upload::begin(&node);
    upload.send(&line());
    upload.head();
    let rest = upload.rest();
    assert_eq!([&rest[0]["status"], &rest[1]["problem"]["status"]], [&json!(201), &json!(408)], "{rest:?}");
    assert_eq!(stored(&node), 1);
}

#[test]
fn only_a_whole_task_gives_a_caller_more_time() {
    let node = hasty();
    // A line without an end, and lines with nothing in them.
    for text in ["x", "\n", " \r\n"] {
        let mut upload = Upload::begin(&node);
        upload.send(&line());
        upload.head();
        assert_eq!(upload.chunk()[0]["status"], 201);
        upload.trickle(text);
        let rest = upload.rest();
        assert_eq!((&rest[0]["index"], &rest[0]["problem"]["status"]), (&json!(1), &json!(408)), "{text:?}: {rest:?}");
    }
    // Tasks do, for longer than one of them may take.
    let mut upload = Upload::begin(&node);
    upload.send(&line());
    upload.head();
    let began = Instant::now();
    while began.elapsed() < TIMEOUT * 3 {
        assert_eq!(upload.chunk()[0]["status"], 201);
        upload.idle(TIMEOUT / 3);
        upload.send(&line());
    }
    upload.finish();
    assert!(upload.rest().iter().all(|answer| answer["status"] == 201));
}

#[test]
fn a_line_that_is_longer_than_a_task_is_refused_before_its_end() {
    let node = Node::start();
    let mut upload = Upload::begin(&node);
    upload.send(&line());
    upload.send(&"x".repeat(1_048_577));
    upload.head();
    let rest = upload.rest();
    assert_eq!((rest.len(), &rest[0]["status"]), (2, &json!(201)), "{rest:?}");
    let problem = &rest[1]["problem"];
    assert_eq!((&rest[1]["index"], &problem["status"]), (&json!(1), &json!(413)), "{rest:?}");
    assert_eq!((&problem["pointer"], &problem["allowed"]), (&json!("/1"), &json!("at most 1048576 bytes")));
    // The longest that is allowed is read to its end.
    let mut upload = Upload::begin(&node);
    upload.send(&(" ".repeat(1_048_576 - line().trim_end().len()) + line().trim_end()));
    upload.send("\r");
    upload.send("\n");
    upload.head();
    assert_eq!(upload.chunk()[0]["status"], 201);
}

#[test]
fn ten_thousand_are_taken_and_no_more() {
    let node = Node::start();
    // All of it is sent before anything is read.
    let body = line().repeat(10_001);
    let answer = http::request("POST", &node.url("/v1/tasks/batch"), &LINES, body.as_bytes());
    let lines: Vec<Value> = answer
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 10_001);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
    }
    assert!(lines[..10_000].iter().all(|line| line["status"] == 201));
    assert_eq!((&lines[10_000]["problem"]["status"], stored(&node)), (&json!(413), 10_000));
}

#[test]
fn lines_may_come_in_gzip_and_a_batch_of_none_is_a_problem() {
    let node = Node::start();
    let url = node.url("/v1/tasks/batch");
    let answer = http::request("POST", &url, &[LINES[0], LINES[1], PACKED], &packed(line().repeat(1_500).as_bytes()));
    assert_eq!(answer.body.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b"201}")).count(), 1_500);
    assert_eq!(stored(&node), 1_500);
    let answer = http::request("POST", &url, &LINES, b"\n");
    assert_eq!((answer.status, answer.json()["problem"]["status"].as_u64()), (200, Some(400)), "{:?}", answer.json());
    // Without the wish for lines the answer is one document, as ever.
    let answer = http::request("POST", &url, &LINES[..1], line().as_bytes());
    assert_eq!((answer.status, answer.json()["results"][0]["status"].as_u64()), (201, Some(201)));
    let key = [LINES[0], LINES[1], ("Idempotency-Key", "k")];
    assert_eq!(http::request("POST", &url, &key, line().as_bytes()).status, 400);
}
