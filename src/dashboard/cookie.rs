//! Cookies of the pages: no script reads them, and no other site has them sent along.

use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};

/// What stands before the names of those that are given over TLS. They have names of their own: one that is never sent without TLS
/// cannot be replaced without it either, and whoever uses both ways would be locked out of one of them.
const SECURE: &str = "__Secure-";

/// The value of the first one of this name that has come with a request.
pub fn sent<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let before = if is_over_tls(request) { SECURE } else { "" };
    let headers = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| of.strip_prefix(before) == Some(name)).map(|(_, value)| value)
}

/// Gives one to the browser: its name and value, where it belongs, and how long.
pub fn give(answer: &mut HttpResponse, cookie: &str, is_secure: bool) {
    let (before, secure) = if is_secure { (SECURE, "; Secure") } else { ("", "") };
    if let Ok(cookie) = HeaderValue::from_str(&format!("{before}{cookie}; HttpOnly; SameSite=Strict{secure}")) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The browser speaks TLS, which ends in front of the node: `Forwarded` or `X-Forwarded-Proto` says so. What it is given then
/// is never sent without TLS. Whoever says so without being asked harms nobody but himself.
pub fn is_over_tls(request: &HttpRequest) -> bool {
    request.connection_info().scheme().eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn one_is_found_among_others_by_its_whole_name() {
        let request = TestRequest::default().insert_header((COOKIE, "xa=1; a=2=3;a=4; b")).to_http_request();
        assert_eq!((sent(&request, "a"), sent(&request, "b"), sent(&request, "x")), (Some("2=3"), None, None));
    }

    #[test]
    fn what_is_given_over_tls_stays_there() {
        for (header, value, is_secure) in [
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "http", false),
            ("forwarded", "for=10.0.0.1;proto=HTTPS;by=10.0.0.2", true),
            ("forwarded", "for=10.0.0.1", false),
            ("x-other", "https", false),
        ] {
            let request = TestRequest::default().insert_header((header, value)).to_http_request();
            assert_eq!(is_over_tls(&request), is_secure, "{header}: {value}");
            let mut answer = HttpResponse::Ok().finish();
            give(&mut answer, "a=b; Path=/", is_over_tls(&request));
            let cookie = answer.headers().get(SET_COOKIE).unwrap().to_str().unwrap();
            let given = "a=b; Path=/; HttpOnly; SameSite=Strict";
            let secure = format!("__Secure-{given}; Secure");
            assert_eq!(cookie, if is_secure { secure.as_str() } else { given });
            let both =
                TestRequest::default().insert_header((header, value)).insert_header((COOKIE, "a=1; __Secure-a=2"));
            assert_eq!(sent(&both.to_http_request(), "a"), Some(if is_secure { "2" } else { "1" }), "each way its own");
        }
    }

    #[test]
    fn what_would_be_another_header_is_not_given() {
        let mut answer = HttpResponse::Ok().finish();
        give(&mut answer, "a=b\r\nx: y", false);
        assert_eq!(answer.headers().get(SET_COOKIE), None);
    }
}
