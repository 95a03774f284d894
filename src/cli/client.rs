//! The REST API from the other side: one call, its answer, and what to say when none came.

use std::time::Duration;

use clap::Args;
use ureq::http::{Method, Request, Response};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};
use url::Url;

use super::answer::Answer;
use super::exit::{AWAY, Failure, quoted};

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for a whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer read, in bytes: far above the largest list.
const ANSWER_BYTES_MAX: u64 = 512 * 1024 * 1024;

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

impl Client {
    /// The answer is to be printed as JSON.
    pub fn prints_json(&self) -> bool {
        self.json
    }

    /// Reads.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn get(&self, path: Path<'_>) -> Result<Answer, Failure> {
        self.without_body(&Method::GET, path)
    }

    /// Removes.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn delete(&self, path: Path<'_>) -> Result<Answer, Failure> {
        self.without_body(&Method::DELETE, path)
    }

    /// Sends a JSON document, with an `Idempotency-Key` if there is one.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn post(&self, path: Path<'_>, document: Vec<u8>, key: Option<&str>) -> Result<Answer, Failure> {
        let mut request = self.request(&Method::POST, path)?;
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let request = request.body(document).map_err(|cause| illegal(&cause))?;
        self.answered(agent().run(request))
    }

    fn without_body(&self, method: &Method, path: Path<'_>) -> Result<Answer, Failure> {
        let request = self.request(method, path)?.body(()).map_err(|cause| illegal(&cause))?;
        self.answered(agent().run(request))
    }

    /// The content type is what the API's rule for browsers asks of every write, with a body or without.
    fn request(&self, method: &Method, path: Path<'_>) -> Result<ureq::http::request::Builder, Failure> {
        let url = self.url(path)?;
        let request = Request::builder().method(method).uri(url.as_str()).header("Accept", "application/json");
        let writes = *method != Method::GET;
        Ok(if writes { request.header("Content-Type", "application/json") } else { request })
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

    fn answered(&self, result: Result<Response<Body>, ureq::Error>) -> Result<Answer, Failure> {
        let away = |cause: ureq::Error| {
            let advice = "start one with `task-scheduler node`, or name another with --server";
            let server = &self.server;
            match cause {
                ureq::Error::Timeout(_) => {
                    Failure::new(AWAY, format!("the server {server} does not answer in time ({cause}); try again"))
                }
                ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                    Failure::new(AWAY, format!("the server {server} cannot be reached ({cause}); {advice}"))
                }
                other => {
                    Failure::new(AWAY, format!("the server {server} did not answer as a node does ({other}); {advice}"))
                }
            }
        };
        let mut response = result.map_err(away)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(away)?;
        Answer { status, body }.accepted(self.json)
    }
}

fn illegal(cause: &ureq::http::Error) -> Failure {
    Failure::usage(format!("the request cannot be sent: {cause}"))
}

/// No proxy and no redirect: a node is called directly, or not at all.
fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(CALL_TIMEOUT))
        .user_agent(concat!("task-scheduler/", env!("CARGO_PKG_VERSION")))
        .tls_config(
            TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build(),
        )
        .build()
        .new_agent()
}

#[cfg(test)]
mod tests {
    use super::super::exit::USAGE;
    use super::*;

    fn client(server: &str) -> Client {
        Client { server: server.to_owned(), json: false }
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
