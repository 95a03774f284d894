//! `GET` and `POST /tasks/all/{deed}?…`: how many tasks a filter lets through, and the same done to all of them.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::act::Deed;
use super::form::Form;
use super::frame::{self, Place};
use super::tasks::{Query, conditions};
use super::token::{Token, Unproven, checked};
use super::words::count;
use crate::api::request_id::InLog;
use crate::api::{ApiState, Problem, Turn, Work, meant, refuse_while_stopping};
use crate::store::Filter;
use progress::Going;

/// Where the count stops.
const COUNTED_MAX: usize = 100_000;
/// After this time it stops too.
const COUNTING: Duration = Duration::from_secs(2);

/// `GET /tasks/all/{deed}`. Nothing is done yet.
pub async fn ask(
    dashboard: web::Data<Dashboard>,
    turn: web::Data<Turn>,
    request: HttpRequest,
    deed: web::Path<String>,
) -> HttpResponse {
    let query = Query::read(request.query_string()).whole();
    let asked = asked(&dashboard.api, turn.into_inner(), &query, &deed, (&Token::of(&request), None)).await;
    asked.unwrap_or_else(|problem| frame::refusal(Place::Tasks, &problem))
}

/// The page that asks. `wrong`: why a form of it that was sent was not taken.
async fn asked(
    api: &ApiState,
    turn: Arc<Turn>,
    query: &Query,
    deed: &str,
    (token, wrong): (&Token, Option<&Problem>),
) -> Result<HttpResponse, Problem> {
    let deed = Deed::from_word(deed)?;
    let filter = meant(api, conditioned(query)?, deed.example()).await?;
    // What is counted is what is acted on: nothing that comes in meanwhile is among it.
    let counted_until = filter.to.map_or_else(|| query.clone(), |to| query.with("to", &to.to_string()));
    let work = Work::new(Arc::new(api.clone()), turn, deed.example(), filter).dry();
    let counted = counted(api, work).await?;
    let title = format!("{} all of these tasks?", deed.name());
    let body = question(query, &counted_until.href(&deed.path_of_many()), deed, counted, token);
    Ok(token.page(Place::Tasks, &title, &body, wrong))
}

/// A filter that lets not everything through, so that nobody means all tasks by leaving out a word.
fn conditioned(query: &Query) -> Result<Filter, Problem> {
    if let Some(id) = query.first("id") {
        return Err(Problem::parameter("id", id, "none: all of a filter are meant"));
    }
    if query.is_empty() {
        let allowed = "at least one of state, label, from, to and target, so that nobody means all tasks by leaving out a \
                       word";
        return Err(Problem::parameter("state", "missing", allowed));
    }
    query.filter()
}

/// So many tasks, and whether these are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    tasks: usize,
    all: bool,
}

async fn counted(api: &ApiState, mut work: Work) -> Result<Counted, Problem> {
    let clock = api.database_clock.clock();
    let began = clock.mono();
    loop {
        let more = work.step().await?;
        let tasks = work.tally().matched;
        if !more || tasks >= COUNTED_MAX || clock.mono().since(began) >= COUNTING {
            return Ok(Counted { tasks, all: !more });
        }
    }
}

fn question(query: &Query, action: &str, deed: Deed, counted: Counted, token: &Token) -> Markup {
    let are_there_any = counted.tasks > 0 || !counted.all;
    html! {
        p {
            strong { (how_many(counted)) }
            " that are " (deed.acts_on().word()) " fit this filter."
        }
        (conditions(query))
        @if are_there_any {
            p { (deed.effect_on_many()) }
            @if !counted.all { p { "The count was stopped, so that it holds nobody up. All that fit are meant." } }
            form method="post" action=(action) {
                (token.field())
                (deed.fields(None))
                button type="submit" { (deed.name()) " all of them" }
            }
        }
        p { a href=(query.href("/tasks")) { "Back, and leave them as they are" } }
    }
}

fn how_many(counted: Counted) -> String {
    match counted {
        Counted { tasks: 0, all: true } => "No tasks".to_owned(),
        Counted { tasks: 1, all: true } => "1 task".to_owned(),
        Counted { tasks, all: true } => format!("{} tasks", number(tasks)),
        Counted { tasks, all: false } => format!("At least {} tasks", number(tasks)),
    }
}

fn number(tasks: usize) -> String {
    count(u64::try_from(tasks).unwrap_or(u64::MAX))
}

/// `POST /tasks/all/{deed}`. The page is written while it is done.
pub async fn act(
    dashboard: web::Data<Dashboard>,
    turn: web::Data<Turn>,
    request: HttpRequest,
    deed: web::Path<String>,
    form: Form,
) -> HttpResponse {
    let query = Query::read(request.query_string()).whole();
    let (api, turn) = (&dashboard.api, turn.into_inner());
    let answer = match checked(&request, &form) {
        Ok(()) => {
            let going = begun(api, turn, &query, &deed, &form).await;
            going.map(|going| frame::answer(StatusCode::OK).streaming(going.page()))
        }
        Err(Unproven::Foreign(problem)) => Err(problem),
        Err(Unproven::Old(problem)) => asked(api, turn, &query, &deed, (&Token::of(&request), Some(&problem))).await,
    };
    answer.unwrap_or_else(|problem| frame::refusal(Place::Tasks, &problem))
}

async fn begun(api: &ApiState, turn: Arc<Turn>, query: &Query, deed: &str, form: &Form) -> Result<Going, Problem> {
    // A stop would cut the page off in the midst of it.
    refuse_while_stopping(api)?;
    let at = api.database_clock.at_latest();
    let deed = Deed::from_word(deed)?;
    let filter = conditioned(query)?;
    let operation = deed.operation(form, at)?;
    let filter = meant(api, filter, operation).await?;
    log::info!("{InLog}a page asks for {operation:?} of all tasks of {filter:?}");
    let work = Work::new(Arc::new(api.clone()), turn, operation, filter);
    let clock = api.database_clock.clock().clone();
    Ok(Going::new(work, deed, operation, clock, query.href("/tasks")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::tasks::fixture::{self, stored, text};
    use super::*;
    use crate::api::Kind;
    use crate::domain::State;

    fn query(text: &str) -> Query {
        Query::read(text).whole()
    }

    async fn asked_for(api: &ApiState, text: &str, deed: &str) -> Result<HttpResponse, Problem> {
        let token = Token::of(&TestRequest::default().to_http_request());
        asked(api, Arc::default(), &query(text), deed, (&token, None)).await
    }

    async fn done(api: &ApiState, text: &str, deed: &str, form: &str) -> Result<HttpResponse, Problem> {
        let form = Form::read(form.as_bytes());
        let going = begun(api, Arc::default(), &query(text), deed, &form).await?;
        Ok(frame::answer(StatusCode::OK).streaming(going.page()))
    }

    #[actix_web::test]
    async fn the_question_counts_first_and_fixes_what_is_meant() {
        let (api, _folder) = fixture::api();
        for _ in 0..3 {
            stored(&api, r#""labels": {"tenant": "<acme>"}"#);
        }
        stored(&api, r#""labels": {"tenant": "other"}"#);
        let asked = "label=tenant%3D%3Cacme%3E&cursor=x";
        let html = text(asked_for(&api, asked, "cancel").await.unwrap()).await;
        assert!(html.contains("<strong>3 tasks</strong> that are scheduled fit"), "{html}");
        assert!(html.contains("action=\"/tasks/all/cancel?label=tenant%3D%3Cacme%3E&amp;to="), "{html}");
        assert!(html.contains("tenant=&lt;acme&gt;") && html.contains("name=\"token\""), "{html}");
        let html = text(asked_for(&api, asked, "retry").await.unwrap()).await;
        assert!(html.contains("<strong>No tasks</strong>") && !html.contains("<form"), "{html}");
    }

    #[actix_web::test]
    async fn all_are_done_and_the_page_says_how_many() {
        let (api, _folder) = fixture::api();
        let ids: Vec<_> = (0..5).map(|_| stored(&api, r#""labels": {"tenant": "acme"}"#)).collect();
        let other = stored(&api, r#""labels": {"tenant": "other"}"#);
        let html = text(done(&api, "label=tenant%3Dacme", "cancel", "").await.unwrap()).await;
        assert!(html.contains("of 5 tasks 5 were cancelled"), "{html}");
        assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with(frame::close()), "{html}");
        assert!(html.contains("href=\"/tasks?label=tenant%3Dacme\""), "{html}");
        let state = |id| api.store.find(id).unwrap().unwrap().state;
        assert!(ids.iter().all(|id| state(*id) == State::Cancelled));
        assert_eq!(state(other), State::Scheduled);
    }

    #[actix_web::test]
    async fn without_a_filter_or_with_another_state_nothing_is_done() {
        let (api, _folder) = fixture::api();
        let id = stored(&api, r#""labels": {"a": "b"}"#);
        for (text, deed, form, kind) in [
            ("", "cancel", "", Kind::InvalidParameter),
            ("cursor=x&limit=5", "cancel", "", Kind::InvalidParameter),
            ("state=failed", "cancel", "", Kind::InvalidParameter),
            ("id=one&label=a%3Db", "cancel", "", Kind::InvalidParameter),
            ("dry_run=true&label=a%3Db", "cancel", "", Kind::InvalidParameter),
            ("label=a%3Db", "remove", "", Kind::UnknownPath),
            ("label=a%3Db", "reschedule", "run_at=tomorrow", Kind::InvalidField),
        ] {
            let refused = done(&api, text, deed, form).await;
            assert_eq!(refused.map(|_| ()).unwrap_err().kind(), kind, "{text} {deed}");
        }
        assert!(asked_for(&api, "", "cancel").await.is_err());
        assert_eq!(api.store.find(id).unwrap().unwrap().state, State::Scheduled);
    }

    #[test]
    fn a_count_that_was_stopped_says_so() {
        let says = |tasks, all| how_many(Counted { tasks, all });
        assert_eq!(
            [says(0, true), says(1, true), says(1_234, true), says(100_000, false)],
            ["No tasks", "1 task", "1\u{202f}234 tasks", "At least 100\u{202f}000 tasks"]
        );
    }
}
