//! What keeps other sites' pages away from a node: the rule for browsers.
//!
//! - Every request names a `Host` that is this node's. A page whose name was pointed at this machine (DNS rebinding)
//!   sends its own name, so it can neither write nor read.
//! - A write with an `Origin` has this node's own. Only browsers send one.
//! - A `POST`, `PUT` or `PATCH` under `/v1` says that it carries JSON. A page can send it to another site only after a preflight,
//!   which is never answered. A `DELETE` needs a preflight by itself, so it may come without a content type, as curl sends it.
//! - The forms of the dashboard, which stand elsewhere, carry a token instead, and are taken only from whoever says that a
//!   page of this node has sent them ([`from_own_page`]).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{ResponseError as _, web};

use super::problem::{Kind, Problem};

/// The one call that takes a line per document too.
pub const BATCH_PATH: &str = "/v1/tasks/batch";

/// Where the page stands that a browser sends a request from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names by which a node may be called.
#[derive(Debug, Clone)]
pub struct Hosts {
    listen: IpAddr,
    names: Arc<[String]>,
}

impl Hosts {
    /// For a node that listens there. `node` is its own name, by which others on its network call it.
    pub fn new(listen: SocketAddr, node: &str, allowed: &[String]) -> Self {
        let mut names: Vec<String> = allowed.iter().map(|name| plain(name)).collect();
        names.push("localhost".to_owned());
        if !listen.ip().is_loopback() {
            names.push(plain(node));
        }
        Self { listen: listen.ip(), names: names.into() }
    }

    /// `authority` is `host` or `host:port`. The port is not compared: a page of another site can't choose the name,
    /// and behind a forwarded port the node does not know its own.
    fn knows(&self, authority: &str) -> bool {
        let Some((host, _)) = split(authority) else { return false };
        if self.names.contains(&plain(host)) {
            return true;
        }
        let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() else { return false };
        let address = address.to_canonical();
        if self.listen.is_unspecified() {
            return true;
        }
        address == self.listen.to_canonical() || (self.listen.is_loopback() && address.is_loopback())
    }
}

/// The middleware that applies the rule.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<EitherBody<B, BoxBody>>> {
    let checked = match request.app_data::<web::Data<Hosts>>() {
        Some(hosts) => check(&request, hosts),
        None => Err(Problem::new(Kind::Internal, "the node does not know its own names")),
    };
    match checked.map(|()| json(&request)) {
        Ok(Ok(())) => Ok(next.call(request).await?.map_into_left_body()),
        Ok(Err(wrong_type)) => refuse_type(request, next, wrong_type).await,
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

/// What the path does not take at all is said first. The path is asked by a method that does nothing.
async fn refuse_type<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
    wrong_type: Problem,
) -> actix_web::Result<ServiceResponse<EitherBody<B, BoxBody>>> {
    let method = request.method().clone();
    request.head_mut().method = Method::OPTIONS;
    let answer = next.call(request).await?;
    if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
        return Ok(answer.map_into_left_body());
    }
    let allow = answer.headers().get(ALLOW).cloned();
    let takes = allow.as_ref().and_then(|allow| allow.to_str().ok()).unwrap_or_default();
    if takes.split(',').any(|one| one.trim() == method.as_str()) {
        return Ok(answer.into_response(wrong_type.error_response()).map_into_right_body());
    }
    let detail = format!("{method} {}: {}", answer.request().path(), StatusCode::METHOD_NOT_ALLOWED);
    let mut words = Problem::new(Kind::MethodNotAllowed, detail).error_response();
    if let Some(allow) = allow {
        words.headers_mut().insert(ALLOW, allow);
    }
    Ok(answer.into_response(words).map_into_right_body())
}

fn check(request: &ServiceRequest, hosts: &Hosts) -> Result<(), Problem> {
    let headers = request.headers();
    let host = known_host(headers, hosts)?;
    if request.method().is_safe() { Ok(()) } else { own_origin(headers, host) }
}

fn known_host<'a>(headers: &'a HeaderMap, hosts: &Hosts) -> Result<&'a str, Problem> {
    const ALLOWED: &str =
        "one header with this node's address, localhost (on this machine), or a name of --allowed-host";
    let refused = |value: &str| Problem::header(Kind::ForeignHost, "Host", value, ALLOWED);
    match single(headers, &HOST) {
        Some(host) if hosts.knows(host) => Ok(host),
        Some(host) => Err(refused(host)),
        None => Err(refused("missing, doubled or illegible")),
    }
}

/// `Origin` has the host and port of `Host`. The scheme may differ: TLS may end in front of the node.
fn own_origin(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = single(headers, &ORIGIN).unwrap_or("doubled or illegible");
    let own = match origin.split_once("://") {
        Some(("http", authority)) => same(authority, host, 80),
        Some(("https", authority)) => same(authority, host, 443),
        _ => false,
    };
    if own {
        return Ok(());
    }
    Err(Problem::header(Kind::ForeignOrigin, "Origin", origin, "none, or the one of the node itself"))
}

/// A form says that a page of this node has sent it: by its `Origin`, which `guard` has compared, or where there is none,
/// by `Sec-Fetch-Site`. No page can write either of them, and every browser sends one with a form; who sends none may be one
/// that keeps quiet about another site.
///
/// # Errors
/// It does not say so, or says something else.
pub fn from_own_page(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(SEC_FETCH_SITE) {
        match single(headers, &SEC_FETCH_SITE) {
            Some("same-origin") => return Ok(()),
            // No page has led there: it has an origin all the same, or it is refused.
            Some("none") => {}
            other => {
                let given = other.unwrap_or("doubled or illegible");
                return Err(Problem::header(Kind::ForeignOrigin, "Sec-Fetch-Site", given, "same-origin"));
            }
        }
    }
    if headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let allowed = "the one of the node itself, which browsers send with every form of its pages";
    Err(Problem::header(Kind::ForeignOrigin, "Origin", "missing", allowed))
}

fn json(request: &ServiceRequest) -> Result<(), Problem> {
    if ![Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
        return Ok(());
    }
    let (headers, lines) = (request.headers(), request.path() == BATCH_PATH);
    let given = single(headers, &CONTENT_TYPE).unwrap_or("missing, doubled or illegible");
    let essence = given.split(';').next().unwrap_or_default().trim();
    let is = |media_type: &str| essence.eq_ignore_ascii_case(media_type);
    let form = !request.path().starts_with("/v1") && is("application/x-www-form-urlencoded");
    if is("application/json") || (lines && is("application/x-ndjson")) || form {
        return Ok(());
    }
    let allowed = if lines { "application/json or application/x-ndjson" } else { "application/json" };
    Err(Problem::header(Kind::UnsupportedMediaType, "Content-Type", given, allowed))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn same(one: &str, other: &str, default_port: u16) -> bool {
    let parts = |authority| split(authority).map(|(host, port)| (plain(host), port.unwrap_or(default_port)));
    parts(one).is_some_and(|one| parts(other) == Some(one))
}

/// Host and port; `None` if it is no authority.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(host_end..)?.find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at_checked(host_end + colon)?;
            Some((host, Some(port.strip_prefix(':')?.parse().ok()?)))
        }
    }
    .filter(|(host, _)| !host.is_empty())
}

/// Names are the same in any case, with or without the root's dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn hosts(listen: &str) -> Hosts {
        Hosts::new(listen.parse().unwrap(), "Node-1", &["tasks.example.org".to_owned()])
    }

    #[test]
    fn on_loopback_only_this_machines_names_are_known() {
        let hosts = hosts("127.0.0.1:8080");
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST.:9", "[::1]:8080", "127.0.0.2", "Tasks.Example.org:443"]
        {
            assert!(hosts.knows(host), "{host}");
        }
        for host in
            ["evil.example", "10.0.0.1", "node-1", "", ":8080", "localhost:x", "localhost:8080:1", "[::1", "::1:1"]
        {
            assert!(!hosts.knows(host), "{host}");
        }
    }

    #[test]
    fn beyond_loopback_its_addresses_and_its_name_are_known() {
        let everywhere = hosts("0.0.0.0:8080");
        for host in ["10.1.2.3:8080", "[fe80::1]:8080", "node-1:8080", "localhost:8080", "tasks.example.org"] {
            assert!(everywhere.knows(host), "{host}");
        }
        assert!(!everywhere.knows("evil.example:8080"));
        let one = hosts("10.1.2.3:8080");
        assert!(one.knows("10.1.2.3"));
        assert!(!one.knows("10.1.2.4"));
    }

    #[test]
    fn a_form_says_that_a_page_of_this_node_has_sent_it() {
        type Headers = [(HeaderName, &'static str)];
        let own = "http://localhost:8080";
        let says = |headers: &Headers| {
            let pair = |(name, value): &(HeaderName, &'static str)| (name.clone(), HeaderValue::from_static(value));
            from_own_page(&headers.iter().map(pair).collect::<HeaderMap>())
        };
        let taken: [&Headers; 4] = [
            &[(ORIGIN, own)],
            &[(SEC_FETCH_SITE, "same-origin")],
            &[(ORIGIN, own), (SEC_FETCH_SITE, "same-origin")],
            &[(ORIGIN, own), (SEC_FETCH_SITE, "none")],
        ];
        for headers in taken {
            assert!(says(headers).is_ok(), "{headers:?}");
        }
        let refused: [(&Headers, &str); 7] = [
            (&[], "Origin"),
            (&[(SEC_FETCH_SITE, "none")], "Origin"),
            (&[(SEC_FETCH_SITE, "cross-site")], "Sec-Fetch-Site"),
            (&[(ORIGIN, own), (SEC_FETCH_SITE, "cross-site")], "Sec-Fetch-Site"),
            (&[(ORIGIN, own), (SEC_FETCH_SITE, "same-site")], "Sec-Fetch-Site"),
            (&[(ORIGIN, own), (SEC_FETCH_SITE, "Same-Origin")], "Sec-Fetch-Site"),
            (&[(SEC_FETCH_SITE, "same-origin"), (SEC_FETCH_SITE, "same-origin")], "Sec-Fetch-Site"),
        ];
        for (headers, name) in refused {
            let problem = says(headers).unwrap_err();
            assert_eq!(problem.kind(), Kind::ForeignOrigin, "{headers:?}");
            assert!(problem.to_string().starts_with(&format!("the header {name} is ")), "{problem}");
        }
    }

    #[test]
    fn an_origin_is_compared_with_its_port() {
        assert!(same("localhost:8080", "localhost:8080", 80));
        assert!(same("tasks.example.org", "tasks.example.org", 443), "behind a proxy that ends TLS");
        assert!(same("localhost:80", "localhost", 80));
        assert!(!same("localhost:3000", "localhost:8080", 80), "another server of this machine");
        assert!(!same("evil.example", "localhost:8080", 80));
    }
}
