//! What every page has: head, navigation, the ways of the keyboard, and the headers that keep everything foreign out.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use maud::{DOCTYPE, Markup, html};

use super::words::visible;
use crate::api::Problem;

/// Nothing but the node's own style sheet, script and stream is applied or asked for, whatever text gets onto a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What every page ends with.
const END: &str = "</main></body></html>\n";

/// A part of a page: its id, its label, and what stands in it.
pub type Section = (&'static str, &'static str, Markup);

/// The pages one can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everything at a glance.
    Overview,
    /// Tasks.
    Tasks,
    /// Nodes and reigns.
    Cluster,
    /// What the actors do.
    Actors,
    /// What could not be read.
    Letters,
}

impl Place {
    const ALL: [Self; 5] = [Self::Overview, Self::Tasks, Self::Cluster, Self::Actors, Self::Letters];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Tasks => "/tasks",
            Self::Cluster => "/cluster",
            Self::Actors => "/actors",
            Self::Letters => "/dead-letters",
        }
    }

    /// The name of its stream, if it renews itself.
    pub fn stream(self) -> Option<&'static str> {
        match self {
            Self::Overview => Some("overview"),
            Self::Cluster => Some("cluster"),
            Self::Actors => Some("actors"),
            Self::Tasks | Self::Letters => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Tasks => "Tasks",
            Self::Cluster => "Cluster",
            Self::Actors => "Actors",
            Self::Letters => "Dead letters",
        }
    }
}

/// A page.
pub fn page(place: Place, title: &str, body: Markup) -> HttpResponse {
    page_with(StatusCode::OK, place, title, body)
}

/// The same with this status.
pub fn page_with(status: StatusCode, place: Place, title: &str, body: Markup) -> HttpResponse {
    answer(status).body(open(place, title) + &body.into_string() + END)
}

/// A page whose sections come anew by its stream.
pub fn live_page(place: Place, title: &str, body: Markup) -> HttpResponse {
    answer(StatusCode::OK).body(begin(place, title, place.stream()) + &body.into_string() + END)
}

/// An answer with the headers of a page.
pub fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((CACHE_CONTROL, "no-store"));
    answer
}

/// Sends the browser on to this page.
pub fn see(page: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::SEE_OTHER).insert_header((LOCATION, page)).finish()
}

/// Everything before the body of a page.
pub fn open(place: Place, title: &str) -> String {
    begin(place, title, None)
}

fn begin(place: Place, title: &str, stream: Option<&str>) -> String {
    let head = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (visible(title)) " – task-scheduler" }
                meta name="viewport" content="width=device-width";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/dashboard.css";
                script src="/assets/dashboard.js" defer {}
            }
            body data-stream=[stream] {
                a.skip href="#main" { "To the content" }
                header {
                    nav aria-label="Pages" {
                        @for one in Place::ALL {
                            a href=(one.path()) aria-current=[(one == place).then_some("page")] { (one.name()) }
                        }
                        a href="/docs" { "API" }
                    }
                    @if stream.is_some() {
                        div.stream {
                            p #stream-state role="status" {}
                            button #hold type="button" aria-pressed="false" hidden { "Hold still" }
                        }
                    }
                }
                main #main tabindex="-1" { h1 { (visible(title)) } }
            }
        }
    };
    let head = head.into_string();
    head.strip_suffix("</main></body></html>").unwrap_or(&head).to_owned()
}

/// Everything behind it.
pub fn close() -> &'static str {
    END
}

/// The section whose news are read out to who does not see them.
pub const ALARMS: &str = "alarms";

/// A section that the stream of its page sends anew.
pub fn live(id: &str, label: &str, body: &Markup) -> Markup {
    html! { section id=(id) aria-label=(label) aria-live=[(id == ALARMS).then_some("polite")] { (body) } }
}

/// A problem as a page.
pub fn refusal(place: Place, problem: &Problem) -> HttpResponse {
    let body = html! {
        p role="alert" { (visible(&problem.to_string())) }
        p { a href=(place.path()) { "Back to " (place.name().to_lowercase()) } }
    };
    let mut page = page_with(problem.status(), place, problem.kind().title(), body);
    if problem.is_passing() {
        page.headers_mut().insert(RETRY_AFTER, actix_web::http::header::HeaderValue::from_static("1"));
    }
    page
}

/// What a page could not do, and to which place it belongs.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub problem: Problem,
    /// Where one goes from there.
    pub place: Place,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, place: Place::Overview }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.problem.status()
    }

    fn error_response(&self) -> HttpResponse {
        refusal(self.place, &self.problem)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;
    use crate::api::Kind;

    async fn text(answer: HttpResponse) -> String {
        String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap()
    }

    #[actix_web::test]
    async fn a_page_says_where_one_is_and_lets_nothing_foreign_in() {
        let answer = page(Place::Tasks, "A <task>\u{202e}", html! { p { "body" } });
        let policy = answer.headers().get(CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let html = text(answer).await;
        assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">") && html.ends_with(END), "{html}");
        assert!(html.contains("<h1>A &lt;task&gt;‹U+202E›</h1><p>body</p></main>"), "{html}");
        assert!(html.contains("<a href=\"/tasks\" aria-current=\"page\">Tasks</a>"), "{html}");
        assert_eq!(html.matches("aria-current").count(), 1);
    }

    #[actix_web::test]
    async fn what_is_refused_is_a_page_too() {
        let refused = Refused::from(Problem::new(Kind::Unavailable, "not <now>"));
        let answer = refused.error_response();
        assert_eq!((answer.status().as_u16(), answer.headers().get(RETRY_AFTER).is_some()), (503, true));
        let html = text(answer).await;
        assert!(html.contains("<p role=\"alert\">not &lt;now&gt;</p>"), "{html}");
    }
}
