//! Open pages that cost little, for nodes on the same cores: each reads its stream of events as it comes, and keeps none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Events a second that each must hear at least: there is one a second, and the time of a look between two.
const RATE: f64 = 0.7;
/// Longest time without one.
const SILENCE: Duration = Duration::from_secs(3);
/// Until the first is due.
const BEGIN: Duration = Duration::from_secs(2);

/// See the module.
pub struct Listeners {
    open: Vec<(TcpStream, JoinHandle<Heard>)>,
    since: Instant,
}

/// What one of them heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Events that said that the page is live.
    pub events: usize,
    /// The longest time without one.
    pub silence: Duration,
}

impl Listeners {
    /// So many on the stream of a page.
    pub fn open(address: SocketAddr, page: &str, listeners: usize) -> Self {
        let request = format!("GET /live/{page} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
        let one = |_: usize| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let reading = stream.try_clone().unwrap();
            (stream, std::thread::spawn(move || listen(reading)))
        };
        Self { since: Instant::now(), open: (0..listeners).map(one).collect() }
    }

    /// Closes them. Each must have heard an event about every second: the fewest that one heard, and the longest silence.
    pub fn close(self) -> Heard {
        let lasted = self.since.elapsed().saturating_sub(BEGIN);
        let ended = |(stream, listener): (TcpStream, JoinHandle<Heard>)| {
            // It may have been closed from the other end; then too little was heard.
            let _closed = stream.shutdown(Shutdown::Both);
            listener.join().unwrap()
        };
        let all: Vec<Heard> = self.open.into_iter().map(ended).collect();
        let worst = Heard {
            events: all.iter().map(|heard| heard.events).min().unwrap(),
            silence: all.iter().map(|heard| heard.silence).max().unwrap(),
        };
        assert!(worst.events as f64 >= RATE * lasted.as_secs_f64(), "{worst:?} in {lasted:?}");
        assert!(worst.silence <= SILENCE, "{worst:?} in {lasted:?}");
        worst
    }
}

/// Until it is closed.
fn listen(stream: TcpStream) -> Heard {
    let (mut events, mut silence, mut last) = (0, Duration::ZERO, Instant::now());
    // Each event is one line in one chunk.
    let (mut reader, mut line) = (BufReader::with_capacity(65_536, stream), Vec::new());
    reader.read_until(b'\n', &mut line).unwrap();
    assert!(line.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&line));
    while is_read(&mut reader, &mut line) {
        if line.starts_with(b"data: ") && is_live(&line) {
            events += 1;
            silence = silence.max(last.elapsed());
            last = Instant::now();
        }
    }
    Heard { events, silence: silence.max(last.elapsed()) }
}

/// The next line; none when the connection has ended.
fn is_read(reader: &mut BufReader<TcpStream>, line: &mut Vec<u8>) -> bool {
    line.clear();
    reader.read_until(b'\n', line).is_ok_and(|read| read > 0)
}

/// In the text of a section the quotes would have backslashes.
fn is_live(line: &[u8]) -> bool {
    let word = br#""live":true"#;
    line.windows(word.len()).any(|part| part == word)
}
