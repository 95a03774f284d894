//! What an HTTP answer says: the status line decides, whatever becomes of the rest.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use http::header::{DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::Outcome;

/// Most of a body that is read, so that its connection can be used again. A longer one costs the connection.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for that. The answer is known by then; the rest must not hold the slot.
const BODY_WITHIN: Duration = Duration::from_millis(200);
/// As much of it goes into an error.
const EXCERPT_CHARS: usize = 200;
/// Enough bytes for those characters.
const EXCERPT_BYTES: usize = EXCERPT_CHARS * 4;

/// How answers are judged.
#[derive(Debug, Clone)]
pub struct AnswerRules {
    ambiguous: Vec<u16>,
}

impl AnswerRules {
    /// These statuses say nothing about the target: proxies give them.
    pub fn new(ambiguous: Vec<u16>) -> Self {
        Self { ambiguous }
    }

    /// Judges an answer, and reads what comes of its body in a short time, at most until `deadline`.
    pub async fn judge<B>(&self, answer: Response<B>, deadline: Instant) -> Outcome
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = answer.into_parts();
        let excerpt = read_some(body, deadline).await;
        let status = head.status;
        if status.is_success() {
            return Outcome::Succeeded;
        }
        let error = error_text(status, &head.headers, &excerpt);
        if self.ambiguous.contains(&status.as_u16()) {
            return Outcome::Ambiguous { error };
        }
        let retryable = is_retryable(status);
        let retry_after = if retryable { retry_after(&head.headers) } else { None };
        Outcome::Failed { retryable, retry_after, error }
    }
}

/// The target is busy or out of order, or the resource is: another time it may take the same request. Any other status
/// would be the same again.
fn is_retryable(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::LOCKED | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    ) || status.is_server_error()
}

/// Reads the body up to its limits and returns its beginning. It may be cut, slow or endless: that changes no answer.
async fn read_some<B>(mut body: B, deadline: Instant) -> Vec<u8>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut excerpt = Vec::new();
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(data) = frame.data_ref() else { continue };
            let wanted = EXCERPT_BYTES.saturating_sub(excerpt.len()).min(data.len());
            excerpt.extend_from_slice(data.get(..wanted).unwrap_or_default());
            bytes += data.len();
            if bytes > BODY_BYTES_MAX {
                break;
            }
        }
    };
    // Neither limit is an error.
    let _ = timeout_at(deadline, timeout(BODY_WITHIN, reading)).await;
    excerpt
}

fn error_text(status: StatusCode, headers: &HeaderMap, excerpt: &[u8]) -> String {
    let mut text = format!("answered {}", status.as_str());
    if let Some(reason) = status.canonical_reason() {
        text.push(' ');
        text.push_str(reason);
    }
    if status.is_redirection() && headers.contains_key(LOCATION) {
        text.push_str(" (redirects are not followed)");
    }
    let excerpt = printable(&String::from_utf8_lossy(excerpt));
    if !excerpt.is_empty() {
        text.push_str(": ");
        text.push_str(&excerpt);
    }
    text
}

/// The first characters on one line: white space becomes a blank, other control characters go.
fn printable(text: &str) -> String {
    let one_line = text.trim().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    one_line.filter(|c| !c.is_control()).take(EXCERPT_CHARS).collect()
}

/// How long the target asks to wait. A date counts from the answer's own `Date`, so that no two clocks are compared;
/// without one it says nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if asked.bytes().all(|byte| byte.is_ascii_digit()) {
        return asked.parse().ok().map(Duration::from_secs);
    }
    let until = DateTime::parse_from_rfc2822(asked).ok()?;
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?.trim()).ok()?;
    // One in the past asks for nothing.
    Some((until - date).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::Full;

    use super::*;

    async fn judged(status: u16, body: &'static str) -> Outcome {
        let answer = Response::builder().status(status).body(Full::from(body)).unwrap();
        let deadline = tokio::time::sleep(Duration::from_secs(5)).deadline();
        let rules = AnswerRules::new(crate::config::HttpConfig::default().ambiguous_statuses);
        rules.judge(answer, deadline).await
    }

    #[tokio::test]
    async fn every_status_has_its_outcome() {
        for status in 200..=299 {
            assert_eq!(judged(status, "").await, Outcome::Succeeded);
        }
        for status in [408, 502, 504, 520, 521, 522, 523, 524, 525, 526, 527] {
            assert!(matches!(judged(status, "").await, Outcome::Ambiguous { .. }), "{status}");
        }
        for (status, again) in [
            (101, false),
            (301, false),
            (304, false),
            (400, false),
            (401, false),
            (404, false),
            (409, false),
            (410, false),
            (423, true),
            (425, true),
            (429, true),
            (500, true),
            (501, true),
            (503, true),
            (599, true),
            (600, false),
        ] {
            let Outcome::Failed { retryable, retry_after: None, .. } = judged(status, "").await else {
                panic!("{status} is no definite failure");
            };
            assert_eq!(retryable, again, "{status}");
        }
    }

    #[tokio::test]
    async fn an_error_quotes_the_beginning_of_the_body_on_one_line() {
        let outcome = judged(500, "a\r\nb\u{1b}[31m\u{0}\tü").await;
        assert_eq!(outcome.error(), Some("answered 500 Internal Server Error: a  b[31m ü"));
        let long: &'static str = Box::leak("ü".repeat(3_000).into_boxed_str());
        let outcome = judged(599, long).await;
        assert_eq!(outcome.error(), Some(format!("answered 599: {}", "ü".repeat(200)).as_str()));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_against_the_answers_own() {
        let wait = |after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait("Wed, 21 Oct 2015 07:30:00 GMT", date), Some(120));
        assert_eq!(wait("Wed, 21 Oct 2015 07:20:00 GMT", date), Some(0));
        assert_eq!(wait("Wed, 21 Oct 2015 07:30:00 GMT", None), None);
        for odd in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(wait(odd, date), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
