//! The way of a submission through the API: read, checked, published, answered. One for single ones and for batches.

use std::str;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde_json::json;

use super::ApiState;
use super::known::KnownIds;
use super::problem::{Kind, Problem};
use super::request_id::InLog;
use crate::domain::document::{Document, Received};
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use crate::domain::{Invalid, TRACEPARENT, Target, TaskId, Timestamp, TraceParent};
use crate::queue::{PublishError, Published, Submission};
use crate::store::Ingested;

/// The header that becomes the id.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A submission that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The task.
    pub id: TaskId,
    /// It is stored; otherwise it is safe in the queue.
    pub stored: bool,
}

impl Accepted {
    /// The HTTP status that says so.
    pub fn status(self) -> StatusCode {
        if self.stored { StatusCode::CREATED } else { StatusCode::ACCEPTED }
    }

    /// The state that says so. A repeat is told the same as the first time, however the task stands by now.
    pub fn state(self) -> &'static str {
        if self.stored { "scheduled" } else { "accepted" }
    }

    /// The answer to its caller.
    pub fn answer(self) -> HttpResponse {
        HttpResponse::build(self.status())
            .insert_header((LOCATION, format!("/v1/tasks/{}", self.id)))
            .json(json!({ "id": self.id, "state": self.state() }))
    }
}

/// Reads and checks one document.
pub fn checked(
    json: Bytes,
    key: Option<&str>,
    received_at: Timestamp,
    topics: Option<&KafkaTopics>,
) -> Result<Submission, Invalid> {
    let received = Received { idempotency_key: key, record_key: None, at: received_at };
    let document = Document::parse(&json)?;
    let named = document.has_id() || key.is_some();
    let task = document.check(received)?;
    // Better said at the submission than by a failed task when it is due.
    if let Target::Kafka(target) = &task.spec.target {
        let no_cluster =
            || Invalid::new("/target/type", "kafka", "\"http\" or \"log\": this node has no Kafka cluster");
        topics.ok_or_else(no_cluster)?.check(target)?;
    }
    Ok(Submission { task, document: json, received_at, named, trace_parent: None })
}

/// The header `Idempotency-Key`, if it is given.
pub fn idempotency_key(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    let mut values = request.headers().get_all(&IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let allowed =
        format!("one header of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters in UTF-8, none of them a control character");
    let refused = |value: &str| Problem::header(Kind::InvalidHeader, "Idempotency-Key", value, &allowed);
    if values.next().is_some() {
        return Err(refused("given twice"));
    }
    let key = str::from_utf8(value.as_bytes()).map_err(|_| refused("not UTF-8"))?;
    let fits = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.chars().count()) && !key.chars().any(char::is_control);
    if fits { Ok(Some(key)) } else { Err(refused(key)) }
}

/// The header `traceparent`, if there is a well-formed one: the standard has others ignored.
pub fn trace_parent(request: &HttpRequest) -> Option<TraceParent> {
    TraceParent::of(request.headers().get_all(TRACEPARENT).map(HeaderValue::as_bytes))
}

/// A node that stops takes nothing more.
pub fn refuse_while_stopping(api: &ApiState) -> Result<(), Problem> {
    if !api.status.is_stopping() {
        return Ok(());
    }
    count(api, "refused", 1);
    Err(Problem::new(Kind::NotReady, "the node is stopping and takes no submissions; try another, or again later"))
}

/// Publishes a batch; one answer each, in their order. Where it goes to a topic, what is stored with another document is
/// refused before: there it could only be buried.
pub async fn publish(api: &ApiState, known: &KnownIds, batch: Vec<Submission>) -> Vec<Result<Accepted, Problem>> {
    if api.kafka.is_none() {
        return put(api, batch).await;
    }
    let refused: Vec<Option<TaskId>> = known
        .conflicts(&api.store, &batch)
        .await
        .into_iter()
        .zip(&batch)
        .map(|(conflicts, one)| conflicts.then_some(one.task.id))
        .collect();
    count(api, Ingested::Conflict.word(), refused.iter().flatten().count());
    let free = batch.into_iter().zip(&refused).filter(|(_, refused)| refused.is_none()).map(|(one, _)| one).collect();
    let mut published = put(api, free).await.into_iter();
    let unanswered = || Err(Problem::new(Kind::Internal, "the queue gave no answer for this task"));
    refused
        .into_iter()
        .map(|refused| refused.map_or_else(|| published.next().unwrap_or_else(unanswered), |id| Err(conflict(id))))
        .collect()
}

/// Publishes one.
pub async fn publish_one(api: &ApiState, known: &KnownIds, one: Submission) -> Result<Accepted, Problem> {
    let id = one.task.id;
    let published = publish(api, known, vec![one]).await;
    published.into_iter().next().unwrap_or(Ok(Accepted { id, stored: false }))
}

async fn put(api: &ApiState, batch: Vec<Submission>) -> Vec<Result<Accepted, Problem>> {
    let ids: Vec<TaskId> = batch.iter().map(|submission| submission.task.id).collect();
    match api.queue.publish(batch).await {
        Ok(Published::Committed(outcomes)) => {
            ids.into_iter().zip(outcomes).map(|(id, outcome)| committed(api, id, outcome)).collect()
        }
        Ok(Published::Queued) => {
            count(api, "accepted", ids.len());
            ids.into_iter().map(|id| Ok(Accepted { id, stored: false })).collect()
        }
        Ok(Published::Each(ends)) => {
            let failed: Vec<&PublishError> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
            if let Some(cause) = failed.first() {
                log::warn!("{InLog}{} of {} submissions were refused: {cause}", failed.len(), ids.len());
            }
            count(api, "refused", failed.len());
            count(api, "accepted", ids.len().saturating_sub(failed.len()));
            let answer = |(id, end): (TaskId, Result<(), PublishError>)| match end {
                Ok(()) => Ok(Accepted { id, stored: false }),
                Err(cause) => Err(Problem::from(cause).about(id)),
            };
            ids.into_iter().zip(ends).map(answer).collect()
        }
        Err(cause) => {
            log::warn!("{InLog}{} submissions were refused: {cause}", ids.len());
            count(api, "refused", ids.len());
            let problem = Problem::from(cause);
            ids.into_iter().map(|id| Err(problem.clone().about(id))).collect()
        }
    }
}

/// Counts submissions by their end.
pub fn count(api: &ApiState, end: &str, submissions: usize) {
    api.metrics.submissions.with_label_values(&[end]).inc_by(u64::try_from(submissions).unwrap_or(u64::MAX));
}

fn committed(api: &ApiState, id: TaskId, outcome: Ingested) -> Result<Accepted, Problem> {
    count(api, outcome.word(), 1);
    if outcome == Ingested::Conflict { Err(conflict(id)) } else { Ok(Accepted { id, stored: true }) }
}

fn conflict(id: TaskId) -> Problem {
    let detail = format!("the task {id} is stored with another document; use another id, or send the same document");
    Problem::new(Kind::Conflict, detail).about(id)
}
