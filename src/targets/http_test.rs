//! [`HttpCaller`] against other sides that misbehave.

use std::future::poll_fn;
use std::io::Write as _;
use std::net::TcpListener;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Target as _;
use super::fake_http::{Server, Wire, Wires, http_of, task};
use super::http::HttpCaller;
use crate::config::HttpConfig;
use crate::domain::{ClaimedTask, HttpTarget, Outcome, Target};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn caller() -> HttpCaller {
    HttpCaller::new(&HttpConfig::default()).unwrap()
}

async fn called(url: &str) -> Outcome {
    caller().call(&task(url)).await
}

/// Calls a server that always answers this and then closes.
async fn answered(answer: &'static str) -> Outcome {
    let server = Server::answering(answer, false);
    let outcome = called(&server.url()).await;
    assert_eq!(server.requests().len(), 1);
    outcome
}

#[track_caller]
fn assert_never_sent(outcome: &Outcome, retry: bool, says: &str) {
    let Outcome::Failed { retryable, retry_after: None, error } = outcome else { panic!("{outcome:?}") };
    assert_eq!(*retryable, retry, "{error}");
    assert!(error.starts_with("never sent: ") && error.contains(says), "{error}");
}

#[track_caller]
fn assert_ambiguous(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Ambiguous { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_connected_was_never_sent() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_never_sent(&called(&format!("http://{refused}/")).await, true, "Connection refused");
    assert_never_sent(&called("http://nonexistent.invalid/").await, true, "dns error");
}

#[tokio::test]
async fn a_failed_or_endless_tls_handshake_was_never_sent() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    std::thread::spawn(move || plain.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_never_sent(&called(&format!("https://{address}/")).await, true, "no connection: ");

    // The system accepts, nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let config = HttpConfig { connect_timeout: Duration::from_millis(50), ..HttpConfig::default() };
    let outcome = HttpCaller::new(&config).unwrap().call(&task(&url)).await;
    assert_never_sent(&outcome, true, "no connection within 50 ms");

    let mut hurried = task(&url);
    hurried.spec.timeout = Duration::from_millis(50);
    assert_never_sent(&caller().call(&hurried).await, true, "no connection within the task's 50 ms");
}

#[tokio::test]
async fn success_is_2xx_by_the_status_line() {
    assert_eq!(answered(OK).await, Outcome::Succeeded);
    assert_eq!(answered("HTTP/1.1 204 No Content\r\n\r\n").await, Outcome::Succeeded);
    assert_eq!(answered("HTTP/1.0 200 OK\r\n\r\nuntil it closes").await, Outcome::Succeeded);
    assert_eq!(answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n\r\n").await, Outcome::Succeeded);
    assert_eq!(answered("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut").await, Outcome::Succeeded);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk size\r\n";
    assert_eq!(answered(chunked).await, Outcome::Succeeded);
}

#[tokio::test]
async fn the_status_counts_whatever_headers_stand_beneath_it() {
    for odd in ["A b: c", "A: \u{1}", ": nameless", "no colon"] {
        let server = Server::start(move |_, stream| {
            write!(stream, "HTTP/1.1 200 OK\r\n{odd}\r\nContent-Length: 0\r\n\r\n").unwrap();
            false
        });
        assert_eq!(called(&server.url()).await, Outcome::Succeeded, "{odd:?}");
    }
    let many = Server::start(|_, stream| {
        let headers = (0..200).map(|n| format!("H{n}: x\r\n")).collect::<Vec<_>>().concat();
        write!(stream, "HTTP/1.1 500 Oh\r\n{headers}Content-Length: 0\r\n\r\n").unwrap();
        false
    });
    assert_eq!(called(&many.url()).await.error(), Some("answered 500 Internal Server Error"));
}

#[tokio::test]
async fn where_nothing_is_reused_each_request_has_a_connection_of_its_own() {
    let server = Server::answering(OK, true);
    let config = HttpConfig { reuse_within: Duration::ZERO, ..HttpConfig::default() };
    let caller = HttpCaller::new(&config).unwrap();
    let task = task(&server.url());
    let outcomes = futures_util::future::join_all((0..20).map(|_| caller.call(&task))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Succeeded), "{outcomes:?}");
    assert_eq!((server.accepted(), server.requests().len()), (20, 20));
}

#[tokio::test]
async fn a_slow_or_endless_body_changes_nothing() {
    let endless = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        while stream.write_all(&[b'x'; 8192]).is_ok() {}
        false
    });
    assert_eq!(called(&endless.url()).await, Outcome::Succeeded);

    let slow = Server::answering("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nslow", true);
    let outcome = called(&slow.url()).await;
    assert_eq!(outcome.error(), Some("answered 503 Service Unavailable: slow"));

    let mut hurried = task(&slow.url());
    hurried.spec.timeout = Duration::from_millis(100);
    let outcome = caller().call(&hurried).await;
    assert_eq!(outcome.error(), Some("answered 503 Service Unavailable: slow"), "the status was there in time");
}

#[tokio::test]
async fn any_other_answer_is_a_definite_failure() {
    let failed = |retryable, seconds: Option<u64>, error: &str| Outcome::Failed {
        retryable,
        retry_after: seconds.map(Duration::from_secs),
        error: error.to_owned(),
    };
    let moved = answered("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(moved, failed(false, None, "answered 302 Found (redirects are not followed)"));
    let missing = answered("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno\nt").await;
    assert_eq!(missing, failed(false, None, "answered 404 Not Found: no t"));
    let busy = answered("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(busy, failed(true, Some(7), "answered 429 Too Many Requests"));
    let down = answered("HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(down, failed(true, None, "answered 503 Service Unavailable"));
}

#[tokio::test]
async fn without_a_status_line_nobody_knows() {
    assert_ambiguous(&answered("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await);
    assert_ambiguous(&answered("").await);
    assert_ambiguous(&answered("HTTP/1.1 20").await);
    assert_ambiguous(&answered("HTTP/1.1 100 Continue\r\n\r\n").await);
    assert_ambiguous(&answered("220 mail.example ESMTP\r\n").await);
}

#[tokio::test]
async fn a_time_out_after_sending_is_ambiguous() {
    let server = Server::answering("", true);
    let mut task = task(&server.url());
    task.spec.timeout = Duration::from_millis(100);
    let outcome = caller().call(&task).await;
    assert_eq!(outcome, Outcome::Ambiguous { error: "sent, but not answered: no answer within 100 ms".to_owned() });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_request_is_the_contracts() {
    let server = Server::answering(OK, true);
    let task = task(&server.url());
    let caller = caller();
    assert_eq!(caller.call(&task).await, Outcome::Succeeded);
    let target = Target::Http(HttpTarget { method: "GET".to_owned(), ..http_of(&task).clone() });
    let mut get = ClaimedTask { spec: crate::domain::Spec { target, ..task.spec.clone() }, ..task.clone() };
    assert_eq!(caller.call(&get).await, Outcome::Succeeded);
    get.spec.payload = crate::domain::payload::Payload::Empty;
    assert_eq!(caller.call(&get).await, Outcome::Succeeded);

    let requests = server.requests();
    let lines: Vec<&str> = requests[0].lines().collect();
    assert_eq!(lines[0], "POST /path?query HTTP/1.1");
    let host = format!("host: {}", server.address);
    for line in [&host, "x-task-attempt: 3", "content-length: 7", "content-type: application/json", r#"{"a":1}"#] {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
    assert!(requests[1].starts_with("GET ") && requests[1].ends_with("\r\n\r\n{\"a\":1}"), "{}", requests[1]);
    assert!(requests[2].ends_with("\r\n\r\n") && !requests[2].contains("content-"), "{}", requests[2]);
}

#[tokio::test]
async fn the_guard_lets_only_allowed_addresses_be_called() {
    let server = Server::answering(OK, true);
    let port = server.address.port();
    let guarded = |allow: &[&str]| {
        let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
        HttpCaller::new(&HttpConfig { guard: true, allow, ..HttpConfig::default() }).unwrap()
    };
    let strict = guarded(&[]);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001", "017700000001", "2130706433", "[::1]"] {
        let outcome = strict.call(&task(&format!("http://{host}:{port}/"))).await;
        assert_never_sent(&outcome, false, "--http-allow");
    }
    assert_eq!(server.accepted(), 0);
    let open = guarded(&["127.0.0.0/8", "::1/128"]);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001"] {
        assert_eq!(open.call(&task(&format!("http://{host}:{port}/"))).await, Outcome::Succeeded, "{host}");
    }
}

/// Lets the connection's task and the pool do what they have to do after an answer.
async fn settled() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again_but_not_after_its_time() {
    let server = Server::answering(OK, true);
    let (caller, task) = (caller(), task(&server.url()));
    let idle_for = async |ms| {
        settled().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(ms)).await;
        tokio::time::resume();
    };
    for _ in 0..5 {
        assert_eq!(caller.call(&task).await, Outcome::Succeeded);
        idle_for(800).await;
    }
    assert_eq!(server.accepted(), 1);
    idle_for(101).await;
    assert_eq!(caller.call(&task).await, Outcome::Succeeded);
    assert_eq!((server.accepted(), server.requests().len()), (2, 6));
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_a_request_is_ambiguous_and_never_sent_again() {
    let server = Server::start(|number, stream| number == 1 && stream.write_all(OK.as_bytes()).is_ok());
    let (caller, task) = (caller(), task(&server.url()));
    assert_eq!(caller.call(&task).await, Outcome::Succeeded);
    settled().await;
    assert_ambiguous(&caller.call(&task).await);
    assert_eq!((server.accepted(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn no_request_is_sent_twice_to_a_server_that_closes_after_each_answer() {
    let server = Server::answering(OK, false);
    let caller = caller();
    for number in 1..=300 {
        let mut task = task(&server.url());
        task.claim.id = crate::domain::TaskId(uuid::Uuid::from_u128(number));
        let outcome = caller.call(&task).await;
        assert!(matches!(outcome, Outcome::Succeeded | Outcome::Ambiguous { .. }), "{outcome:?}");
    }
    let mut seen = server.requests();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "a request came twice");
}

/// Polls the call once.
async fn is_pending(call: &mut BoxFuture<'_, Outcome>) -> bool {
    poll_fn(|cx| Poll::Ready(call.poll_unpin(cx).is_pending())).await
}

/// A caller that has called the first wire and kept it, with the others left; and what was written.
async fn kept(first: &Wire, others: &[Wire]) -> (HttpCaller<Wires>, Wires, ClaimedTask, String) {
    let wires = Wires::new(&[std::slice::from_ref(first), others].concat());
    let caller = HttpCaller::over(wires.clone(), &HttpConfig::default());
    let task = task("http://h.example/");
    succeeds_over(first, caller.call(&task)).await;
    let request = first.written();
    (caller, wires, task, request)
}

/// Lets the call go on until its request is written to this wire, then answers it.
async fn succeeds_over(wire: &Wire, mut call: BoxFuture<'_, Outcome>) {
    let before = wire.written().len();
    while wire.written().len() == before {
        assert!(is_pending(&mut call).await);
        settled().await;
    }
    wire.send(OK.as_bytes());
    assert_eq!(call.await, Outcome::Succeeded);
    settled().await;
}

#[tokio::test]
async fn a_request_goes_to_a_new_connection_if_the_kept_one_closed_before_it_was_begun() {
    let [first, second] = [Wire::default(), Wire::default()];
    let (caller, wires, task, request) = kept(&first, std::slice::from_ref(&second)).await;

    let mut call = caller.call(&task);
    assert!(is_pending(&mut call).await);
    assert_eq!(wires.left(), 1, "the kept connection is taken");
    first.end();
    succeeds_over(&second, call).await;
    assert_eq!(first.written(), request, "not one byte more on the closed connection");
    assert_eq!(second.written(), request);
}

#[tokio::test]
async fn a_request_that_was_begun_never_goes_again() {
    let [first, second] = [Wire::default(), Wire::default()];
    let (caller, wires, task, request) = kept(&first, std::slice::from_ref(&second)).await;

    let mut call = caller.call(&task);
    assert!(is_pending(&mut call).await);
    settled().await;
    assert_eq!(first.written(), request.repeat(2));
    first.end();
    assert_ambiguous(&call.await);
    assert_eq!(wires.left(), 1);
}

#[tokio::test]
async fn connections_that_close_at_once_are_tried_a_few_times() {
    let [closed, open] = [Wire::default(), Wire::default()];
    closed.end();
    let caller = HttpCaller::over(Wires::new(&[closed.clone(), open.clone()]), &HttpConfig::default());
    succeeds_over(&open, caller.call(&task("http://h.example/"))).await;

    let wires = Wires::new(&vec![closed.clone(); 9]);
    let caller = HttpCaller::over(wires.clone(), &HttpConfig::default());
    assert_never_sent(&caller.call(&task("http://h.example/")).await, true, "closed");
    assert_eq!(wires.left(), 9 - 4);
    assert_eq!(closed.written(), "");
}
