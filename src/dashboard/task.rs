//! `GET /tasks/{id}`: one task, what it carries, and what has become of it.

mod attempts;
mod facts;
mod payload;
mod timeline;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::act::Deed;
use super::done::{forget, word};
use super::frame::{self, Place};
use super::tasks::host;
use super::words::visible;
use crate::api::{ApiState, Problem, task_id};
use crate::domain::{Attempt, Task, TaskId, Timestamp};
use crate::queue::kafka::Unstored;

/// A browser that is told so asks again after so many seconds, without a script.
const REFRESH: HeaderName = HeaderName::from_static("refresh");
const REFRESH_S: &str = "2";

/// `GET /tasks/{id}`.
pub async fn page(dashboard: web::Data<Dashboard>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let done = word(&request).and_then(done);
    match answer(&dashboard.api, &id, done, &host(&request)).await {
        Ok(mut page) => {
            forget(&request, &mut page);
            page
        }
        Err(problem) => frame::refusal(Place::Tasks, &problem),
    }
}

async fn answer(api: &ApiState, id: &str, done: Option<Deed>, host: &str) -> Result<HttpResponse, Problem> {
    let id = task_id(id)?;
    // Asked first: what is forgotten between the two questions is stored.
    let accepted = api.remembered(id);
    let found = api.ask(move |store| {
        let Some(task) = store.find(id)? else { return Ok(None) };
        Ok(Some((task, store.attempts(id)?)))
    });
    match (found.await?, accepted) {
        (Some((task, attempts)), _) => {
            let body = shown(&task, &attempts, done, api.database_clock.now());
            Ok(frame::page(Place::Tasks, &title(id), body))
        }
        (None, Some(standing)) => Ok(unstored(id, standing, host)),
        (None, None) => Err(Problem::no_such_task(id)),
    }
}

/// What was just done.
fn done(word: &str) -> Option<Deed> {
    Deed::ALL.into_iter().find(|deed| deed.done() == word)
}

fn title(id: TaskId) -> String {
    format!("Task {id}")
}

fn shown(task: &Task, attempts: &[Attempt], done: Option<Deed>, now: Timestamp) -> Markup {
    let deeds: Vec<Deed> = Deed::ALL.into_iter().filter(|deed| deed.acts_on() == task.state).collect();
    html! {
        @if let Some(done) = done { p role="status" { "The task was " (done.done_in_words()) "." } }
        @if !deeds.is_empty() {
            ul.deeds aria-label="What can be done" {
                @for deed in deeds {
                    li { a.button href={ "/tasks/" (task.id) "/" (deed.word()) } { (deed.name()) } }
                }
            }
        }
        section aria-labelledby="facts" { h2 #facts { "The task" } (facts::of(task)) }
        section aria-labelledby="timeline" { h2 #timeline { "Timeline" } (timeline::of(task, attempts, now)) }
        section aria-labelledby="attempts" { h2 #attempts { "Attempts" } (attempts::of(attempts)) }
        section aria-labelledby="payload" { h2 #payload { "Payload" } (payload::of(&task.spec.payload)) }
    }
}

/// It is in the topic and not in the task database. The page comes again until it is there.
fn unstored(id: TaskId, standing: Unstored, host: &str) -> HttpResponse {
    let body = html! {
        @match standing {
            Unstored::Accepted => {
                p role="status" {
                    "The task is accepted by this node and not stored yet. This page asks again every two seconds."
                }
                p { "Until it is stored it can be cancelled by the API only:" }
                pre tabindex="0" { code { (visible(&format!("curl -X DELETE 'http://{host}/v1/tasks/{id}'"))) } }
            }
            Unstored::Cancelled => {
                p role="status" {
                    "The task was cancelled before it was stored, and will be stored as that. This page asks again every \
                     two seconds."
                }
            }
        }
        p { a href={ "/tasks/" (id) } { "Ask again now" } }
    };
    let mut answer = frame::page(Place::Tasks, &title(id), body);
    answer.headers_mut().insert(REFRESH, HeaderValue::from_static(REFRESH_S));
    answer
}

#[cfg(test)]
mod tests {
    use super::super::tasks::fixture::{self, stored, text};
    use super::*;
    use crate::api::Kind;

    #[actix_web::test]
    async fn a_page_offers_what_the_tasks_state_allows() {
        let (api, _folder) = fixture::api();
        let id = stored(&api, r#""payload": {"a": 1.00}, "labels": {"tenant": "acme"}"#);
        let html = text(answer(&api, &id.to_string(), None, "h").await.unwrap()).await;
        let offers = |html: &str| Deed::ALL.map(|deed| html.contains(&format!("href=\"/tasks/{id}/{}\"", deed.word())));
        assert_eq!(offers(&html), Deed::ALL.map(|deed| deed.acts_on() == crate::domain::State::Scheduled), "{html}");
        assert!(html.contains("&quot;a&quot;: 1.00") && html.contains("href=\"/tasks?label=tenant%3Dacme\""), "{html}");
        assert!(!html.contains("The task was"), "{html}");

        api.store.cancel(id).unwrap();
        let html = text(answer(&api, &id.to_string(), done("cancelled"), "h").await.unwrap()).await;
        assert_eq!(offers(&html), [false; 5], "{html}");
        assert!(html.contains("<p role=\"status\">The task was cancelled.</p>"), "{html}");
        assert_eq!(html.matches("<h1>").count(), 1);
    }

    #[actix_web::test]
    async fn what_is_not_there_is_refused() {
        let (api, _folder) = fixture::api();
        let missing = answer(&api, "0199c0de-0000-7000-8000-000000000001", None, "h").await.unwrap_err();
        assert_eq!((missing.kind(), missing.status().as_u16()), (Kind::NoSuchTask, 404));
        assert_eq!(answer(&api, "<b>", None, "h").await.unwrap_err().kind(), Kind::InvalidParameter);
        assert_eq!(done("<b>"), None);
    }

    #[actix_web::test]
    async fn what_is_not_stored_yet_says_so_and_asks_again() {
        let id = task_id("0199c0de-0000-7000-8000-000000000001").unwrap();
        let accepted = unstored(id, Unstored::Accepted, "h:1");
        assert_eq!(accepted.headers().get(REFRESH).unwrap(), REFRESH_S);
        let html = text(accepted).await;
        assert!(html.contains(&format!("curl -X DELETE 'http://h:1/v1/tasks/{id}'")), "{html}");
        let html = text(unstored(id, Unstored::Cancelled, "h:1")).await;
        assert!(html.contains("cancelled before it was stored") && !html.contains("curl"), "{html}");
    }
}
