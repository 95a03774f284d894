//! An HTTP server of the test: it keeps every request the instant it was read, and answers as it is told.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};

/// One request as it was received.
#[derive(Debug, Clone)]
pub struct Call {
    pub path: String,
    pub method: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: SystemTime,
}

impl Call {
    /// How long after its task's instant it came, in milliseconds; negative if it was early.
    pub fn lateness_ms(&self) -> f64 {
        let due = DateTime::parse_from_rfc3339(self.header("x-task-run-at").unwrap()).unwrap();
        let late = DateTime::<Utc>::from(self.at) - due.with_timezone(&Utc);
        late.num_nanoseconds().unwrap() as f64 / 1e6
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// How a request is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status; 0 closes the connection without an answer.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
    /// How long the answer takes.
    pub after: Duration,
}

impl Answer {
    /// At once.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

type Script = dyn Fn(&Call, usize) -> Answer + Send + Sync;

struct Inner {
    calls: Mutex<Vec<Call>>,
    /// Calls by task.
    seen: Mutex<HashMap<String, usize>>,
    arrived: Condvar,
    open: Mutex<(usize, usize)>,
    script: Box<Script>,
}

/// See the module. Its threads end with the process.
#[derive(Clone)]
pub struct Receiver {
    inner: Arc<Inner>,
    address: SocketAddr,
}

impl Receiver {
    /// Answers 204 to everything.
    pub fn start() -> Self {
        Self::answering(|_, _| Answer::status(204))
    }

    /// Answers as `script` says, which is given the call and how many calls of the same task came before it.
    pub fn answering(script: impl Fn(&Call, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            calls: Mutex::default(),
            seen: Mutex::default(),
            arrived: Condvar::new(),
            open: Mutex::default(),
            script: Box::new(script),
        });
        let serving = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = Arc::clone(&serving);
                std::thread::spawn(move || serve(&inner, stream));
            }
        });
        Self { inner, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What has come so far.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.calls.lock().unwrap().clone()
    }

    /// How many calls have come so far.
    pub fn count(&self) -> usize {
        self.inner.calls.lock().unwrap().len()
    }

    /// Most calls that were being answered at once.
    pub fn at_once(&self) -> usize {
        self.inner.open.lock().unwrap().1
    }

    /// Waits for `n` calls; panics with what has come if they don't come in time.
    pub fn wait_for(&self, n: usize, within: Duration) -> Vec<Call> {
        let until = Instant::now() + within;
        let mut calls = self.inner.calls.lock().unwrap();
        while calls.len() < n {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {n} calls came within {within:?}", calls.len());
            calls = self.inner.arrived.wait_timeout(calls, left).unwrap().0;
        }
        calls.clone()
    }
}

fn serve(inner: &Inner, stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    stream.set_nodelay(true).unwrap();
    while let Some(call) = read(&mut reader) {
        let before = call.header("x-task-id").map_or(0, |task| {
            let mut seen = inner.seen.lock().unwrap();
            let count = seen.entry(task.to_owned()).or_default();
            *count += 1;
            *count - 1
        });
        inner.calls.lock().unwrap().push(call.clone());
        inner.arrived.notify_all();
        opened(inner, true);
        let answer = (inner.script)(&call, before);
        if !answer.after.is_zero() {
            std::thread::sleep(answer.after);
        }
        opened(inner, false);
        if answer.status == 0 {
            return;
        }
        let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
        for line in &answer.headers {
            head.push_str(line);
            head.push_str("\r\n");
        }
        if answer.status != 204 {
            head.push_str("content-length: ");
            head.push_str(&answer.body.len().to_string());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        if stream.write_all(&[head.as_bytes(), &answer.body].concat()).is_err() {
            return;
        }
    }
}

fn opened(inner: &Inner, more: bool) {
    let mut open = inner.open.lock().unwrap();
    if more {
        open.0 += 1;
        open.1 = open.1.max(open.0);
    } else {
        open.0 -= 1;
    }
}

/// One request; `None` when the connection ends.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { path, method, headers, body, at: SystemTime::now() })
}
