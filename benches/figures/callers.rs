//! Callers that cost little, for nodes on the same cores: all on one thread, each on a kept connection, each with its next
//! request as soon as it has its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use std::io::ErrorKind::WouldBlock;
use tokio::net::TcpStream;

/// What each of them sends, again and again.
pub struct Request {
    address: SocketAddr,
    bytes: Vec<u8>,
}

impl Request {
    /// A GET.
    pub fn get(address: SocketAddr, path: &str) -> Self {
        Self { address, bytes: format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes() }
    }

    /// A POST of a JSON document.
    pub fn post(address: SocketAddr, path: &str, document: &str) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json");
        Self { address, bytes: format!("{head}\r\ncontent-length: {}\r\n\r\n{document}", document.len()).into_bytes() }
    }
}

/// So many callers for so long; how many answers came, and in what time. An answer that is no success ends it all.
pub fn call(callers: usize, request: &Request, lasting: Duration) -> (usize, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let connected = join_all((0..callers).map(|_| TcpStream::connect(request.address))).await;
        let began = Instant::now();
        let calls = connected.into_iter().map(|stream| one(stream.unwrap(), &request.bytes, began + lasting));
        let answers = join_all(calls).await.iter().sum();
        (answers, began.elapsed())
    })
}

async fn one(stream: TcpStream, request: &[u8], until: Instant) -> usize {
    stream.set_nodelay(true).unwrap();
    let (mut answers, mut room) = (0, [0; 4_096]);
    while Instant::now() < until {
        send(&stream, request).await;
        receive(&stream, &mut room).await;
        answers += 1;
    }
    answers
}

async fn send(stream: &TcpStream, mut rest: &[u8]) {
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(cause) if cause.kind() == WouldBlock => stream.writable().await.unwrap(),
            Err(cause) => panic!("a request was not sent: {cause}"),
        }
    }
}

async fn receive(stream: &TcpStream, room: &mut [u8]) {
    let mut len = 0;
    while !is_whole(&room[..len]) {
        stream.readable().await.unwrap();
        match stream.try_read(&mut room[len..]) {
            Ok(0) => panic!("closed: {}", String::from_utf8_lossy(&room[..len])),
            Ok(read) => len += read,
            Err(cause) if cause.kind() == WouldBlock => {}
            Err(cause) => panic!("no answer came: {cause}"),
        }
    }
    assert!(room.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&room[..len]));
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let lines = std::str::from_utf8(&answer[..head]).unwrap().lines().filter_map(|line| line.split_once(": "));
    let mut length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value);
    answer.len() >= head + 4 + length.next_back().map_or(0, |value| value.parse().unwrap())
}
