//! What tells a form of this page from one that another site has made: a value that only pages of this site can read, in a
//! cookie that no other site's form carries along, and in the form. Any node knows its own pages by it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use rand::RngExt as _;

use super::cookie::{self, is_over_tls};
use super::form::Form;
use super::frame::{Place, page_with};
use super::words::visible;
use crate::api::{Kind, Problem, from_own_page};

/// The cookie's name.
const NAME: &str = "task-scheduler-token";
/// Characters of a token: 128 bits.
const CHARS: usize = 32;
/// What is said of a form whose token is not the browser's.
const TOO_OLD: &str = "the page was too old, or the browser keeps no cookies: nothing was done. Look at it once more, and \
    confirm it again";

/// One browser's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    value: String,
    is_new: bool,
    is_over_tls: bool,
}

impl Token {
    /// The one that the browser has, or a new one.
    pub fn of(request: &HttpRequest) -> Self {
        let (value, is_new) = match sent(request) {
            Some(value) => (value.to_owned(), false),
            None => (format!("{:032x}", rand::rng().random::<u128>()), true),
        };
        Self { value, is_new, is_over_tls: is_over_tls(request) }
    }

    /// Its field of a form.
    pub fn field(&self) -> Markup {
        html! { input type="hidden" name="token" value=(self.value); }
    }

    /// Gives it to the browser, if it has none.
    pub fn set(&self, answer: &mut HttpResponse) {
        if self.is_new {
            cookie::give(answer, &format!("{NAME}={}; Path=/", self.value), self.is_over_tls);
        }
    }

    /// A page with a form that has it. `wrong`: why a form that was sent was not taken, and is shown once more.
    pub fn page(&self, place: Place, title: &str, body: &Markup, wrong: Option<&Problem>) -> HttpResponse {
        let status = wrong.map_or(StatusCode::OK, Problem::status);
        let body = html! {
            @if let Some(problem) = wrong { p role="alert" { (visible(&problem.to_string())) } }
            (body)
        };
        let mut answer = page_with(status, place, title, body);
        self.set(&mut answer);
        answer
    }
}

/// The token of the browser's cookie.
fn sent(request: &HttpRequest) -> Option<&str> {
    let value = cookie::sent(request, NAME)?;
    (value.len() == CHARS && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(value)
}

/// Why a form is not taken. Nothing of what it asks for is done.
#[derive(Debug)]
pub enum Unproven {
    /// Nothing says that a page of this site has sent it.
    Foreign(Problem),
    /// One has, and its token is not the browser's. Two pages that are opened at once before the browser has a cookie get a
    /// token each, and so does whoever comes by a link of another site, which takes no cookie along; the last one is kept.
    ///
    /// It is answered with the same form, which has the browser's token now, and asks for another confirmation. So no page is
    /// a dead end, what was filled in is kept, and the nodes have no secret to share, by which they would know each other's
    /// tokens. It is as safe as opening the page anew: nothing is done, no other site can read the answer, and what is
    /// filled in was sent by a page of this site.
    Old(Problem),
}

/// The form comes from a page of this site, and has the browser's own token.
///
/// # Errors
/// It does not, or has another.
pub fn checked(request: &HttpRequest, form: &Form) -> Result<(), Unproven> {
    from_own_page(request.headers()).map_err(Unproven::Foreign)?;
    match (sent(request), form.get("token")) {
        (Some(cookie), Some(field)) if cookie == field => Ok(()),
        _ => Err(Unproven::Old(Problem::new(Kind::ForeignOrigin, TOO_OLD))),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header::{COOKIE, ORIGIN, SET_COOKIE};
    use actix_web::test::TestRequest;

    use super::*;

    fn request() -> TestRequest {
        TestRequest::default().insert_header((ORIGIN, "http://localhost:8080"))
    }

    fn form(token: &str) -> Form {
        Form::read(format!("token={token}").as_bytes())
    }

    #[test]
    fn a_form_is_taken_only_with_the_browsers_own_token() {
        let first = Token::of(&request().to_http_request());
        assert!(first.is_new && first.value.len() == CHARS);
        let cookie = format!("other=1; {NAME}={}", first.value);
        let kept = request().insert_header((COOKIE, cookie)).to_http_request();
        assert_eq!(Token::of(&kept), Token { is_new: false, ..first.clone() });
        assert!(checked(&kept, &form(&first.value)).is_ok());
        let none = request().to_http_request();
        let empty = request().insert_header((COOKIE, format!("{NAME}="))).to_http_request();
        for (request, form) in [
            (&kept, form(&"0".repeat(CHARS))),
            (&kept, form("")),
            (&kept, Form::read(b"")),
            (&none, form(&first.value)),
            (&none, form("")),
            (&empty, form("")),
        ] {
            let Err(Unproven::Old(problem)) = checked(request, &form) else { panic!("{form:?} is taken, or foreign") };
            assert_eq!(problem.status(), StatusCode::FORBIDDEN, "{form:?}");
        }
    }

    #[test]
    fn a_form_with_the_right_token_says_where_it_comes_from_too() {
        let token = "0".repeat(CHARS);
        for (header, is_own) in [
            (("origin", "http://localhost:8080"), true),
            (("sec-fetch-site", "same-origin"), true),
            (("sec-fetch-site", "same-site"), false),
            (("x-other", "y"), false),
        ] {
            let request =
                TestRequest::default().insert_header((COOKIE, format!("{NAME}={token}"))).insert_header(header);
            let checked = checked(&request.to_http_request(), &form(&token));
            assert_eq!(checked.is_ok(), is_own, "{header:?}: {checked:?}");
            assert!(is_own || matches!(checked, Err(Unproven::Foreign(_))), "{checked:?}");
        }
    }

    #[test]
    fn a_new_one_is_set_once_and_for_this_site_only() {
        let mut answer = HttpResponse::Ok().finish();
        let token = Token::of(&TestRequest::default().to_http_request());
        token.set(&mut answer);
        let cookie = answer.headers().get(SET_COOKIE).unwrap().to_str().unwrap().to_owned();
        assert_eq!(cookie, format!("{NAME}={}; Path=/; HttpOnly; SameSite=Strict", token.value));
        let mut again = HttpResponse::Ok().finish();
        Token { is_new: false, ..token }.set(&mut again);
        assert_eq!(again.headers().get(SET_COOKIE), None);
        let over_tls = TestRequest::default().insert_header(("x-forwarded-proto", "https")).to_http_request();
        let mut answer = HttpResponse::Ok().finish();
        Token::of(&over_tls).set(&mut answer);
        assert!(answer.headers().get(SET_COOKIE).unwrap().to_str().unwrap().ends_with("; Secure"));
    }

    #[actix_web::test]
    async fn a_form_that_was_not_taken_is_shown_once_more_with_the_reason_above() {
        let token = Token::of(&TestRequest::default().to_http_request());
        let problem = Problem::new(Kind::InvalidField, "not <so>");
        let body = html! { form { (token.field()) } };
        for (wrong, status, alerts) in [(None, 200, 0), (Some(&problem), 400, 1)] {
            let answer = token.page(Place::Cluster, "Really?", &body, wrong);
            assert_eq!((answer.status().as_u16(), answer.headers().contains_key(SET_COOKIE)), (status, true));
            let html = String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap();
            assert_eq!(html.matches("<p role=\"alert\">not &lt;so&gt;</p><form>").count(), alerts, "{html}");
            assert!(html.contains(&token.value), "{html}");
        }
    }
}
