//! The REST API from the other side: one call and its answer.

use std::time::Duration;

use clap::Args;
use ureq::http::{Method, Request, Response};
use ureq::{AsSendBody, Body};
use url::Url;

use super::answer::Answer;
use super::connection::{CALL_TIMEOUT, agent, away};
use super::exit::{Failure, quoted};
use super::line_stream::LineStream;

/// Largest answer read, in bytes: far above the largest list.
const ANSWER_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Longest wait for the count of what a filter finds.
const COUNT_TIMEOUT: Duration = Duration::from_mins(5);
/// The media type of one JSON document.
const JSON: &str = "application/json";
/// The media type of one JSON document per line.
const LINES: &str = "application/x-ndjson";

/// Which node to speak to, and how to print its answer.
#[derive(Debug, Clone, Args)]
pub struct Client {
    /// The node's address
    #[arg(long, value_name = "URL", env = "TASK_SCHEDULER_SERVER", default_value = "http://127.0.0.1:8080")]
    #[arg(hide_env_values = true, global = false)]
    server: String,
    /// Print the API's JSON as it is; a refusal's JSON goes to stderr
    #[arg(long)]
    json: bool,
}

/// Where a call goes, below the node's address.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    /// The parts of the path.
    pub parts: &'a [&'a str],
    /// The query, by name and value.
    pub query: &'a [(&'a str, String)],
}

impl<'a> Path<'a> {
    /// Without a query.
    pub fn of(parts: &'a [&'a str]) -> Self {
        Self { parts, query: &[] }
    }
}

/// A call, but for where it goes: how, what it takes and sends, and how long it may last.
#[derive(Debug, Clone, Copy)]
struct Manner<'a> {
    method: &'a Method,
    accepts: &'static str,
    sends: &'static str,
    header: Option<(&'static str, &'a str)>,
    /// Of the whole call; none for a stream, which watches over its lines itself.
    timeout: Option<Duration>,
}

impl<'a> Manner<'a> {
    fn of(method: &'a Method) -> Self {
        Self { method, accepts: JSON, sends: JSON, header: None, timeout: Some(CALL_TIMEOUT) }
    }
}

impl Client {
    /// Of this server, for tests.
    #[cfg(test)]
    pub fn of(server: &str) -> Self {
        Self { server: server.to_owned(), json: false }
    }

    /// The answer is to be printed as JSON.
    pub fn prints_json(&self) -> bool {
        self.json
    }

    /// The same node, and refusals in words: for calls that are tried again.
    #[must_use]
    pub fn in_words(&self) -> Self {
        Self { json: false, ..self.clone() }
    }

    /// Reads.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn get(&self, path: Path<'_>) -> Result<Answer, Failure> {
        self.answered(self.called(path, Manner::of(&Method::GET), ())?)
    }

    /// Reads what is no longer as `etag` says; an answer with status 304 if it still is.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn get_changed(&self, path: Path<'_>, etag: Option<&str>) -> Result<Answer, Failure> {
        let header = etag.map(|etag| ("If-None-Match", etag));
        self.answered(self.called(path, Manner { header, ..Manner::of(&Method::GET) }, ())?)
    }

    /// Removes.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn delete(&self, path: Path<'_>) -> Result<Answer, Failure> {
        self.answered(self.called(path, Manner::of(&Method::DELETE), ())?)
    }

    /// Sends a JSON document, with an `Idempotency-Key` if there is one.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn post(&self, path: Path<'_>, document: Vec<u8>, key: Option<&str>) -> Result<Answer, Failure> {
        let header = key.map(|key| ("Idempotency-Key", key));
        self.answered(self.called(path, Manner { header, ..Manner::of(&Method::POST) }, document)?)
    }

    /// Changes something by a JSON document.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn patch(&self, path: Path<'_>, document: Vec<u8>) -> Result<Answer, Failure> {
        self.answered(self.called(path, Manner::of(&Method::PATCH), document)?)
    }

    /// Sends a JSON document where the answer is a count that may take its time.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn count(&self, path: Path<'_>, document: Vec<u8>) -> Result<Answer, Failure> {
        let manner = Manner { timeout: Some(COUNT_TIMEOUT), ..Manner::of(&Method::POST) };
        self.answered(self.called(path, manner, document)?)
    }

    /// Sends JSON documents, one per line, and takes one answer.
    ///
    /// # Errors
    /// No answer, or a refusal of all of them.
    pub fn post_lines(&self, path: Path<'_>, documents: Vec<u8>) -> Result<Answer, Failure> {
        self.answered(self.called(path, Manner { sends: LINES, ..Manner::of(&Method::POST) }, documents)?)
    }

    /// Sends a JSON document and takes an answer of many lines.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn stream(&self, path: Path<'_>, document: Vec<u8>) -> Result<LineStream, Failure> {
        let manner = Manner { accepts: LINES, timeout: None, ..Manner::of(&Method::POST) };
        let response = self.called(path, manner, document)?;
        if response.status().is_success() {
            return Ok(LineStream::of(response));
        }
        let refused = self.answered(response)?;
        Err(Failure::new(super::exit::AWAY, format!("the server answered with {}, as no node does", refused.status)))
    }

    /// The content type is what the API's rule for browsers asks of every write, with a body or without.
    fn called<B: AsSendBody>(&self, path: Path<'_>, manner: Manner<'_>, body: B) -> Result<Response<Body>, Failure> {
        let illegal = |cause| Failure::usage(format!("the request cannot be sent: {cause}"));
        let url = self.url(path)?;
        let mut request = Request::builder().method(manner.method).uri(url.as_str()).header("Accept", manner.accepts);
        if *manner.method != Method::GET {
            request = request.header("Content-Type", manner.sends);
        }
        if let Some((name, value)) = manner.header {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|cause: ureq::http::Error| illegal(cause))?;
        let request = agent().configure_request(request).timeout_global(manner.timeout);
        let request = request.timeout_recv_response(Some(COUNT_TIMEOUT)).build();
        agent().run(request).map_err(|cause| away(&self.server, &cause))
    }

    fn url(&self, path: Path<'_>) -> Result<Url, Failure> {
        let wrong = || {
            let server = quoted(&self.server);
            Failure::usage(format!("--server is {server}; allowed: an http or https URL, like http://127.0.0.1:8080"))
        };
        let mut url = Url::parse(&self.server).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
            return Err(wrong());
        }
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path.parts);
        if !path.query.is_empty() {
            url.query_pairs_mut().extend_pairs(path.query.iter().map(|(name, value)| (name, value)));
        }
        Ok(url)
    }

    fn answered(&self, mut response: Response<Body>) -> Result<Answer, Failure> {
        let status = response.status();
        let etag = response.headers().get("ETag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|cause| away(&self.server, &cause))?;
        Answer { status, etag, body }.accepted(self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::super::exit::{AWAY, USAGE};
    use super::*;

    fn client(server: &str) -> Client {
        Client::of(server)
    }

    #[test]
    fn paths_and_queries_are_escaped() {
        let query = [("label", "a=b&c".to_owned())];
        let path = Path { parts: &["v1", "tasks", "a/../b"], query: &query };
        let url = client("http://h:1/base/").url(path).unwrap();
        assert_eq!(url.as_str(), "http://h:1/base/v1/tasks/a%2F..%2Fb?label=a%3Db%26c");
        assert_eq!(client("http://h:1").url(Path::of(&["v1"])).unwrap().as_str(), "http://h:1/v1");
    }

    #[test]
    fn a_server_that_is_none_is_wrong_usage() {
        for server in ["", "localhost:8080", "ftp://h/", "http://"] {
            let failure = client(server).url(Path::of(&["v1"])).unwrap_err();
            assert_eq!(failure.code, USAGE, "{server}");
        }
    }

    #[test]
    fn nobody_there_is_to_be_tried_again() {
        // Bound and let go of: nobody listens there now.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failure = client(&format!("http://{free}")).get(Path::of(&["v1"])).unwrap_err();
        assert_eq!(failure.code, AWAY);
        assert!(failure.message.contains("--server"), "{failure}");
    }
}
