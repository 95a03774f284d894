//! Answers in gzip, for those who take it.
//!
//! A strong `ETag` names bytes, so that of a packed answer has `-gzip` at its end; conditions of requests are read without it.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, VARY,
};
use actix_web::middleware::Next;
use bytes::Bytes;

use super::gzip;
use super::request_id::InLog;

/// Smaller answers stay as they are, in bytes.
const BYTES_MIN: u64 = 1_024;
/// Up to so many bytes are packed on the thread that serves: well below a millisecond.
const INLINE_BYTES_MAX: usize = 64 * 1024;
const SUFFIX: &str = "-gzip\"";

/// The middleware. Streams are left alone: each of their lines is to be read when it is written.
pub async fn answers<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let accepted = accepts_gzip(request.headers());
    for name in [IF_MATCH, IF_NONE_MATCH] {
        plain_conditions(request.headers_mut(), &name);
    }
    let answer = next.call(request).await?.map_into_boxed_body();
    let BodySize::Sized(BYTES_MIN..) = answer.response().body().size() else { return Ok(answer) };
    if answer.headers().contains_key(CONTENT_ENCODING) {
        return Ok(answer);
    }
    let (request, answer) = answer.into_parts();
    let (mut head, body) = answer.into_parts();
    head.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    let body = match body.try_into_bytes() {
        Ok(whole) if accepted => match packed(whole.clone()).await {
            Some(small) => {
                head.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                name_packed(head.headers_mut());
                BoxBody::new(small)
            }
            None => BoxBody::new(whole),
        },
        Ok(whole) => BoxBody::new(whole),
        Err(stream) => stream,
    };
    Ok(ServiceResponse::new(request, head.set_body(body)))
}

async fn packed(whole: Bytes) -> Option<Vec<u8>> {
    let packed = if whole.len() <= INLINE_BYTES_MAX {
        gzip::packed(&whole)
    } else {
        crate::actors::blocking(move || Ok(gzip::packed(&whole)))
            .await
            .unwrap_or_else(|cause| Err(std::io::Error::other(cause)))
    };
    packed.inspect_err(|cause| log::warn!("{InLog}the answer is sent as it is, not packed: {cause}")).ok()
}

/// It is named, or everything is, and not refused by `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = None;
    for value in headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok()) {
        for coding in value.split(',') {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let wanted = quality.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0));
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                return wanted;
            }
            if name == "*" {
                any = Some(wanted);
            }
        }
    }
    any.unwrap_or(false)
}

fn name_packed(headers: &mut HeaderMap) {
    let name =
        headers.get(ETAG).and_then(|tag| tag.to_str().ok()?.strip_suffix('"').map(|tag| format!("{tag}{SUFFIX}")));
    if let Some(name) = name.and_then(|name| HeaderValue::from_str(&name).ok()) {
        headers.insert(ETAG, name);
    }
}

fn plain_conditions(headers: &mut HeaderMap, name: &HeaderName) {
    let packed = |value: &&HeaderValue| value.to_str().is_ok_and(|text| text.contains(SUFFIX));
    if !headers.get_all(name).any(|value| packed(&value)) {
        return;
    }
    let plain: Vec<HeaderValue> = headers
        .get_all(name)
        .map(|value| {
            let text = value.to_str().map(|text| text.replace(SUFFIX, "\""));
            text.ok().and_then(|text| HeaderValue::from_str(&text).ok()).unwrap_or_else(|| value.clone())
        })
        .collect();
    headers.remove(name);
    for value in plain {
        headers.append(name.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip; q=0.000", false),
            ("deflate, br", false),
            ("identity", false),
            ("", false),
            ("gzip;q=x", false),
        ] {
            assert_eq!(accepts_gzip(&headers(ACCEPT_ENCODING, value)), accepted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_packed_answer_has_a_tag_of_its_own_that_is_understood() {
        let mut answer = headers(ETAG, "\"abc\"");
        name_packed(&mut answer);
        assert_eq!(answer.get(ETAG).unwrap(), "\"abc-gzip\"");
        let mut request = headers(IF_MATCH, "\"x\", \"abc-gzip\"");
        plain_conditions(&mut request, &IF_MATCH);
        assert_eq!(request.get(IF_MATCH).unwrap(), "\"x\", \"abc\"");
    }
}
