//! `POST /v1/tasks/batch`: many submissions at once, a JSON array or one document per line.
//!
//! Each gets its own answer in the order sent: `{"id", "status"}` or `{"index", "problem"}`. The whole is answered
//! `201` if all are stored, `202` if all are taken and some wait in the queue, and `200` if there is any problem; `503` if
//! none is known to be taken and all may be repeated (with the same ids, where some may be stored). The documents are checked on a blocking thread, chunk by chunk, while the chunks before are being committed.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::ApiState;
use super::body::BodyReader;
use super::known::KnownIds;
use super::problem::{Kind, Problem};
use super::request_id::{self, InLog};
use super::submission::{self, Accepted};
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::limits::{BATCH_BYTES_MAX, BATCH_TASKS_MAX, SUBMISSION_BYTES_MAX};
use crate::domain::{Invalid, TaskId, Timestamp};
use crate::queue::Submission;

/// Tasks published at once: what the ingest commits in one transaction.
pub const CHUNK_TASKS: usize = 1_000;
/// What a batch may be.
const ALLOWED: &str = "a JSON array of tasks, or one task per line";

/// One for each document, in their order.
pub type Results = Vec<Result<Accepted, Problem>>;

/// `POST /v1/tasks/batch`, read as a whole and answered as a whole.
pub async fn submit(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    known: web::Data<KnownIds>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    submission::refuse_while_stopping(&api)?;
    let (at, trace) = (api.database_clock.at_latest(), submission::trace_parent(&request));
    let items = items(&bodies, &request, payload).await;
    let items = items.inspect_err(|_| submission::count(&api, "invalid", 1))?;
    let mut publications = Vec::new();
    for (chunk, documents) in items.chunks(CHUNK_TASKS).enumerate() {
        let (first, documents) = (chunk * CHUNK_TASKS, documents.to_vec());
        let topics = api.topics.clone();
        let checked = crate::actors::blocking(move || Ok(check(first, documents, at, topics.as_deref()))).await?;
        let checked = checked.into_iter().map(|one| one.map(|submission| submission.traced(trace))).collect();
        // Committed while the next chunk is being checked, and also if the caller goes away.
        let published = publish(Arc::clone(&api), Arc::clone(&known), checked);
        publications.push(actix_web::rt::spawn(request_id::carried(request_id::current(), published)));
    }
    let mut results = Results::with_capacity(items.len());
    for published in join_all(publications).await {
        results.extend(published.map_err(|cause| {
            log::error!("{InLog}a batch was not published to its end: {cause}");
            Problem::new(Kind::Unacknowledged, "some of it may be stored; repeat it with the same ids")
        })?);
    }
    answer(&results)
}

/// # Errors
/// A batch has no key of its own.
pub fn refuse_key(request: &HttpRequest) -> Result<(), Problem> {
    if !request.headers().contains_key(submission::IDEMPOTENCY_KEY) {
        return Ok(());
    }
    let allowed = "none for a batch: give each task its own id";
    Err(Problem::header(Kind::InvalidHeader, "Idempotency-Key", "given", allowed))
}

async fn items(bodies: &BodyReader, request: &HttpRequest, payload: web::Payload) -> Result<Vec<Bytes>, Problem> {
    refuse_key(request)?;
    let body = bodies.read(request, payload, BATCH_BYTES_MAX).await?;
    crate::actors::blocking(move || Ok(split(&body.bytes))).await?
}

/// The documents of a batch, unread.
fn split(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let (documents, count) = match body.trim_ascii_start().first() {
        None => return Err(Invalid::new("", "empty", ALLOWED).into()),
        Some(b'[') => array(body)?,
        Some(_) => lines(body),
    };
    if count > BATCH_TASKS_MAX {
        return Err(too_many(&format!("{count} tasks")));
    }
    Ok(documents)
}

/// More tasks than a batch may have.
pub fn too_many(given: &str) -> Problem {
    Problem::too_large(Invalid::new("", given, format!("at most {BATCH_TASKS_MAX} tasks")))
}

fn array(body: &Bytes) -> Result<(Vec<Bytes>, usize), Invalid> {
    let broken = |cause: serde_json::Error| Invalid::new("", cause, ALLOWED);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let items = deserializer.deserialize_seq(ItemsVisitor).map_err(broken)?;
    deserializer.end().map_err(broken)?;
    Ok((items.documents.into_iter().map(|raw| body.slice_ref(raw.get().as_bytes())).collect(), items.count))
}

fn lines(body: &Bytes) -> (Vec<Bytes>, usize) {
    let documents = || body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    (documents().take(BATCH_TASKS_MAX).map(|line| body.slice_ref(line)).collect(), documents().count())
}

/// The items of an array as they are written. Those beyond the limit are only counted: a body of nothing but commas
/// must not become much more memory than it is.
struct Items<'a> {
    documents: Vec<&'a RawValue>,
    count: usize,
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(ALLOWED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut documents = Vec::new();
        while documents.len() < BATCH_TASKS_MAX {
            let Some(document) = seq.next_element()? else {
                return Ok(Items { count: documents.len(), documents });
            };
            documents.push(document);
        }
        let mut count = documents.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Items { documents, count })
    }
}

/// `first` is the place of the first document in the batch.
pub fn check(
    first: usize,
    documents: Vec<Bytes>,
    at: Timestamp,
    topics: Option<&KafkaTopics>,
) -> Vec<Result<Submission, Problem>> {
    let check = |(index, document): (usize, Bytes)| -> Result<Submission, Problem> {
        let place = format!("/{}", first + index);
        if document.len() > SUBMISSION_BYTES_MAX {
            let allowed = format!("at most {SUBMISSION_BYTES_MAX} bytes");
            return Err(Problem::too_large(Invalid::new(place, format!("{} bytes", document.len()), allowed)));
        }
        Ok(submission::checked(document, None, at, topics).map_err(|invalid| invalid.under(&place))?)
    };
    documents.into_iter().enumerate().map(check).collect()
}

/// Publishes what passed the check; the answers stand where their documents stood.
pub async fn publish(api: Arc<ApiState>, known: Arc<KnownIds>, checked: Vec<Result<Submission, Problem>>) -> Results {
    let mut batch = Vec::with_capacity(checked.len());
    let places: Vec<Option<Problem>> = checked
        .into_iter()
        .map(|one| match one {
            Ok(submission) => {
                batch.push(submission);
                None
            }
            Err(problem) => Some(problem),
        })
        .collect();
    submission::count(&api, "invalid", places.iter().flatten().count());
    let mut published = submission::publish(&api, &known, batch).await.into_iter();
    let unanswered = || Err(Problem::new(Kind::Internal, "the queue gave no answer for this task"));
    places.into_iter().map(|refused| refused.map_or_else(|| published.next().unwrap_or_else(unanswered), Err)).collect()
}

#[derive(Serialize)]
struct Answer<'a> {
    results: Vec<ItemAnswer<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemAnswer<'a> {
    Accepted { id: TaskId, status: u16 },
    Refused { index: usize, problem: &'a Problem },
}

fn answer(results: &Results) -> Result<HttpResponse, Problem> {
    if let Some(problem) = passing(results) {
        return Err(problem);
    }
    let status = if results.is_empty() || results.iter().any(Result::is_err) {
        StatusCode::OK
    } else if results.iter().flatten().all(|accepted| accepted.stored) {
        StatusCode::CREATED
    } else {
        StatusCode::ACCEPTED
    };
    Ok(HttpResponse::build(status).json(Answer { results: item_answers(results) }))
}

/// None of it is known to be taken, and all of it may be tried again: the whole batch may.
fn passing(results: &Results) -> Option<Problem> {
    let problems: Vec<&Problem> = results.iter().filter_map(|one| one.as_ref().err()).collect();
    if results.is_empty() || problems.len() < results.len() || !problems.iter().all(|problem| problem.is_passing()) {
        return None;
    }
    if problems.iter().all(|problem| problem.kind() == Kind::Unavailable) {
        return Some(Problem::new(Kind::Unavailable, "none of the batch could be taken now; try again"));
    }
    // Who repeats it needs the ids that were made here, too.
    let detail =
        "each of the batch may be stored or not; repeat it with the ids of the results: that makes no second task";
    let problem = Problem::new(Kind::Unacknowledged, detail);
    Some(problem.with("results", serde_json::to_value(item_answers(results)).unwrap_or_default()))
}

fn item_answers(results: &Results) -> Vec<ItemAnswer<'_>> {
    results
        .iter()
        .enumerate()
        .map(|(index, one)| match one {
            Ok(accepted) => ItemAnswer::Accepted { id: accepted.id, status: accepted.status().as_u16() },
            Err(problem) => ItemAnswer::Refused { index, problem },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        let documents = split(&Bytes::copy_from_slice(body.as_bytes())).unwrap();
        documents.iter().map(|document| String::from_utf8(document.to_vec()).unwrap()).collect()
    }

    #[test]
    fn an_array_and_lines_are_told_apart_by_their_first_character() {
        assert_eq!(texts(" [{\"a\": 1},\n {\"b\": [2]}] "), ["{\"a\": 1}", "{\"b\": [2]}"]);
        assert_eq!(texts("{\"a\": 1}\r\n\n {\"b\": 2}"), ["{\"a\": 1}", "{\"b\": 2}"]);
        assert_eq!(texts("[]").len(), 0);
    }

    #[test]
    fn what_is_no_batch_is_refused_as_a_whole() {
        for body in ["", " \n", "[", "[1,]", "[{}] {}", "[\"\u{0}\"]"] {
            assert!(split(&Bytes::copy_from_slice(body.as_bytes())).is_err(), "{body:?}");
        }
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(texts(&deep).len(), 1);
    }

    #[test]
    fn too_many_are_counted_not_kept() {
        let many = |n: usize| Bytes::from(format!("[{}0]", "0,".repeat(n - 1)));
        assert_eq!(split(&many(BATCH_TASKS_MAX)).unwrap().len(), BATCH_TASKS_MAX);
        let problem = serde_json::to_value(split(&many(BATCH_TASKS_MAX + 1)).unwrap_err()).unwrap();
        assert_eq!((&problem["status"], &problem["value"]), (&413.into(), &"10001 tasks".into()));
        let lines = Bytes::from("0\n".repeat(BATCH_TASKS_MAX + 1));
        assert!(split(&lines).is_err());
    }

    #[test]
    fn an_item_is_named_by_its_place_in_the_whole_batch() {
        let documents = [Bytes::from_static(b"{\"delay_ms\": 1, \"target\": {\"type\": \"fax\"}}")];
        let checked = check(2_000, documents.to_vec(), Timestamp::from_micros(0), None);
        let problem = serde_json::to_value(checked[0].as_ref().unwrap_err()).unwrap();
        assert_eq!(problem["pointer"], "/2000/target/type");
    }
}
