//! `GET` and `POST /tasks/{id}/{deed}`: what is about to be done to one task, and doing it.

mod deed;

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::done::tell;
use super::form::Form;
use super::frame::{self, Place};
use super::token::{Token, Unproven, checked};
use super::words::{self, clipped};
use crate::api::request_id::InLog;
use crate::api::{self, ApiState, Kind, Problem, task_id};
use crate::domain::{Task, TaskId, tags};

pub use deed::Deed;

/// Longest text that is repeated, in characters.
const CHARS_SHOWN: usize = 200;

/// `GET /tasks/{id}/{deed}`. Nothing is done yet.
pub async fn ask(
    dashboard: web::Data<Dashboard>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (id, deed) = path.into_inner();
    let asked = asked(&dashboard.api, &id, &deed, &Token::of(&request), None).await;
    asked.unwrap_or_else(|problem| frame::refusal(Place::Tasks, &problem))
}

/// The page that asks. `wrong`: why a form of it that was sent was not taken.
async fn asked(
    api: &ApiState,
    id: &str,
    deed: &str,
    token: &Token,
    wrong: Option<&Problem>,
) -> Result<HttpResponse, Problem> {
    let (id, deed) = (task_id(id)?, Deed::from_word(deed)?);
    let accepted = api.remembered(id);
    let found = api.ask(move |store| store.find(id)).await?;
    let Some(task) = found else {
        return Err(accepted.map_or_else(
            || Problem::no_such_task(id),
            |standing| Problem::not_stored(id, standing.word(), "open its page, which says how it goes on"),
        ));
    };
    if task.state != deed.acts_on() {
        let detail = format!("the task is {} now; this acts on {} tasks only", task.state, deed.acts_on());
        return Err(Problem::new(Kind::WrongState, detail).about(id));
    }
    let title = format!("{} this task?", deed.name());
    Ok(token.page(Place::Tasks, &title, &question(&task, deed, token), wrong))
}

fn question(task: &Task, deed: Deed, token: &Token) -> Markup {
    html! {
        dl {
            dt { "id" } dd { code { (task.id) } }
            dt { "state" } dd { (words::state(task.state)) }
            dt { "due_at" } dd { (words::instant(task.due_at)) }
            dt { "target" } dd { (clipped(&tags::address(&task.spec.target), CHARS_SHOWN)) }
        }
        p { (deed.effect()) }
        form method="post" action={ "/tasks/" (task.id) "/" (deed.word()) } {
            (token.field())
            (deed.fields(Some(task.run_at)))
            button type="submit" { (deed.name()) }
        }
        p { a href={ "/tasks/" (task.id) } { "Back, and leave it as it is" } }
    }
}

/// `POST /tasks/{id}/{deed}`.
pub async fn act(
    dashboard: web::Data<Dashboard>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    form: Form,
) -> HttpResponse {
    let (id, deed) = path.into_inner();
    let api = &dashboard.api;
    let answer = match checked(&request, &form) {
        Ok(()) => {
            let done = done(api, &id, &deed, &form).await;
            done.map(|(id, deed)| tell(&request, &format!("/tasks/{id}"), deed.done()))
        }
        Err(Unproven::Foreign(problem)) => Err(problem),
        Err(Unproven::Old(problem)) => asked(api, &id, &deed, &Token::of(&request), Some(&problem)).await,
    };
    answer.unwrap_or_else(|problem| frame::refusal(Place::Tasks, &problem))
}

async fn done(api: &ApiState, id: &str, deed: &str, form: &Form) -> Result<(TaskId, Deed), Problem> {
    let at = api.database_clock.at_latest();
    let (id, deed) = (task_id(id)?, Deed::from_word(deed)?);
    let operation = deed.operation(form, at)?;
    let state = api::act(api, id, operation).await?;
    log::info!("{InLog}task {id}: {operation:?} by a page, it is {state} now");
    Ok((id, deed))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::tasks::fixture::{self, stored, text};
    use super::*;
    use crate::domain::{State, Timestamp};

    fn token() -> Token {
        Token::of(&TestRequest::default().to_http_request())
    }

    #[actix_web::test]
    async fn the_question_says_what_will_happen_and_changes_nothing() {
        let (api, _folder) = fixture::api();
        let id = stored(&api, r#""labels": {"a": "b"}"#);
        let before = api.store.find(id).unwrap();
        for deed in Deed::ALL.into_iter().filter(|deed| deed.acts_on() == State::Scheduled) {
            let html = text(asked(&api, &id.to_string(), deed.word(), &token(), None).await.unwrap()).await;
            assert!(html.contains(&format!("<form method=\"post\" action=\"/tasks/{id}/{}\">", deed.word())), "{html}");
            assert!(html.contains("name=\"token\"") && html.contains(deed.effect()), "{html}");
            assert_eq!(
                (html.matches("<button").count(), html.matches(&format!("href=\"/tasks/{id}\"")).count()),
                (1, 1)
            );
        }
        assert_eq!(api.store.find(id).unwrap(), before);
    }

    #[actix_web::test]
    async fn what_its_state_does_not_allow_is_not_even_asked() {
        let (api, _folder) = fixture::api();
        let id = stored(&api, r#""labels": {"a": "b"}"#).to_string();
        for (id, deed, kind) in [
            (id.as_str(), "retry", Kind::WrongState),
            (id.as_str(), "resolve", Kind::WrongState),
            (id.as_str(), "remove", Kind::UnknownPath),
            ("0199c0de-0000-7000-8000-000000000001", "cancel", Kind::NoSuchTask),
            ("x", "cancel", Kind::InvalidParameter),
        ] {
            assert_eq!(asked(&api, id, deed, &token(), None).await.unwrap_err().kind(), kind, "{id} {deed}");
            assert_eq!(
                done(&api, id, deed, &Form::read(b"state=failed")).await.unwrap_err().kind(),
                kind,
                "{id} {deed}"
            );
        }
    }

    #[actix_web::test]
    async fn a_deed_is_done_once_and_told_afterwards() {
        let (api, _folder) = fixture::api();
        let id = stored(&api, r#""labels": {"a": "b"}"#);
        let christmas = Timestamp::parse("2099-12-24T17:00:00Z").unwrap();
        let late = Form::read(b"run_at=2099-12-24T17:00:00Z");
        let refused = done(&api, &id.to_string(), "reschedule", &late).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::InvalidField, "more than ten years ahead");
        assert_ne!(api.store.find(id).unwrap().unwrap().run_at, christmas);
        let cancelled = done(&api, &id.to_string(), "cancel", &Form::read(b"")).await.unwrap();
        assert_eq!(cancelled, (id, Deed::Cancel));
        assert_eq!(api.store.find(id).unwrap().unwrap().state, State::Cancelled);
    }
}
