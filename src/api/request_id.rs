//! `X-Request-Id`: the name by which a caller and a node speak of one request.
//!
//! The caller's own is taken if it is legible, else one is made; a bad one is no error, since proxies set it too. It is in
//! the answer's headers, in its problem, and in what is logged about the request.

use std::fmt;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use uuid::Uuid;

/// The header.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest that is taken from a caller, in characters.
pub const CHARS_MAX: usize = 128;

tokio::task_local! {
    /// Of the request that this task works for.
    static CURRENT: RequestId;
}

/// Visible ASCII, at most [`CHARS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new one.
    pub fn made() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// The one of these headers, if they have exactly one and it is legible.
    fn given(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(&X_REQUEST_ID);
        let value = values.next()?.as_bytes();
        let fits = (1..=CHARS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(value).ok().filter(|_| fits && values.next().is_none())?;
        Some(Self(text.into()))
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Of the request that this task works for, if it works for one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Before a line of the log: "request ID: ", or nothing where no request is under way.
#[derive(Debug, Clone, Copy)]
pub struct InLog;

impl fmt::Display for InLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match current() {
            Some(id) => write!(f, "request {}: ", id.text()),
            None => Ok(()),
        }
    }
}

/// What goes on as a task of its own keeps the name of the request that it goes on for.
pub async fn carried<T>(id: Option<RequestId>, work: impl Future<Output = T>) -> T {
    match id {
        Some(id) => CURRENT.scope(id, work).await,
        None => work.await,
    }
}

/// The middleware, around all others.
pub async fn name<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> actix_web::Result<ServiceResponse<B>> {
    let id = RequestId::given(request.headers()).unwrap_or_else(RequestId::made);
    let value = HeaderValue::from_str(id.text());
    let mut answer = CURRENT.scope(id, next.call(request)).await?;
    if let Ok(value) = value {
        answer.headers_mut().insert(X_REQUEST_ID, value);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        }
        RequestId::given(&headers).map(|id| id.text().to_owned())
    }

    #[test]
    fn a_legible_one_is_taken_and_any_other_is_not() {
        assert_eq!(given(&[b"a/b:c-1"]).as_deref(), Some("a/b:c-1"));
        assert!(given(&[&[b'x'; 128]]).is_some());
        for bad in [b"".as_slice(), b"a b", b"\xc3\xa9", b"a\tb", &[b'x'; 129]] {
            assert_eq!(given(&[bad]), None, "{bad:?}");
        }
        assert_eq!(given(&[b"a", b"b"]), None);
        assert_eq!(given(&[]), None);
        assert_ne!(RequestId::made(), RequestId::made());
    }

    #[tokio::test]
    async fn the_log_names_it_in_what_goes_on_too() {
        assert_eq!(InLog.to_string(), "");
        let line = CURRENT.scope(RequestId("r1".into()), async {
            let id = current();
            tokio::spawn(carried(id, async { InLog.to_string() })).await.unwrap()
        });
        assert_eq!(line.await, "request r1: ");
    }
}
