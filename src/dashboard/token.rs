//! What tells a form of this page from one that another site has made: a value that only pages of this site can read, in a
//! cookie that no other site's form carries along, and in the form. Any node knows its own pages by it.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::{HttpResponse, http::StatusCode};
use maud::{Markup, html};
use rand::RngExt as _;

use super::form::Form;
use super::frame::{Place, Refused};
use crate::api::{Kind, Problem};

/// The cookie's name.
const NAME: &str = "task-scheduler-token";
/// Characters of a token: 128 bits.
const CHARS: usize = 32;

/// One browser's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    value: String,
    is_new: bool,
}

impl Token {
    /// The one that the browser has, or a new one.
    pub fn of(request: &HttpRequest) -> Self {
        match sent(request) {
            Some(value) => Self { value, is_new: false },
            None => Self { value: format!("{:032x}", rand::rng().random::<u128>()), is_new: true },
        }
    }

    /// Its field of a form.
    pub fn field(&self) -> Markup {
        html! { input type="hidden" name="token" value=(self.value); }
    }

    /// Gives it to the browser, if it has none.
    pub fn set(&self, answer: &mut HttpResponse) {
        let cookie = format!("{NAME}={}; Path=/; HttpOnly; SameSite=Strict", self.value);
        if let Some(cookie) = HeaderValue::from_str(&cookie).ok().filter(|_| self.is_new) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

/// The token of the browser's cookie.
fn sent(request: &HttpRequest) -> Option<String> {
    let headers = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find(|(name, _)| *name == NAME)?.1;
    (value.len() == CHARS && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| value.to_owned())
}

/// The form comes from a page of this site.
///
/// # Errors
/// It does not, or the page is so old that the browser has forgotten its cookie.
pub fn checked(request: &HttpRequest, form: &Form) -> Result<(), Refused> {
    match (sent(request), form.get("token")) {
        (Some(cookie), Some(field)) if cookie == field => Ok(()),
        _ => {
            let detail = "the form does not come from a page of this dashboard, or the page is too old: open it again";
            Err(Refused { problem: Problem::new(Kind::ForeignOrigin, detail), place: Place::Overview })
        }
    }
}

/// Where a browser goes after a deed.
pub fn see(place: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::SEE_OTHER).insert_header(("location", place)).finish()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_form_is_taken_only_with_the_browsers_own_token() {
        let first = Token::of(&TestRequest::default().to_http_request());
        assert!(first.is_new && first.value.len() == CHARS);
        let cookie = format!("other=1; {NAME}={}", first.value);
        let request = TestRequest::default().insert_header((COOKIE, cookie)).to_http_request();
        assert_eq!(Token::of(&request), Token { is_new: false, ..first.clone() });
        let form = |token: &str| Form::read(format!("token={token}").as_bytes());
        assert!(checked(&request, &form(&first.value)).is_ok());
        assert!(checked(&request, &form(&"0".repeat(CHARS))).is_err());
        assert!(checked(&request, &Form::read(b"")).is_err());
        assert!(checked(&TestRequest::default().to_http_request(), &form(&first.value)).is_err());
        assert!(checked(&TestRequest::default().to_http_request(), &form("")).is_err());
    }

    #[test]
    fn a_new_one_is_set_once_and_for_this_site_only() {
        let mut answer = HttpResponse::Ok().finish();
        let token = Token::of(&TestRequest::default().to_http_request());
        token.set(&mut answer);
        let cookie = answer.headers().get(SET_COOKIE).unwrap().to_str().unwrap().to_owned();
        assert!(cookie.contains("SameSite=Strict") && cookie.contains("HttpOnly"), "{cookie}");
        let mut again = HttpResponse::Ok().finish();
        Token { is_new: false, ..token }.set(&mut again);
        assert_eq!(again.headers().get(SET_COOKIE), None);
    }
}
