//! One call, described.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::schema::{integer, reference, set, text};
use crate::api::problem::{Kind, MEDIA_TYPE};
use crate::domain::limits::IDEMPOTENCY_KEY_CHARS_MAX;

/// The media type of nearly everything.
pub const JSON: &str = "application/json";

/// What every call may be answered: see [`Kind`].
const ALWAYS: [Kind; 5] = [Kind::BadRequest, Kind::ForeignHost, Kind::Timeout, Kind::HeadTooLarge, Kind::Internal];
/// And every write.
const WRITES: [Kind; 1] = [Kind::ForeignOrigin];
/// And every write with a body.
const BODIES: [Kind; 3] = [Kind::TooLarge, Kind::UnsupportedMediaType, Kind::Unavailable];

/// A call.
pub struct Call {
    method: &'static str,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    detail: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    problems: Vec<Kind>,
}

impl Call {
    /// `method` in lower case; `name` is its `operationId`.
    pub fn new(method: &'static str, path: &'static str, name: &'static str) -> Self {
        let mut problems = ALWAYS.to_vec();
        if method != "get" {
            problems.extend(WRITES);
        }
        let parameters = vec![shared("RequestId")];
        Self { method, path, name, summary: "", detail: "", parameters, body: None, answers: Vec::new(), problems }
    }

    /// In a line, and in detail (Markdown).
    pub fn about(self, summary: &'static str, detail: &'static str) -> Self {
        Self { summary, detail, ..self }
    }

    /// With parameters: [`shared`] ones, or [`query`].
    pub fn with(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// It takes a body, which may be left out if it is not `required`.
    pub fn takes(mut self, required: bool, content: Value) -> Self {
        self.body = Some(json!({ "required": required, "content": content }));
        self.problems.extend(BODIES);
        self
    }

    /// An answer; `content` maps media types to what they hold.
    pub fn answers(mut self, status: StatusCode, description: &str, content: Value) -> Self {
        self.answers.push((status.as_u16(), answer(description, content)));
        self
    }

    /// The last answer has this header too.
    pub fn with_header(mut self, name: &str) -> Self {
        if let Some(headers) = self.answers.last_mut().and_then(|(_, answer)| answer.get_mut("headers")) {
            set(headers, name, json!({ "$ref": format!("#/components/headers/{name}") }));
        }
        self
    }

    /// What it may be answered besides what every call may.
    pub fn or(mut self, kinds: &[Kind]) -> Self {
        self.problems.extend(kinds);
        self
    }

    /// Its method, in lower case.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Its path.
    pub fn path(&self) -> String {
        self.path.to_owned()
    }

    /// Its `operationId`.
    #[cfg(test)]
    pub fn name(&self) -> String {
        self.name.to_owned()
    }

    /// As `OpenAPI` has it.
    pub fn described(self, tag: &str) -> Value {
        let mut answers: Map<String, Value> =
            self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect();
        for kind in &self.problems {
            let status = kind.status();
            let same: Vec<Kind> =
                Kind::ALL.iter().copied().filter(|one| one.status() == status && self.problems.contains(one)).collect();
            answers.entry(status.as_u16().to_string()).or_insert_with(|| problem(status, &same));
        }
        let mut call = json!({
            "operationId": self.name, "tags": [tag], "summary": self.summary, "description": self.detail,
            "parameters": self.parameters, "responses": answers,
        });
        if let Some(body) = self.body {
            set(&mut call, "requestBody", body);
        }
        call
    }
}

/// JSON of this schema.
pub fn json_of(schema: Value) -> Value {
    json!({ JSON: { "schema": schema } })
}

/// JSON of this schema, with an example.
pub fn json_like(schema: Value, example: Value) -> Value {
    json!({ JSON: { "schema": schema, "example": example } })
}

fn answer(description: &str, content: Value) -> Value {
    let headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
    let mut answer = json!({ "description": description, "headers": headers });
    if !content.is_null() {
        set(&mut answer, "content", content);
    }
    answer
}

fn problem(status: StatusCode, kinds: &[Kind]) -> Value {
    let words: Vec<String> = kinds.iter().map(|kind| kind.urn()).collect();
    let lines: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}.", kind.word(), kind.title())).collect();
    let schema = json!({ "allOf": [
        reference("Problem"),
        { "properties": { "type": { "enum": words }, "status": { "const": status.as_u16() } } },
    ] });
    let mut answer = answer(&lines.join(" "), json!({ MEDIA_TYPE: { "schema": schema } }));
    if status == StatusCode::SERVICE_UNAVAILABLE
        && let Some(headers) = answer.get_mut("headers")
    {
        set(headers, "Retry-After", json!({ "$ref": "#/components/headers/Retry-After" }));
    }
    answer
}

/// A parameter that several calls have.
pub fn shared(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// A parameter of the query.
pub fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn header(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}

/// Those of [`shared`].
pub fn parameters() -> Value {
    let key = json!({
        "type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX, "format": "idempotency-key",
        "pattern": "^[!-~]([ -~]*[!-~])?$", "examples": ["order-42"],
    });
    json!({
        "RequestId": header(
            "X-Request-Id",
            "The caller's name of this request: 1 to 128 visible ASCII characters. Anything else is replaced by a new one.",
            text(),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Becomes the task's id, so that the same key again is the same task. Not together with an `id` in the \
             document. Other characters in UTF-8 are taken too, except control characters.",
            key,
        ),
        "Traceparent": header(
            "traceparent",
            "W3C Trace Context: handed to the target, unless its own headers have one. A malformed one is ignored.",
            text(),
        ),
        "IfMatch": header("If-Match", "The change is made only if the task's `ETag` is (one of) these.", tags()),
        "IfNoneMatch": header("If-None-Match", "If the task's `ETag` is (one of) these, the answer is `304`.", tags()),
        "TaskId": path("The task's id."),
        "LetterId": path_of("The dead letter's id.", integer(1, i64::MAX)),
        "PauseId": path_of("The pause's id.", integer(1, i64::MAX)),
    })
}

/// `*`, or quoted tags.
fn tags() -> Value {
    json!({ "type": "string", "minLength": 1, "pattern": "^([*]|(W/)?\"[!#-~]*\"( *, *(W/)?\"[!#-~]*\"){0,9})$" })
}

fn path(description: &str) -> Value {
    let id = json!({ "type": "string", "format": "uuid", "examples": ["0199c0de-0000-7000-8000-000000000001"] });
    path_of(description, id)
}

fn path_of(description: &str, schema: Value) -> Value {
    json!({ "name": "id", "in": "path", "required": true, "description": description, "schema": schema })
}

/// Those of answers.
pub fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The request's name: the caller's own, or one that was made.",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$" },
        },
        "Location": { "description": "The task's path.", "required": true, "schema": text() },
        "ETag": { "description": "Changes whenever the task does. None for a task that is not stored yet.", "schema": text() },
        "Retry-After": { "description": "Seconds to wait.", "schema": integer(0, 3_600) },
    })
}
