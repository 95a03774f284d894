//! Words for requests that never became one. What is no HTTP, or has a head that is too slow or too large, is answered by
//! actix-http itself, beneath every middleware: a bare status and nothing else. The connection is the only place left to
//! say more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::HttpRequest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::problem::{Kind, MEDIA_TYPE, Problem};
use super::request_id::RequestId;

/// The bare answers, each the last of its connection, and what is said instead.
const BARE: [(&[u8], Kind); 3] = [
    (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n", Kind::BadRequest),
    (b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n", Kind::Timeout),
    (b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n", Kind::HeadTooLarge),
];
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Whether the caller at the other end has gone, or sends no more, which nobody can tell apart: what is answered in the end
/// may still be read, but long work is not begun for it.
#[derive(Debug, Clone, Default)]
pub struct Gone(Arc<AtomicBool>);

impl Gone {
    /// It has.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For the caller of a request, as its connection tells.
    pub fn of(request: &HttpRequest) -> Self {
        request.conn_data::<Self>().cloned().unwrap_or_default()
    }
}

/// A connection whose bare answers get words.
#[derive(Debug)]
pub struct Worded<C> {
    connection: C,
    gone: Gone,
    client_timeout: Duration,
    /// What is written instead of what was to be written, as far as it is still to be.
    instead: Option<(Vec<u8>, usize)>,
}

impl<C> Worded<C> {
    /// `client_timeout` is the time a head may take, for its message.
    pub fn new(connection: C, client_timeout: Duration) -> Self {
        Self { connection, gone: Gone::default(), client_timeout, instead: None }
    }

    /// For whoever works for the caller.
    pub fn gone(&self) -> Gone {
        self.gone.clone()
    }
}

/// What to write instead of `answers`, if the last of them is a bare one.
fn worded(answers: &[u8], client_timeout: Duration) -> Option<Vec<u8>> {
    // No body of this API ends like a head.
    if !answers.ends_with(END_OF_HEAD) {
        return None;
    }
    let found = BARE.iter().find_map(|(bare, kind)| {
        let start = answers.windows(bare.len()).rposition(|part| part == *bare)?;
        Some((answers.get(..start)?, *kind))
    });
    found.map(|(before, kind)| [before, &answer(kind, client_timeout)].concat())
}

fn answer(kind: Kind, client_timeout: Duration) -> Vec<u8> {
    let detail = match kind {
        Kind::Timeout => format!("the head did not come in within {} ms; send it faster", client_timeout.as_millis()),
        Kind::HeadTooLarge => "the request's line and headers are too large; send fewer or shorter ones".to_owned(),
        _ => "this is no request of HTTP/1.1: its first line or a header is malformed".to_owned(),
    };
    // Whatever it was, it has no name of its own.
    let id = RequestId::made();
    let problem = Problem::new(kind, detail).with("request_id", id.text());
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 {}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\nx-request-id: {}\r\nconnection: close\r\n\r\n{body}",
        problem.status(),
        body.len(),
        id.text()
    )
    .into_bytes()
}

impl<C: AsyncWrite + Unpin> Worded<C> {
    /// Writes all of it, then says that all of the bare answer was written.
    fn write_instead(&mut self, cx: &mut Context<'_>, bare: usize) -> Poll<io::Result<usize>> {
        while let Some((answer, written)) = &mut self.instead {
            match answer.get(*written..) {
                None | Some([]) => self.instead = None,
                Some(rest) => match ready!(Pin::new(&mut self.connection).poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    n => *written += n,
                },
            }
        }
        Poll::Ready(Ok(bare))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Worded<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = worded(bytes, self.client_timeout).map(|answer| (answer, 0));
        }
        if self.instead.is_some() {
            return self.write_instead(cx, bytes.len());
        }
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Worded<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = (buffer.filled().len(), buffer.remaining());
        let read = ready!(Pin::new(&mut self.connection).poll_read(cx, buffer));
        if read.is_err() || before.1 > 0 && buffer.filled().len() == before.0 {
            self.gone.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    fn bare(status: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\ndate: now\r\n\r\n")
    }

    fn words(answers: &str) -> Option<String> {
        worded(answers.as_bytes(), WAIT).map(|answer| String::from_utf8(answer).unwrap())
    }

    #[test]
    fn each_bare_answer_gets_words_and_what_stands_before_it_stays() {
        let first = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        for (status, word) in [
            ("400 Bad Request", "bad-request"),
            ("408 Request Timeout", "timeout"),
            ("431 Request Header Fields Too Large", "head-too-large"),
        ] {
            let answer = words(&(first.to_owned() + &bare(status))).unwrap();
            let rest = answer.strip_prefix(first).unwrap();
            assert!(rest.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{rest}");
            let (head, body) = rest.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            assert!(body.contains(&format!("urn:task-scheduler:problem:{word}")), "{body}");
        }
    }

    #[test]
    fn any_other_answer_is_left_alone() {
        let quoted = format!("HTTP/1.1 200 OK\r\n\r\n{} and more", bare("400 Bad Request"));
        for answer in
            ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}", &quoted]
        {
            assert_eq!(words(answer), None, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_caller_that_closes_its_end_has_gone() {
        let (near, mut far) = tokio::io::duplex(7);
        let mut connection = Worded::new(near, WAIT);
        let gone = connection.gone();
        far.write_all(b"GET").await.unwrap();
        connection.read_exact(&mut [0; 3]).await.unwrap();
        assert!(!gone.is_gone());
        drop(far);
        assert_eq!(connection.read(&mut [0; 3]).await.unwrap(), 0);
        assert!(gone.is_gone());
    }

    #[tokio::test]
    async fn a_slow_reader_gets_all_of_it() {
        let (near, mut far) = tokio::io::duplex(7);
        let mut connection = Worded::new(near, WAIT);
        let writing = tokio::spawn(async move { connection.write_all(bare("408 Request Timeout").as_bytes()).await });
        let mut got = String::new();
        far.read_to_string(&mut got).await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(got.starts_with("HTTP/1.1 408 ") && got.ends_with('}'), "{got}");
    }
}
