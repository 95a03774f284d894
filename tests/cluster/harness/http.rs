//! A small HTTP client that shows everything: no status is an error, nothing is followed.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;

const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|cause| panic!("{cause}: {} {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// One request; panics if there is no answer.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    try_request(method, url, headers, body).unwrap_or_else(|cause| panic!("{method} {url}: {cause}"))
}

/// One request; an error if there is no answer, as from a node that was killed.
pub fn try_request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
    try_within(PATIENCE, (method, url), headers, body)
}

/// The same with an end to the patience.
pub fn try_within(
    patience: Duration,
    (method, url): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, ureq::Error> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = agent();
    let request = agent.configure_request(request.body(body)?).timeout_global(Some(patience)).build();
    let mut answer = agent.run(request)?;
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(256 * 1024 * 1024).read_to_vec()?;
    Ok(Answer { status, headers, body })
}

/// A JSON document by POST.
pub fn post_json(url: &str, document: &Value) -> Answer {
    request("POST", url, &[("content-type", "application/json")], document.to_string().as_bytes())
}

/// By GET.
pub fn get(url: &str) -> Answer {
    request("GET", url, &[], b"")
}

fn agent() -> ureq::Agent {
    thread_local! {
        // One per thread: kept connections make a load of single submissions cheap.
        static AGENT: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
    }
    AGENT.with(Clone::clone)
}
