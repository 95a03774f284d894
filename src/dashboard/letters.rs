//! Dead letters: what could not be read, why, and how it is submitted again once it is mended.

mod letter;
mod listed;
mod record;
#[cfg(test)]
mod replay_test;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use url::form_urlencoded;
use uuid::Uuid;

use super::Dashboard;
use super::done::{forget, tell, word};
use super::form::Form;
use super::frame::{Place, Refused, page as frame_page, page_with, see};
use super::token::{Token, Unproven, checked};
use crate::api::dead_letters::{self, LettersPage, Resubmission, resubmit};
use crate::api::{KnownIds, Problem, refuse_while_stopping, trace_parent};
use crate::domain::TaskId;

use letter::Shown;
use record::{Record, editable};

/// Dead letters of a page.
const LIMIT: &str = "25";

/// `GET /dead-letters`.
pub async fn list(dashboard: web::Data<Dashboard>, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let page = dead_letters::letters(&dashboard.api, &page_of(request.query_string())).await.map_err(refused)?;
    let LettersPage { letters, next_cursor } = page;
    let rows = dashboard.api.ask(move |store| listed::rows(store, letters)).await.map_err(refused)?;
    Ok(frame_page(Place::Letters, "Dead letters", listed::body(&rows, next_cursor.as_deref())))
}

/// The query of the API's list: of this page's own only the cursor counts.
fn page_of(query: &str) -> String {
    let mut asked = form_urlencoded::Serializer::new(String::new());
    asked.append_pair("limit", LIMIT);
    let cursors =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, value)| name == "cursor" && !value.is_empty());
    asked.extend_pairs(cursors);
    asked.finish()
}

/// `GET /dead-letters/{id}`.
pub async fn page(
    dashboard: web::Data<Dashboard>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let (letter, record) = dead_letters::letter(&dashboard.api, &id).await.map_err(refused)?;
    let token = Token::of(&request);
    let became = word(&request).and_then(task).filter(|_| letter.replayed_at.is_some());
    let shown = Shown { letter: &letter, record: &Record::of(&letter, record), became, token: &token };
    let mut answer = frame_page(Place::Letters, &shown.title(), shown.body(None));
    token.set(&mut answer);
    forget(&request, &mut answer);
    Ok(answer)
}

/// The task that it was just submitted as.
fn task(done: &str) -> Option<TaskId> {
    Uuid::parse_str(done).ok().map(TaskId)
}

/// `GET /dead-letters/{id}/replay`, where a form that was refused leaves the browser: on to the page that has it.
pub async fn to_form(id: web::Path<String>) -> Result<HttpResponse, Refused> {
    let id = dead_letters::number(&id).map_err(refused)?;
    Ok(see(&format!("/dead-letters/{id}")))
}

/// `POST /dead-letters/{id}/replay`: its record as the form has it. One that nobody has edited is submitted as it came.
pub async fn replay(
    dashboard: web::Data<Dashboard>,
    known: web::Data<KnownIds>,
    request: HttpRequest,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Refused> {
    let at = dashboard.api.database_clock.at_latest();
    let proven = match checked(&request, &form) {
        Ok(()) => Ok(()),
        Err(Unproven::Foreign(problem)) => return Err(refused(problem)),
        Err(Unproven::Old(problem)) => Err(problem),
    };
    let (letter, record) = dead_letters::letter(&dashboard.api, &id).await.map_err(refused)?;
    let record = Record::of(&letter, record);
    let text = editable(form.get("record").unwrap_or_default());
    let given = (!record.is(&text)).then(|| Bytes::copy_from_slice(text.as_bytes()));
    let asked = Resubmission { id: letter.id, at, given, place: "", trace_parent: trace_parent(&request) };
    let replayed = match proven {
        Ok(()) => replayed(&dashboard, &known, asked).await,
        Err(problem) => Err(problem),
    };
    match replayed {
        Ok(task) => Ok(tell(&request, &format!("/dead-letters/{}", letter.id), &task.to_string())),
        Err(problem) => {
            let token = Token::of(&request);
            let shown = Shown { letter: &letter, record: &record, became: None, token: &token };
            let body = shown.body(Some((&problem, &text)));
            let mut answer = page_with(problem.status(), Place::Letters, &shown.title(), body);
            token.set(&mut answer);
            Ok(answer)
        }
    }
}

async fn replayed(dashboard: &Dashboard, known: &KnownIds, asked: Resubmission) -> Result<TaskId, Problem> {
    refuse_while_stopping(&dashboard.api)?;
    Ok(resubmit(&dashboard.api, known, asked).await?.id)
}

fn refused(problem: Problem) -> Refused {
    Refused { problem, place: Place::Letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_query_only_the_cursor_counts() {
        assert_eq!(page_of(""), "limit=25");
        assert_eq!(page_of("cursor=&limit=7&x=1"), "limit=25");
        assert_eq!(page_of("cursor=a%26b&done=1"), "limit=25&cursor=a%26b");
    }

    #[test]
    fn only_an_id_is_taken_for_a_task() {
        let id = "0199c0de-0000-7000-8000-000000000001";
        assert_eq!(task(id).map(|task| task.to_string()).as_deref(), Some(id));
        assert_eq!((task(""), task("<script>")), (None, None));
    }
}
