//! One task: submit it, read it, call it off, settle it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::IF_NONE_MATCH;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ApiState;
use super::act::{CANCELLED, act};
use super::body::BodyReader;
use super::known::KnownIds;
use super::problem::{Kind, Problem};
use super::request_id::InLog;
use super::revision::{self, Condition};
use super::submission;
use crate::domain::invalid::pointer_part;
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::domain::{Invalid, State, TaskId};
use crate::queue::Submission;
use crate::queue::kafka::KafkaQueue;
use crate::store::{Change, Operation, Resolution, UnseenCancel};

/// Largest document that is read on the thread that serves requests, in bytes: about a millisecond's work.
const INLINE_BYTES_MAX: usize = 128 * 1024;
/// What `resolve` takes.
const RESOLVE_ALLOWED: &str = "{\"state\": \"succeeded\", \"failed\" or \"scheduled\"}";

type Answer = Result<HttpResponse, Problem>;

/// `POST /v1/tasks`.
pub async fn submit(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    known: web::Data<KnownIds>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    submission::refuse_while_stopping(&api)?;
    let submitted = read(&api, &bodies, &request, payload).await;
    let submitted = submitted.inspect_err(|_| submission::count(&api, "invalid", 1))?;
    let submitted = submitted.traced(submission::trace_parent(&request));
    Ok(submission::publish_one(&api, &known, submitted).await?.answer())
}

async fn read(
    api: &ApiState,
    bodies: &BodyReader,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Submission, Problem> {
    let at = api.database_clock.at_latest();
    let key = submission::idempotency_key(request)?;
    let body = bodies.read(request, payload, SUBMISSION_BYTES_MAX).await?;
    if body.bytes.len() <= INLINE_BYTES_MAX {
        return Ok(submission::checked(body.bytes.clone(), key, at, api.topics.as_deref())?);
    }
    let key = key.map(str::to_owned);
    let topics = api.topics.clone();
    let checked = crate::actors::blocking(move || {
        Ok(submission::checked(body.bytes.clone(), key.as_deref(), at, topics.as_deref()))
    });
    Ok(checked.await??)
}

/// `GET /v1/tasks/{id}`.
pub async fn get(api: web::Data<ApiState>, request: HttpRequest, id: web::Path<String>) -> Answer {
    let id = task_id(&id)?;
    let known = Condition::read(request.headers(), &IF_NONE_MATCH, "If-None-Match")?;
    // Asked first: what is forgotten between the two questions is stored.
    let accepted = api.remembered(id);
    match (api.ask(move |store| store.find(id)).await?, accepted) {
        (Some(found), _) => revision::answer(&found, known.as_ref()),
        (None, Some(state)) => Ok(HttpResponse::Ok().json(json!({ "id": id, "state": state.word() }))),
        (None, None) => Err(Problem::no_such_task(id)),
    }
}

/// `GET /v1/tasks/{id}/attempts`.
pub async fn attempts(api: web::Data<ApiState>, id: web::Path<String>) -> Answer {
    let id = task_id(&id)?;
    let accepted = api.remembered(id);
    let attempts = api.ask(move |store| store.attempts(id)).await?;
    if attempts.is_empty() && accepted.is_none() {
        // No attempts yet, or no such task.
        api.ask(move |store| store.find(id)).await?.ok_or_else(|| Problem::no_such_task(id))?;
    }
    Ok(HttpResponse::Ok().json(json!({ "attempts": attempts })))
}

/// `DELETE /v1/tasks/{id}`.
pub async fn cancel(api: web::Data<ApiState>, id: web::Path<String>) -> Answer {
    let id = task_id(&id)?;
    let ended = match api.kafka.clone() {
        None => api.ask(move |store| store.cancel(id)).await?,
        Some(kafka) => match cancel_unseen(&api, kafka, id).await? {
            UnseenCancel::Stored(change) => change,
            UnseenCancel::Tombstone => {
                if let Some(kafka) = &api.kafka {
                    kafka.cancelled(id);
                }
                let answer = json!({ "id": id, "state": State::Cancelled, "stored": false });
                return Ok(HttpResponse::Accepted().json(answer));
            }
            UnseenCancel::Full => {
                let detail = "the task is not stored, and too many such cancels wait for the ingest; try again";
                return Err(Problem::new(Kind::Unavailable, detail));
            }
        },
    };
    match ended {
        Change::Done(_) | Change::Already => Ok(stands(id, State::Cancelled)),
        Change::Refused(state) => Err(Problem::wrong_state(id, state, CANCELLED)),
        Change::NotFound => Err(Problem::no_such_task(id)),
    }
}

/// An ordinary cancel needs no broker. What is not stored may be anywhere before the topic's end.
async fn cancel_unseen(api: &ApiState, kafka: Arc<KafkaQueue>, id: TaskId) -> Result<UnseenCancel, Problem> {
    let ended = api.ask(move |store| store.cancel(id)).await?;
    if ended != Change::NotFound {
        return Ok(UnseenCancel::Stored(ended));
    }
    let ends = kafka.ends().await.map_err(|cause| {
        log::warn!("{InLog}task {id} is not stored and was not cancelled: {cause}");
        Problem::new(Kind::Unavailable, "the task is not stored, and where its topic ends is not known now; try again")
    })?;
    api.ask(move |store| store.cancel_unseen(id, &ends)).await
}

/// `POST /v1/tasks/{id}/resolve`.
pub async fn resolve(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let id = task_id(&id)?;
    let body = bodies.read(&request, payload, SUBMISSION_BYTES_MAX).await?;
    let to = resolution(&body.bytes)?;
    Ok(stands(id, act(&api, id, Operation::Resolve(to)).await?))
}

/// How a task stands now.
pub fn stands(id: TaskId, state: State) -> HttpResponse {
    HttpResponse::build(StatusCode::OK).json(json!({ "id": id, "state": state }))
}

/// The id in a path.
pub fn task_id(text: &str) -> Result<TaskId, Problem> {
    Uuid::parse_str(text).map(TaskId).map_err(|_| Problem::parameter("id", text, "a UUID"))
}

/// What a body settles an unknown task as.
pub fn resolution(json: &[u8]) -> Result<Resolution, Invalid> {
    let document: Value = serde_json::from_slice(json).map_err(|cause| Invalid::new("", cause, RESOLVE_ALLOWED))?;
    let fields = document.as_object().ok_or_else(|| Invalid::new("", &document, RESOLVE_ALLOWED))?;
    if let Some(unknown) = fields.keys().find(|name| *name != "state") {
        return Err(Invalid::new(pointer_part(unknown), "an unknown field", RESOLVE_ALLOWED));
    }
    let given = fields.get("state").unwrap_or(&Value::Null);
    match given.as_str() {
        Some("succeeded") => Ok(Resolution::Succeeded),
        Some("failed") => Ok(Resolution::Failed),
        Some("scheduled") => Ok(Resolution::Scheduled),
        _ => Err(Invalid::new("/state", given, "\"succeeded\", \"failed\" or \"scheduled\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_names_what_is_wrong() {
        for (json, pointer) in [
            ("", ""),
            ("{", ""),
            ("[]", ""),
            ("{}", "/state"),
            (r#"{"state": 1}"#, "/state"),
            (r#"{"state": "cancelled"}"#, "/state"),
            (r#"{"state": "failed", "why": "x"}"#, "/why"),
        ] {
            assert_eq!(resolution(json.as_bytes()).unwrap_err().pointer, pointer, "{json}");
        }
        assert_eq!(resolution(br#"{"state": "failed"}"#), Ok(Resolution::Failed));
    }
}
