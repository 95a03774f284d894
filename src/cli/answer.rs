//! A node's answer: the JSON it carries, or the problem it states (`application/problem+json`, RFC 9457).

use serde_json::Value;
use ureq::http::StatusCode;

use super::exit::{AWAY, Failure, REFUSED, quoted};
use super::output::print;

/// What a node answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What version of the thing it is, if it says so.
    pub etag: Option<String>,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// Itself, if the node did what it was asked for.
    ///
    /// # Errors
    /// It did not: with the problem in one line, and, where JSON is asked for, with its JSON.
    pub fn accepted(self, json: bool) -> Result<Self, Failure> {
        if self.status.is_success() || self.status == StatusCode::NOT_MODIFIED {
            return Ok(self);
        }
        let failure = Failure::new(code(self.status), self.problem());
        let failure = Failure { status: Some(self.status.as_u16()), ..failure };
        if json && serde_json::from_slice::<Value>(&self.body).is_ok() {
            return Err(Failure { json: Some(self.body), ..failure });
        }
        Err(failure)
    }

    /// Its JSON.
    ///
    /// # Errors
    /// It carries none: whoever answers there is no node.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|cause| Failure::new(AWAY, format!("the answer is not a node's: {cause}; check --server")))
    }

    /// Prints it as it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn print_raw(&self) -> Result<(), Failure> {
        print(&String::from_utf8_lossy(&self.body))
    }

    fn problem(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem_line(&problem, self.status)
    }
}

/// A problem inside of an answer (of an item, or at the end of a stream) in one line, with the exit code it stands for.
pub fn problem_within(problem: &Value) -> Failure {
    let status = problem.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::BAD_GATEWAY);
    Failure::new(code(status), problem_line(problem, status))
}

/// Whether the same again can succeed.
fn code(status: StatusCode) -> u8 {
    let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if status.is_client_error() && !passing { REFUSED } else { AWAY }
}

/// The problem in one line: the field, its value and what is allowed, if it names them.
fn problem_line(problem: &Value, status: StatusCode) -> String {
    let field = |name: &str| problem.get(name).filter(|value| !value.is_null()).map(text);
    let title = field("title").unwrap_or_else(|| status.canonical_reason().unwrap_or("no success").to_owned());
    let mut line = format!("{} {title}", status.as_str());
    if let Some(detail) = field("detail") {
        line = format!("{line}: {detail}");
    }
    let place = field("pointer").map(|at| if at.is_empty() { "the document".to_owned() } else { at });
    // What the detail says already is not said twice.
    let place = place.zip(field("value")).filter(|(place, value)| !(line.contains(place) && line.contains(value)));
    let allowed = field("allowed").filter(|allowed| !line.contains(allowed));
    let parts = [
        place.map(|(place, value)| format!("{place} is {}", quoted(&value))),
        allowed.map(|allowed| format!("allowed: {allowed}")),
        // By it the node's log is searched, which says more than a fault's answer.
        field("request_id").filter(|_| status.is_server_error()).map(|id| format!("request {id}")),
    ];
    let more: Vec<String> = parts.into_iter().flatten().collect();
    if more.is_empty() { line } else { format!("{line} ({})", more.join("; ")) }
}

/// A JSON value as a person reads it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A field of an object as a person reads it; empty if it is absent.
pub fn field(object: &Value, name: &str) -> String {
    object.get(name).map(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), etag: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_problem_is_one_line_with_field_value_and_what_is_allowed() {
        let body =
            r#"{"type": "x", "title": "Invalid task", "pointer": "/priority", "value": "12", "allowed": "0 to 9"}"#;
        let failure = answer(400, body).accepted(false).unwrap_err();
        assert_eq!(failure.code, REFUSED);
        assert_eq!(failure.message, "400 Invalid task (/priority is \"12\"; allowed: 0 to 9)");
        let twice =
            r#"{"title": "Invalid", "detail": "/x is 12; allowed: 0", "pointer": "/x", "value": "12", "allowed": "0"}"#;
        assert_eq!(answer(400, twice).accepted(false).unwrap_err().message, "400 Invalid: /x is 12; allowed: 0");
        let fault = answer(500, r#"{"title": "The node has failed at this", "request_id": "r-1"}"#);
        assert_eq!(fault.accepted(false).unwrap_err().message, "500 The node has failed at this (request r-1)");
        let with_detail = r#"{"title": "Conflict", "detail": "it was dispatched"}"#;
        assert_eq!(answer(409, with_detail).accepted(false).unwrap_err().message, "409 Conflict: it was dispatched");
    }

    #[test]
    fn the_exit_code_says_whether_the_same_again_can_succeed() {
        for (status, code) in [
            (400, REFUSED),
            (404, REFUSED),
            (409, REFUSED),
            (408, AWAY),
            (429, AWAY),
            (500, AWAY),
            (503, AWAY),
            (302, AWAY),
        ] {
            assert_eq!(answer(status, "no JSON at all").accepted(false).unwrap_err().code, code, "{status}");
        }
        assert!(answer(202, "{}").accepted(false).is_ok());
    }

    #[test]
    fn an_answer_without_json_comes_from_somebody_else() {
        assert_eq!(answer(200, "<html>").json().unwrap_err().code, AWAY);
    }
}
