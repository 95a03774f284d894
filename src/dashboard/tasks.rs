//! `GET /tasks`: the list of tasks, and the search in it.

#[cfg(test)]
pub mod fixture;
mod query;
mod search;
mod table;

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Dashboard;
use super::frame::{self, Place};
use super::words::visible;
use crate::api::{ApiState, Problem, cursor, task_id};
use crate::store::Page;

pub use query::Query;
pub use search::conditions;
pub use table::label;

/// Tasks of a page unless said.
const LIMIT: usize = 50;
const TITLE: &str = "Tasks";

/// `GET /tasks`.
pub async fn page(dashboard: web::Data<Dashboard>, request: HttpRequest) -> HttpResponse {
    let query = Query::read(request.query_string());
    answer(&dashboard.api, &query, &host(&request)).await
}

async fn answer(api: &ApiState, query: &Query, host: &str) -> HttpResponse {
    match list(api, query, host).await {
        Ok(answer) => answer,
        Err(problem) if problem.is_passing() => frame::refusal(Place::Tasks, &problem),
        // The form stays, so that what was refused can be put right.
        Err(problem) => {
            let body = html! { (search::form(query)) p role="alert" { (visible(&problem.to_string())) } };
            frame::page_with(problem.status(), Place::Tasks, TITLE, body)
        }
    }
}

async fn list(api: &ApiState, query: &Query, host: &str) -> Result<HttpResponse, Problem> {
    if let Some(id) = query.first("id") {
        return Ok(frame::see(&format!("/tasks/{}", task_id(id.trim())?)));
    }
    let mut filter = query.filter()?;
    if query.first("limit").is_none() {
        filter.limit = LIMIT;
    }
    let limit = filter.limit;
    let page = api.ask(move |store| store.list(&filter)).await?;
    let body = html! {
        (search::form(query))
        (search::states(query))
        (found(query, &page, limit, host))
        (search::deeds(query))
    };
    Ok(frame::page(Place::Tasks, TITLE, body))
}

fn found(query: &Query, page: &Page, limit: usize, host: &str) -> Markup {
    let older = page.next.map(|place| query.with("cursor", &cursor::write(place)).href("/tasks"));
    let is_later = query.first("cursor").is_some();
    html! {
        @if !page.tasks.is_empty() {
            (table::of(&page.tasks))
        } @else if page.next.is_none() {
            (nothing(query, host))
        }
        @if page.next.is_some() && page.tasks.len() < limit {
            p { "The look for more was stopped, so that it holds nobody up: there may be others among the older ones." }
        }
        @if is_later || older.is_some() {
            nav aria-label="Parts of the list" {
                ul.filters {
                    @if is_later { li { a href=(query.without(&["cursor"]).href("/tasks")) { "Newest" } } }
                    @if let Some(older) = older { li { a rel="next" href=(older) { "Older" } } }
                }
            }
        }
    }
}

fn nothing(query: &Query, host: &str) -> Markup {
    html! {
        @if query.first("cursor").is_some() {
            p { "There are no older ones." }
        } @else if query.condition().is_empty() {
            p { "There are no tasks yet. This submits one that writes a line to a node's log three seconds later:" }
            pre tabindex="0" { code { (visible(&curl(host))) } }
        } @else {
            p { "No task fits this filter. " a href="/tasks" { "All tasks" } }
        }
    }
}

fn curl(host: &str) -> String {
    format!(
        "curl -i 'http://{host}/v1/tasks' -H 'content-type: application/json' \\\n  \
         -d '{{\"delay_ms\": 3000, \"target\": {{\"type\": \"log\"}}, \"payload\": \"hello\"}}'"
    )
}

/// By which name the browser has called this node: it is one of the node's own, or it would not have come so far.
pub fn host(request: &HttpRequest) -> String {
    let given = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    given.unwrap_or("localhost:8080").to_owned()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::LOCATION;

    use super::fixture::{self, stored, text};
    use super::*;

    #[actix_web::test]
    async fn an_empty_database_says_what_to_do_next_by_the_name_it_was_called() {
        let (api, _folder) = fixture::api();
        let html = text(answer(&api, &Query::default(), "tasks.example:81").await).await;
        assert!(html.contains("curl -i 'http://tasks.example:81/v1/tasks'"), "{html}");
        let html = text(answer(&api, &Query::of("state", "failed"), "h").await).await;
        assert!(html.contains("No task fits this filter") && !html.contains("curl"), "{html}");
    }

    #[actix_web::test]
    async fn an_id_leads_to_its_task_and_what_is_wrong_is_said_beside_the_form() {
        const ID: &str = "0199c0de-0000-7000-8000-000000000001";
        let (api, _folder) = fixture::api();
        let to = answer(&api, &Query::of("id", &format!(" {ID} ")), "h").await;
        assert_eq!(to.status().as_u16(), 303);
        assert_eq!(to.headers().get(LOCATION).unwrap(), &format!("/tasks/{ID}")[..]);
        for (name, value) in [("id", "<b>"), ("from", "yesterday"), ("stat", "failed"), ("label", "x")] {
            let refused = answer(&api, &Query::of(name, value), "h").await;
            assert_eq!(refused.status().as_u16(), 400, "{name}");
            let html = text(refused).await;
            assert!(html.contains("role=\"alert\"") && html.contains("role=\"search\""), "{html}");
            assert!(!html.contains("<b>"), "{html}");
        }
    }

    #[actix_web::test]
    async fn a_page_leads_on_to_the_older_ones_and_back_to_the_newest() {
        let (api, _folder) = fixture::api();
        let ids: Vec<_> = (0..3).map(|_| stored(&api, r#""labels": {"a": "b"}"#)).collect();
        let mut query = Query::read("label=a%3Db&limit=1");
        let mut seen = Vec::new();
        loop {
            let html = text(answer(&api, &query, "h").await).await;
            seen.extend(ids.iter().filter(|id| html.contains(&format!("href=\"/tasks/{id}\""))).copied());
            assert_eq!(html.contains(">Newest</a>"), query.first("cursor").is_some(), "{html}");
            let Some((_, older)) = html.split_once("rel=\"next\" href=\"/tasks?") else { break };
            query = Query::read(&older.split('"').next().unwrap().replace("&amp;", "&"));
        }
        seen.sort_unstable();
        let mut all = ids;
        all.sort_unstable();
        assert_eq!(seen, all);
    }

    #[test]
    fn a_page_that_was_cut_short_says_so_and_offers_to_go_on() {
        let next = Some((crate::domain::Timestamp::from_micros(1), crate::domain::TaskId(uuid::Uuid::nil())));
        let html = found(&Query::default(), &Page { tasks: Vec::new(), next }, 5, "h").into_string();
        assert!(
            html.contains("there may be others") && html.contains(">Older</a>") && !html.contains("curl"),
            "{html}"
        );
    }
}
