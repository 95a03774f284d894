//! What a person gets who comes to no page at all: by an address where there is nothing, by a name that is not the node's, or
//! in a way that is not taken. Why, as a page. Programs are told by the API's own words.

use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};

use super::frame::{Place, refusal};
use crate::api::Problem;

/// What is there for programs, whoever asks for it.
const FOR_PROGRAMS: [&str; 7] = ["/v1", "/metrics", "/healthz", "/readyz", "/openapi.json", "/live", "/assets"];

/// A problem with a request, if it is a browser's on its way to a page.
pub fn page(request: &HttpRequest, problem: &Problem) -> Option<HttpResponse> {
    let path = request.path();
    let is_for_people = names_html(request.headers()) && !FOR_PROGRAMS.iter().any(|one| is_under(path, one));
    is_for_people.then(|| refusal(nearest(path), problem))
}

/// A browser that goes to a page names it; `*/*` is what programs send that do not care.
fn names_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let mut kinds = values.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

fn is_under(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn nearest(path: &str) -> Place {
    let places = [Place::Tasks, Place::Cluster, Place::Actors, Place::Letters];
    places.into_iter().find(|place| is_under(path, place.path())).unwrap_or(Place::Overview)
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::api::Kind;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn asked(path: &str, accept: &str) -> Option<HttpResponse> {
        let request = TestRequest::with_uri(path).insert_header((ACCEPT, accept)).to_http_request();
        page(&request, &Problem::new(Kind::UnknownPath, "there is nothing at <b>"))
    }

    #[actix_web::test]
    async fn a_person_gets_a_page_that_says_why_and_leads_back() {
        for (path, back) in
            [("/nowhere", "/"), ("/tasks/a/b/c", "/tasks"), ("/cluster/x", "/cluster"), ("/tasksx", "/"), ("/v10", "/")]
        {
            let answer = asked(path, BROWSER).unwrap();
            assert_eq!(answer.status().as_u16(), 404);
            let html = String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap();
            assert!(html.contains("<p role=\"alert\">there is nothing at &lt;b&gt;</p>"), "{html}");
            assert!(html.contains(&format!("<p><a href=\"{back}\">Back to ")), "{path}: {html}");
        }
    }

    #[test]
    fn programs_and_what_is_for_them_get_none() {
        for accept in ["*/*", "application/json", "", "text/plain, application/json", "text/htmlx"] {
            assert!(asked("/nowhere", accept).is_none(), "{accept}");
        }
        for path in ["/v1", "/v1/nowhere", "/v1/tasks:cancel", "/metrics", "/healthz/", "/live/x", "/assets/x.css"] {
            assert!(asked(path, BROWSER).is_none(), "{path}");
        }
        assert!(asked("/nowhere", "application/json;q=0.5, TEXT/HTML;q=1").is_some());
        assert!(
            page(&TestRequest::with_uri("/nowhere").to_http_request(), &Problem::new(Kind::Internal, "x")).is_none()
        );
    }
}
