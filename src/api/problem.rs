//! What a caller gets instead of what it asked for: `application/problem+json` of RFC 9457, with a stable `type` per
//! error and, where the input is to blame, the place, the value and what is allowed there.

use std::fmt;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::request_id::{self, InLog, RequestId};
use crate::domain::{Invalid, State, TaskId};
use crate::queue::PublishError;
use crate::store::StoreError;

/// The media type of every problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Every kind of problem. Its word is in `type`, which callers may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A field of the document.
    InvalidField,
    /// A parameter of the path or the query.
    InvalidParameter,
    /// A header.
    InvalidHeader,
    /// What is no HTTP request of this API in some other way.
    BadRequest,
    /// A `Host` that is not this node's.
    ForeignHost,
    /// An `Origin` that is not this node's.
    ForeignOrigin,
    /// No such page or call.
    UnknownPath,
    /// No such task.
    NoSuchTask,
    /// No such pause.
    NoSuchPause,
    /// No such dead letter.
    NoSuchDeadLetter,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The request came in too slowly.
    Timeout,
    /// Another document has this id.
    Conflict,
    /// The task's state does not allow it.
    WrongState,
    /// The task is not as the caller knows it.
    PreconditionFailed,
    /// The dead letter was submitted again before.
    ReplayedAlready,
    /// Too many bytes or tasks.
    TooLarge,
    /// Too many bytes of headers.
    HeadTooLarge,
    /// Not JSON by its content type.
    UnsupportedMediaType,
    /// Not now; the same again later may succeed. Nothing was taken.
    Unavailable,
    /// Not ready to take submissions.
    NotReady,
    /// It may be stored or not.
    Unacknowledged,
    /// A fault of this program.
    Internal,
}

impl Kind {
    /// All of them, in the order of their statuses.
    pub const ALL: &[Self] = &[
        Self::InvalidField,
        Self::InvalidParameter,
        Self::InvalidHeader,
        Self::BadRequest,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::UnknownPath,
        Self::NoSuchTask,
        Self::NoSuchPause,
        Self::NoSuchDeadLetter,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Conflict,
        Self::WrongState,
        Self::ReplayedAlready,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::HeadTooLarge,
        Self::Internal,
        Self::Unavailable,
        Self::NotReady,
        Self::Unacknowledged,
    ];

    /// Its status.
    pub fn status(self) -> StatusCode {
        self.parts().0
    }

    /// Its word, the end of its `type`.
    pub fn word(self) -> &'static str {
        self.parts().1
    }

    /// Its `type`.
    pub fn urn(self) -> String {
        format!("urn:task-scheduler:problem:{}", self.word())
    }

    /// What it means, as in `title`.
    pub fn title(self) -> &'static str {
        self.parts().2
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidField => (StatusCode::BAD_REQUEST, "invalid-field", "A field is not allowed as it is"),
            Self::InvalidParameter => {
                (StatusCode::BAD_REQUEST, "invalid-parameter", "A parameter is not allowed as it is")
            }
            Self::InvalidHeader => (StatusCode::BAD_REQUEST, "invalid-header", "A header is not allowed as it is"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read"),
            Self::ForeignHost => (StatusCode::FORBIDDEN, "foreign-host", "This node is not called by that name"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign-origin", "Other sites' pages may not write here"),
            Self::UnknownPath => (StatusCode::NOT_FOUND, "unknown-path", "There is nothing at this path"),
            Self::NoSuchTask => (StatusCode::NOT_FOUND, "no-such-task", "There is no such task"),
            Self::NoSuchPause => (StatusCode::NOT_FOUND, "no-such-pause", "There is no such pause"),
            Self::NoSuchDeadLetter => (StatusCode::NOT_FOUND, "no-such-dead-letter", "There is no such dead letter"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not take this method")
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "The request came in too slowly"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Another document is stored under this id"),
            Self::WrongState => (StatusCode::CONFLICT, "wrong-state", "The task's state does not allow it"),
            Self::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "precondition-failed", "The task has changed meanwhile")
            }
            Self::ReplayedAlready => {
                (StatusCode::CONFLICT, "replayed-already", "The dead letter was submitted again before")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large"),
            Self::HeadTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "The request's head is too large")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body's type or encoding is not taken",
            ),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now; try again"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The node is not ready"),
            Self::Unacknowledged => {
                (StatusCode::SERVICE_UNAVAILABLE, "unacknowledged", "Not acknowledged; repeat it with the same id")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The node has failed at this"),
        }
    }

    /// The kind for a status that was answered without a word.
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::UnknownPath,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::Timeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// One problem. The answer of a call, or of one task in a batch.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// Of this kind; `detail` says what was wrong and what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), members: Vec::new() }
    }

    /// With one member more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// About this task.
    #[must_use]
    pub fn about(self, id: TaskId) -> Self {
        self.with("id", id.to_string())
    }

    /// A header that is not allowed as it is.
    pub fn header(kind: Kind, name: &'static str, value: impl fmt::Display, allowed: &str) -> Self {
        Self::placed(kind, "header", Invalid::new(name, value, allowed))
    }

    /// A parameter of the path or the query that is not allowed as it is.
    pub fn parameter(name: &str, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self::placed(Kind::InvalidParameter, "parameter", Invalid::new(name, value, allowed))
    }

    /// Too large; `invalid` says where and by how much.
    pub fn too_large(invalid: Invalid) -> Self {
        Self::placed(Kind::TooLarge, "pointer", invalid)
    }

    /// There is no task of that id.
    pub fn no_such_task(id: TaskId) -> Self {
        Self::new(Kind::NoSuchTask, format!("no task has the id {id}")).about(id)
    }

    /// The task stands in a state that does not allow what was asked for.
    pub fn wrong_state(id: TaskId, state: State, needed: &str) -> Self {
        Self::new(Kind::WrongState, format!("the task is {state}; {needed}")).about(id).with("state", state.word())
    }

    /// The task is accepted and not stored yet, which does not allow what was asked for.
    pub fn not_stored(id: TaskId, state: &'static str, needed: &str) -> Self {
        Self::new(Kind::WrongState, format!("the task is {state} and not stored yet; {needed}"))
            .about(id)
            .with("state", state)
    }

    /// In the answer to this request.
    #[must_use]
    pub fn in_request(self, id: Option<&RequestId>) -> Self {
        match id {
            Some(id) => self.with("request_id", id.text()),
            None => self,
        }
    }

    /// The same again later may succeed.
    pub fn is_passing(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.kind.parts().0
    }

    fn placed(kind: Kind, place: &'static str, invalid: Invalid) -> Self {
        let detail = match place {
            "pointer" => invalid.to_string(),
            _ => format!("the {place} {invalid}"),
        };
        Self::new(kind, detail)
            .with(place, invalid.pointer)
            .with("value", invalid.value)
            .with("allowed", invalid.allowed)
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, _, title) = self.kind.parts();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.kind.urn())?;
        map.serialize_entry("title", title)?;
        map.serialize_entry("status", &status.as_u16())?;
        map.serialize_entry("detail", &self.detail)?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status());
        answer.content_type(MEDIA_TYPE);
        if self.is_passing() {
            answer.insert_header((RETRY_AFTER, "1"));
        }
        let named = self.clone().in_request(request_id::current().as_ref());
        let mut answer = answer.body(serde_json::to_string(&named).unwrap_or_default());
        // For whoever words it otherwise.
        answer.extensions_mut().insert(self.clone());
        answer
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::placed(Kind::InvalidField, "pointer", invalid)
    }
}

impl From<StoreError> for Problem {
    /// Logged here, once; what the database said stays in the log.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                log::warn!("{InLog}refused: {error}");
                Self::new(Kind::Unavailable, "the task database does not answer in time; try again")
            }
            StoreError::Full(_) => {
                log::warn!("{InLog}refused: {error}");
                Self::new(Kind::Unavailable, "there is no room left for the task database; try again when there is")
            }
            other => {
                log::error!("{InLog}failed: {other}");
                Self::new(Kind::Internal, "the task database has failed at this; the node's log says more")
            }
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Full => Self::new(Kind::Unavailable, "too many submissions wait for their commit; try again"),
            PublishError::Closed => Self::new(Kind::Unavailable, "the node takes no submissions now; try again"),
            PublishError::TooLarge => Self::new(
                Kind::TooLarge,
                "the submission topic takes no record as large; make the task smaller, or have max.message.bytes of the \
                 topic raised",
            ),
            PublishError::Unacknowledged(reason) => Self::new(
                Kind::Unacknowledged,
                format!(
                    "it may be stored or not: {reason}. Repeat it with the id of this problem: that makes no second task"
                ),
            ),
        }
    }
}

/// A middleware that says in words what actix answers by itself with a bare status: unknown method, illegal path.
pub async fn in_words<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<EitherBody<B, BoxBody>>> {
    let answer = next.call(request).await?;
    let status = answer.status();
    let bare = status.is_client_error() || status.is_server_error();
    if !bare || answer.headers().contains_key(CONTENT_TYPE) {
        return Ok(answer.map_into_left_body());
    }
    let request = answer.request();
    let problem = Problem::new(Kind::of(status), format!("{} {}: {status}", request.method(), request.path()));
    let mut words = problem.error_response();
    *words.status_mut() = status;
    for (name, value) in answer.headers() {
        // `Allow` belongs to a 405.
        words.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(answer.into_response(words).map_into_right_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_errors_name_place_value_and_what_is_allowed() {
        let problem = Problem::from(Invalid::new("/priority", 12, "0 to 9"));
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({
                "type": "urn:task-scheduler:problem:invalid-field", "title": "A field is not allowed as it is",
                "status": 400, "detail": "/priority is 12; allowed: 0 to 9",
                "pointer": "/priority", "value": "12", "allowed": "0 to 9",
            })
        );
        let problem = serde_json::to_value(Problem::parameter("limit", "x", "1 to 1000")).unwrap();
        assert_eq!((&problem["parameter"], &problem["value"]), (&"limit".into(), &"x".into()));
        assert_eq!(problem["detail"], "the parameter limit is x; allowed: 1 to 1000");
    }

    #[test]
    fn what_passes_says_when_to_come_back() {
        for problem in [
            Problem::from(PublishError::Full),
            Problem::from(PublishError::Closed),
            Problem::from(PublishError::Unacknowledged("no".to_owned())),
            Problem::from(StoreError::Full("disk".to_owned())),
        ] {
            let answer = problem.error_response();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "1");
        }
    }

    #[test]
    fn what_the_database_said_is_not_told() {
        let problem = Problem::from(StoreError::Unreadable("secret".to_owned()));
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!serde_json::to_string(&problem).unwrap().contains("secret"));
    }
}
