//! The request that a task stands for.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use url::Url;

use super::address_guard::{AddressGuard, AddressRefused};
use crate::domain::payload::Payload;
use crate::domain::{ClaimedTask, HttpTarget};

const OWN_USER_AGENT: &str = concat!("task-scheduler/", env!("CARGO_PKG_VERSION"));

/// No request can be made of the task: none was sent, and no repetition helps.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no URL that can be called.
    #[error("cannot call the URL {url:?}: {reason}; an absolute http or https URL can be called")]
    Url {
        /// The task's.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is no method that can be used.
    #[error("cannot use the method {0:?}: any HTTP method but CONNECT can be used")]
    Method(String),
    /// It is no header that can be sent.
    #[error("cannot send the header {0:?}: its name or its value has characters that HTTP does not allow")]
    Header(String),
    /// Its host is an address that may not be called.
    #[error(transparent)]
    Refused(#[from] AddressRefused),
}

/// Makes the request, its host checked by `guard` as far as it is an address.
///
/// # Errors
/// See [`RequestError`].
pub fn request_of(
    task: &ClaimedTask,
    target: &HttpTarget,
    guard: &AddressGuard,
) -> Result<Request<Full<Bytes>>, RequestError> {
    let method = Method::from_bytes(target.method.as_bytes()).ok().filter(|method| *method != Method::CONNECT);
    let method = method.ok_or_else(|| RequestError::Method(target.method.clone()))?;
    let uri = uri_of(&target.url, guard)?;
    let headers = headers_of(task, target, &method)?;
    let mut request = Request::new(Full::from(Bytes::copy_from_slice(task.spec.payload.bytes())));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The URL as it is sent. What is checked is what is sent: other spellings of an address (`0x7f000001`) are brought to
/// one form first.
fn uri_of(text: &str, guard: &AddressGuard) -> Result<Uri, RequestError> {
    let unfit = |reason: String| RequestError::Url { url: text.to_owned(), reason };
    let mut url = Url::parse(text).map_err(|cause| unfit(cause.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unfit(format!("its scheme is {}", url.scheme())));
    }
    guard.check_host(&url.host().ok_or_else(|| unfit("it has no host".to_owned()))?)?;
    url.set_fragment(None);
    url.as_str().parse().map_err(|cause: http::uri::InvalidUri| unfit(cause.to_string()))
}

/// The scheduler's own headers come last, so that none of the task's can take their place.
fn headers_of(task: &ClaimedTask, target: &HttpTarget, method: &Method) -> Result<HeaderMap, RequestError> {
    let mut headers = HeaderMap::with_capacity(8 + target.headers.len());
    headers.insert(USER_AGENT, HeaderValue::from_static(OWN_USER_AGENT));
    if let Some(content_type) = task.spec.payload.content_type() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in &target.headers {
        let unfit = || RequestError::Header(name.clone());
        let header = HeaderName::try_from(name).map_err(|_| unfit())?;
        headers.insert(header, HeaderValue::try_from(value).map_err(|_| unfit())?);
    }
    let length = task.spec.payload.bytes().len();
    if task.spec.payload != Payload::Empty || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    for (name, value) in [
        ("idempotency-key", task.claim.id.to_string()),
        ("x-task-id", task.claim.id.to_string()),
        ("x-task-attempt", task.attempt_no().to_string()),
        ("x-task-epoch", task.epoch.to_string()),
        ("x-task-run-at", task.run_at.to_string()),
    ] {
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| RequestError::Header(name.to_owned()))?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::fake_http::{http_of, task};

    fn made(task: &ClaimedTask, guard: bool) -> Result<Request<Full<Bytes>>, RequestError> {
        request_of(task, http_of(task), &AddressGuard::new(guard, &[]))
    }

    #[test]
    fn headers_are_the_contracts() {
        let task = task("http://h.example/p?q#f");
        let request = made(&task, true).unwrap();
        assert_eq!(request.uri(), "http://h.example/p?q");
        let id = task.claim.id.to_string();
        let headers = request.headers();
        for (name, value) in [
            ("idempotency-key", id.as_str()),
            ("x-task-id", id.as_str()),
            ("x-task-attempt", "3"),
            ("x-task-epoch", "7"),
            ("x-task-run-at", "2026-12-24T17:00:00.000001Z"),
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("user-agent", OWN_USER_AGENT),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert_eq!(headers.len(), 8);
    }

    #[test]
    fn a_tasks_headers_replace_the_defaults_but_not_the_contracts() {
        let mut task = task("http://h.example/");
        let target = http_of(&task).clone();
        let given = [("content-type", "text/x"), ("user-agent", "me"), ("x-task-id", "other"), ("x-mine", "1")];
        let headers = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        task.spec.target = crate::domain::Target::Http(HttpTarget { headers, ..target });
        let request = made(&task, true).unwrap();
        let headers = request.headers();
        assert_eq!(
            (&headers["content-type"], &headers["user-agent"]),
            (&"text/x".parse().unwrap(), &"me".parse().unwrap())
        );
        assert_eq!(headers["x-mine"], "1");
        assert_eq!(headers["x-task-id"], task.claim.id.to_string());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for url in ["", "/p", "ftp://h/", "file:///x", "http://", "http://h:99999/", "http://a\"b/"] {
            assert!(matches!(made(&task(url), false), Err(RequestError::Url { .. })), "{url}");
        }
        for host in ["127.0.0.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]"] {
            let task = task(&format!("http://{host}/"));
            assert!(matches!(made(&task, true), Err(RequestError::Refused(_))), "{host}");
            assert!(made(&task, false).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_url_is_taken_as_browsers_take_it() {
        for (url, sent) in [
            ("HTTP://H.Example", "http://h.example/"),
            ("http://h:80/a b|{}?x={\"y\"}", "http://h/a%20b|%7B%7D?x={%22y%22}"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("http://0x7f.1:8080/", "http://127.0.0.1:8080/"),
        ] {
            assert_eq!(made(&task(url), false).unwrap().uri(), sent);
        }
    }
}
