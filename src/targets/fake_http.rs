//! For tests: tasks to call with, and two kinds of other side: a server on a real socket that may misbehave, and wires
//! without a socket, whose end comes at exactly the moment that the test wants.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Error as IoError, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

use crate::domain::payload::Payload;
use crate::domain::retry::RetryPolicy;
use crate::domain::{Claim, ClaimedTask, Delivery, Epoch, HttpTarget, Misfire, Spec, Target, TaskId, Timestamp};

/// A claimed task that POSTs 7 bytes of JSON to this URL; its third attempt, in epoch 7.
pub fn task(url: &str) -> ClaimedTask {
    let target = HttpTarget { url: url.to_owned(), method: "POST".to_owned(), headers: [].into() };
    let at = Timestamp::parse("2026-12-24T17:00:00.000001Z").unwrap();
    ClaimedTask {
        claim: Claim { id: TaskId(uuid::Uuid::from_u128(42)), claim_no: 5 },
        epoch: Epoch(7),
        run_at: at,
        due_at: at,
        attempt: 2,
        spec: Spec {
            target: Target::Http(target),
            payload: Payload::Json(r#"{"a":1}"#.to_owned()),
            delivery: Delivery::default(),
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(10),
            misfire: Misfire::default(),
            priority: 0,
            labels: [].into(),
        },
    }
}

/// The HTTP target of a task that has one.
pub fn http_of(task: &ClaimedTask) -> &HttpTarget {
    let Target::Http(target) = &task.spec.target else { panic!("not http") };
    target
}

/// A server that counts what reaches it.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Reads whole requests and lets `answer` have the stream after each, with the request's number from 1 on; as long as
    /// it says true the connection is kept.
    pub fn start(answer: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), accepted: Arc::default(), requests: Arc::default() };
        let (accepted, requests, answer) = (server.accepted.clone(), server.requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (requests, answer) = (requests.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = request(&mut reader) {
                        let number = {
                            let mut requests = requests.lock().unwrap();
                            requests.push(request);
                            requests.len()
                        };
                        if !answer(number, &mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    /// Answers every request with these bytes; keeps the connection or closes it.
    pub fn answering(answer: &'static str, keep: bool) -> Self {
        use std::io::Write as _;
        Self::start(move |_, stream| stream.write_all(answer.as_bytes()).is_ok() && keep)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/path?query", self.address)
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// One whole request as text; `None` when the connection ends before it.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut text, mut length) = (String::new(), 0_usize);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    text.push_str(&String::from_utf8(body).unwrap());
    Some(text)
}

/// One end of a connection that is only memory; clones are the same connection.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<WireState>>);

#[derive(Default)]
struct WireState {
    written: Vec<u8>,
    incoming: VecDeque<u8>,
    ended: bool,
    reader: Option<Waker>,
}

impl Wire {
    /// The other side sends these bytes.
    pub fn send(&self, bytes: &[u8]) {
        self.0.lock().unwrap().incoming.extend(bytes);
        self.wake();
    }

    /// The other side closes.
    pub fn end(&self) {
        self.0.lock().unwrap().ended = true;
        self.wake();
    }

    /// What was written to the other side.
    pub fn written(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
    }

    fn wake(&self) {
        if let Some(reader) = self.0.lock().unwrap().reader.take() {
            reader.wake();
        }
    }
}

impl Read for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<Result<(), IoError>> {
        let mut state = self.0.lock().unwrap();
        if state.incoming.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let take = buf.remaining().min(state.incoming.len());
        let bytes: Vec<u8> = state.incoming.drain(..take).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, IoError>> {
        self.0.lock().unwrap().written.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        Poll::Ready(Ok(()))
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// A connector that hands out these wires, one after the other.
#[derive(Clone)]
pub struct Wires(Arc<Mutex<VecDeque<Wire>>>);

impl Wires {
    /// These.
    pub fn new(wires: &[Wire]) -> Self {
        Self(Arc::new(Mutex::new(wires.iter().cloned().collect())))
    }

    /// Those not handed out.
    pub fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl tower_service::Service<Uri> for Wires {
    type Response = Wire;
    type Error = IoError;
    type Future = std::future::Ready<Result<Wire, IoError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), IoError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.lock().unwrap().pop_front().ok_or_else(|| IoError::other("no wire left")))
    }
}
