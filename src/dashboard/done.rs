//! What was just done, said once by the page that comes next. A cookie brings the word there and is gone with it: an address
//! would say so to everybody who is sent it, whether it has happened or not.

use actix_web::{HttpRequest, HttpResponse};

use super::cookie::{self, is_over_tls};
use super::frame::see;

/// The cookie's name.
const NAME: &str = "task-scheduler-done";
/// Where the page does not come, its word is forgotten after so many seconds.
const SECONDS: u32 = 30;

/// Sends the browser on to a page of this path, which says this word.
pub fn tell(request: &HttpRequest, page: &str, word: &str) -> HttpResponse {
    let mut answer = see(page);
    cookie::give(&mut answer, &format!("{NAME}={word}; Path={page}; Max-Age={SECONDS}"), is_over_tls(request));
    answer
}

/// The word that has come with a request. It is the page's to know it.
pub fn word(request: &HttpRequest) -> Option<&str> {
    cookie::sent(request, NAME)
}

/// With the page that says it, it is over: loaded once more, the page says it no more.
pub fn forget(request: &HttpRequest, answer: &mut HttpResponse) {
    if word(request).is_some() {
        cookie::give(answer, &format!("{NAME}=; Path={}; Max-Age=0", request.path()), is_over_tls(request));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{COOKIE, LOCATION, SET_COOKIE};
    use actix_web::test::TestRequest;

    use super::*;

    fn given(answer: &HttpResponse) -> Option<&str> {
        answer.headers().get(SET_COOKIE).map(|cookie| cookie.to_str().unwrap())
    }

    #[test]
    fn a_word_goes_with_the_browser_and_not_with_the_address() {
        let answer = tell(&TestRequest::default().to_http_request(), "/tasks/7", "cancelled");
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get(LOCATION).unwrap().as_bytes()),
            (303, &b"/tasks/7"[..])
        );
        let cookie = "task-scheduler-done=cancelled; Path=/tasks/7; Max-Age=30; HttpOnly; SameSite=Strict";
        assert_eq!(given(&answer), Some(cookie));
    }

    #[test]
    fn a_word_is_forgotten_with_the_page_that_says_it() {
        let request =
            |cookie: &str| TestRequest::with_uri("/tasks/7?a=b").insert_header((COOKIE, cookie)).to_http_request();
        let told = request("task-scheduler-token=x; task-scheduler-done=cancelled");
        assert_eq!(word(&told), Some("cancelled"));
        let mut answer = HttpResponse::Ok().finish();
        forget(&told, &mut answer);
        let cookie = "task-scheduler-done=; Path=/tasks/7; Max-Age=0; HttpOnly; SameSite=Strict";
        assert_eq!(given(&answer), Some(cookie));
        let (untold, mut answer) = (request("task-scheduler-token=x"), HttpResponse::Ok().finish());
        forget(&untold, &mut answer);
        assert_eq!((word(&untold), given(&answer)), (None, None));
    }
}
