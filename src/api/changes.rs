//! One task is changed, run, or tried again.

use actix_web::http::header::IF_MATCH;
use actix_web::{HttpRequest, HttpResponse, web};

use super::ApiState;
use super::act::{CHANGED, act, not_there};
use super::body::BodyReader;
use super::problem::{Kind, Problem};
use super::revision::{self, Condition, Revision};
use super::tasks::{stands, task_id};
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::domain::{Task, change_document};
use crate::store::{Operation, Patch, Patched};

type Answer = Result<HttpResponse, Problem>;

/// `PATCH /v1/tasks/{id}`.
pub async fn patch(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let (id, at) = (task_id(&id)?, api.database_clock.at_latest());
    let condition = Condition::read(request.headers(), &IF_MATCH, "If-Match")?;
    let body = bodies.read(&request, payload, SUBMISSION_BYTES_MAX).await?;
    let read = crate::actors::blocking(move || Ok(change_document::changes(&body.bytes, at)));
    let change_document::Changes { run_at, payload, priority } = read.await??;
    let patch = Patch { run_at, payload, priority };
    let fits = move |task: &Task| condition.as_ref().is_none_or(|condition| condition.holds(&Revision::of(task)));
    let accepted = api.remembered(id);
    match api.ask(move |store| store.patch(id, &patch, &fits)).await? {
        Patched::Done(task, due) => {
            api.status.hint(vec![due]);
            revision::answer(&task, None)
        }
        Patched::Unfit => {
            let detail = "the task is not as If-Match knows it; read it again, and decide anew";
            Err(Problem::new(Kind::PreconditionFailed, detail).about(id))
        }
        Patched::Refused(state) => Err(Problem::wrong_state(id, state, CHANGED)),
        Patched::NotFound => Err(not_there(id, accepted, CHANGED)),
    }
}

/// `POST /v1/tasks/{id}/run`.
pub async fn run(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let id = task_id(&id)?;
    nothing_said(&bodies, &request, payload).await?;
    Ok(stands(id, act(&api, id, Operation::Run).await?))
}

/// `POST /v1/tasks/{id}/retry`.
pub async fn retry(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let id = task_id(&id)?;
    nothing_said(&bodies, &request, payload).await?;
    Ok(stands(id, act(&api, id, Operation::Retry).await?))
}

async fn nothing_said(bodies: &BodyReader, request: &HttpRequest, payload: web::Payload) -> Result<(), Problem> {
    let body = bodies.read(request, payload, SUBMISSION_BYTES_MAX).await?;
    Ok(change_document::nothing(&body.bytes)?)
}
