//! A server for tests that answers as the test says, and keeps what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::client::Client;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `GET /v1/tasks?state=failed`.
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Told {
    status: u16,
    headers: String,
    body: String,
    /// Hangs up instead, or in the midst of the body.
    breaks: bool,
}

impl Told {
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: String::new(), body: body.into(), breaks: false }
    }

    pub fn value(status: u16, body: &Value) -> Self {
        Self::json(status, body.to_string())
    }

    pub fn with_etag(mut self, etag: &str) -> Self {
        self.headers = format!("ETag: {etag}\r\n");
        self
    }

    pub fn broken(self) -> Self {
        Self { breaks: true, ..self }
    }

    pub fn nothing() -> Self {
        Self::json(0, "").broken()
    }
}

/// The server; it lives as long as the test's process.
#[derive(Debug, Clone)]
pub struct FakeNode {
    asked: Arc<Mutex<Vec<Asked>>>,
    pub url: String,
}

impl FakeNode {
    /// Answers by `answer`, which gets the request and how many came before it.
    pub fn start(answer: impl Fn(&Asked, usize) -> Told + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let node = Self { asked: Arc::default(), url: format!("http://{}", listener.local_addr().unwrap()) };
        let asked = Arc::clone(&node.asked);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let request = read(&connection);
                let before = asked.lock().unwrap().len();
                asked.lock().unwrap().push(request.clone());
                write(&mut connection, &answer(&request, before));
            }
        });
        node
    }

    pub fn client(&self) -> Client {
        Client::of(&self.url)
    }

    /// All requests so far, without their headers and bodies.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(connection: &TcpStream) -> Asked {
    let mut reader = BufReader::new(connection);
    let mut line = |into: &mut String| reader.read_line(into).unwrap();
    let mut asked = Asked::default();
    let mut first = String::new();
    line(&mut first);
    asked.line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    loop {
        let mut header = String::new();
        line(&mut header);
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    asked.body = String::from_utf8(body).unwrap();
    asked
}

fn write(connection: &mut TcpStream, told: &Told) {
    if told.status == 0 {
        return;
    }
    let length = told.body.len() + usize::from(told.breaks);
    // A 304 has no body, and no length that says otherwise.
    let length = if told.status == 304 { String::new() } else { format!("Content-Length: {length}\r\n") };
    let head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n{}{length}\r\n", told.status, told.headers);
    let _gone = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(told.body.as_bytes()));
}
