//! Dead letters: list them, read one with its record, submit it again.

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::ApiState;
use super::body::BodyReader;
use super::known::KnownIds;
use super::problem::{Kind, Problem};
use super::request_id::InLog;
use super::submission::{self, Accepted};
use crate::domain::document::Document;
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::domain::{Invalid, Timestamp, TraceParent};
use crate::queue::Submission;
use crate::store::Buried;

/// Dead letters of a page unless said.
const LIMIT_DEFAULT: usize = 100;
/// Most dead letters of a page.
const LIMIT_MAX: usize = 1_000;
/// What `replay` takes.
const REPLAY_ALLOWED: &str = "nothing, {}, or {\"record\": {a task}}";
/// The first byte of a cursor: another form gets another number.
const CURSOR_VERSION: u8 = 1;

type Answer = Result<HttpResponse, Problem>;

#[derive(Serialize)]
struct LetterView<'a> {
    id: i64,
    buried_at: Timestamp,
    origin: &'a str,
    reason: &'a str,
    bytes: i64,
    published: bool,
    replayed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Value>,
    /// Only where it is: the record is too long to be shown whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> LetterView<'a> {
    fn listed(letter: &'a Buried) -> Self {
        let Buried { id, buried_at, origin, reason, bytes, published, replayed_at } = letter;
        let (id, buried_at, bytes) = (*id, *buried_at, *bytes);
        let (published, replayed_at) = (*published, *replayed_at);
        Self { id, buried_at, origin, reason, bytes, published, replayed_at, record: None, truncated: false }
    }

    fn whole(letter: &'a Buried, record: Vec<u8>) -> Self {
        let truncated = is_cut(letter, &record);
        let record = String::from_utf8(record)
            .map_or_else(|other| json!({ "base64": STANDARD.encode(other.as_bytes()) }), Value::String);
        Self { record: Some(record), truncated, ..Self::listed(letter) }
    }
}

fn is_cut(letter: &Buried, record: &[u8]) -> bool {
    i64::try_from(record.len()).is_ok_and(|read| read < letter.bytes)
}

/// A page of dead letters, the newest first.
#[derive(Debug)]
pub struct LettersPage {
    /// Without their records.
    pub letters: Vec<Buried>,
    /// Where the next page goes on; `None`: this is the last one.
    pub next_cursor: Option<String>,
}

/// `GET /v1/dead-letters?limit=&cursor=`: the newest first.
pub async fn list(api: web::Data<ApiState>, request: HttpRequest) -> Answer {
    let LettersPage { letters, next_cursor } = letters(&api, request.query_string()).await?;
    let letters: Vec<LetterView<'_>> = letters.iter().map(LetterView::listed).collect();
    Ok(HttpResponse::Ok().json(json!({ "dead_letters": letters, "next_cursor": next_cursor })))
}

/// The page that a query asks for.
///
/// # Errors
/// A parameter is not allowed as it is, or the database does not answer.
pub async fn letters(api: &ApiState, query: &str) -> Result<LettersPage, Problem> {
    let (limit, before) = page(query)?;
    // One more than is shown tells whether there is a next page.
    let mut letters = api.ask(move |store| store.buried(before, limit + 1)).await?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next_cursor = letters.last().filter(|_| more).map(|last| write_cursor(last.id));
    Ok(LettersPage { letters, next_cursor })
}

fn page(query: &str) -> Result<(usize, Option<i64>), Problem> {
    let (mut limit, mut before) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let refused = |allowed: &str| Problem::parameter(&name, &value, allowed);
        let twice = match name.as_ref() {
            "limit" => {
                let given = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                limit.replace(given.ok_or_else(|| refused(&format!("1 to {LIMIT_MAX}")))?).is_some()
            }
            "cursor" => {
                let given = read_cursor(&value).ok_or_else(|| refused("a next_cursor as it was answered"));
                before.replace(given?).is_some()
            }
            _ => return Err(refused("limit and cursor")),
        };
        if twice {
            return Err(refused("given once"));
        }
    }
    Ok((limit.unwrap_or(LIMIT_DEFAULT), before))
}

fn write_cursor(id: i64) -> String {
    URL_SAFE_NO_PAD.encode([&[CURSOR_VERSION], id.to_be_bytes().as_slice()].concat())
}

fn read_cursor(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, id) = bytes.split_first()?;
    (*version == CURSOR_VERSION).then_some(i64::from_be_bytes(id.try_into().ok()?))
}

/// `GET /v1/dead-letters/{id}`.
pub async fn get(api: web::Data<ApiState>, id: web::Path<String>) -> Answer {
    let (letter, record) = letter(&api, &id).await?;
    Ok(HttpResponse::Ok().json(LetterView::whole(&letter, record)))
}

/// The dead letter with this number, and as much of its record as is shown.
///
/// # Errors
/// It is no number, there is no such dead letter, or the database does not answer.
pub async fn letter(api: &ApiState, number: &str) -> Result<(Buried, Vec<u8>), Problem> {
    read(api, self::number(number)?).await
}

/// `POST /v1/dead-letters/{id}/replay`: as `POST /v1/tasks` of its record, or of the one that is given. What is refused
/// leaves the dead letter as it was.
pub async fn replay(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    known: web::Data<KnownIds>,
    request: HttpRequest,
    (id, payload): (web::Path<String>, web::Payload),
) -> Answer {
    submission::refuse_while_stopping(&api)?;
    let id = number(&id)?;
    let at = api.database_clock.at_latest();
    let body = bodies.read(&request, payload, SUBMISSION_BYTES_MAX).await?;
    let given = given_record(&body.bytes)?;
    let place = if given.is_some() { "/record" } else { "" };
    let trace_parent = submission::trace_parent(&request);
    let accepted = resubmit(&api, &known, Resubmission { id, at, given, place, trace_parent }).await?;
    Ok(accepted.answer())
}

/// A dead letter that is to be submitted again.
#[derive(Debug)]
pub struct Resubmission {
    /// Its number.
    pub id: i64,
    /// When that was asked for: a `delay_ms` counts from it.
    pub at: Timestamp,
    /// What is to be submitted instead of its record.
    pub given: Option<Bytes>,
    /// Where in what was asked that stands, as a JSON pointer.
    pub place: &'static str,
    /// Of which trace it is a part.
    pub trace_parent: Option<TraceParent>,
}

/// Submits a dead letter again and marks it so. What is refused leaves it as it was.
///
/// # Errors
/// There is no such dead letter, it was submitted again before, its record is no task, or it cannot be taken now.
pub async fn resubmit(api: &ApiState, known: &KnownIds, asked: Resubmission) -> Result<Accepted, Problem> {
    let Resubmission { id, at, given, place, trace_parent } = asked;
    let (letter, record) = read(api, id).await?;
    if letter.replayed_at.is_some() {
        return Err(replayed_already(id));
    }
    let topics = api.topics.clone();
    let checked = crate::actors::blocking(move || {
        let document = given.map_or_else(|| whole(&letter, record), Ok);
        Ok(document.and_then(|document| {
            let key = key(&letter, &document).map_err(|invalid| invalid.under(place))?;
            let checked = submission::checked(document, key.as_deref(), at, topics.as_deref());
            Ok::<Submission, Problem>(checked.map_err(|invalid| invalid.under(place))?)
        }))
    });
    let checked = checked.await?.inspect_err(|_| submission::count(api, "invalid", 1))?;
    let accepted = submission::publish_one(api, known, checked.traced(trace_parent)).await?;
    // If this fails it is still there, and submitted again it is the same task. Whoever was overtaken by another caller is told
    // of its task all the same: it is one, and if no other record was given it is the other's.
    let task = accepted.id;
    match api.ask(move |store| store.mark_replayed(id)).await {
        Ok(true) => log::info!("{InLog}dead letter {id} was submitted again as task {task}"),
        Ok(false) => {
            log::info!("{InLog}dead letter {id} is task {task} by now, and another caller has replayed it too");
        }
        Err(problem) => log::warn!("{InLog}dead letter {id} is task {task} by now and not marked so: {problem}"),
    }
    Ok(accepted)
}

/// What is to be submitted instead of the record, as it is written.
fn given_record(body: &Bytes) -> Result<Option<Bytes>, Invalid> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        record: Option<&'a RawValue>,
    }
    /// A `null` is a record too, though none that is taken.
    fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
        Deserialize::deserialize(deserializer).map(Some)
    }
    let text = body.trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    if !text.starts_with(b"{") {
        let beginning: String = String::from_utf8_lossy(text).chars().take(40).collect();
        return Err(Invalid::new("", beginning, REPLAY_ALLOWED));
    }
    let given: Given<'_> = serde_json::from_slice(text).map_err(|cause| Invalid::new("", cause, REPLAY_ALLOWED))?;
    Ok(given.record.map(|raw| body.slice_ref(raw.get().as_bytes())))
}

/// The record as it came, if it is short enough to be a task.
fn whole(letter: &Buried, record: Vec<u8>) -> Result<Bytes, Problem> {
    if record.len() > SUBMISSION_BYTES_MAX {
        let allowed = format!("at most {SUBMISSION_BYTES_MAX} bytes; give another record");
        return Err(Problem::too_large(Invalid::new("", format!("{} bytes", letter.bytes), allowed)));
    }
    Ok(record.into())
}

/// A task that names no id gets one that follows from the dead letter: however often it is submitted, it is one task.
fn key(letter: &Buried, document: &[u8]) -> Result<Option<String>, Invalid> {
    let named = Document::parse(document)?.has_id();
    Ok((!named).then(|| format!("dead letter {}", letter.origin)))
}

async fn read(api: &ApiState, id: i64) -> Result<(Buried, Vec<u8>), Problem> {
    let found = api.ask(move |store| store.buried_record(id)).await?;
    found.ok_or_else(|| {
        Problem::new(Kind::NoSuchDeadLetter, format!("no dead letter has the number {id}")).with("id", id)
    })
}

fn replayed_already(id: i64) -> Problem {
    let detail = format!("the dead letter {id} was submitted again before; submit a new task by POST /v1/tasks");
    Problem::new(Kind::ReplayedAlready, detail).with("id", id)
}

/// The number of a dead letter, as a path says it.
///
/// # Errors
/// It is none.
pub fn number(text: &str) -> Result<i64, Problem> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| Problem::parameter("id", text, "the number of a dead letter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_does() {
        assert_eq!(read_cursor(&write_cursor(77)), Some(77));
        let other_version = URL_SAFE_NO_PAD.encode([2; 9]);
        for text in ["", "x", &format!("{}AA", write_cursor(1)), &other_version] {
            assert_eq!(read_cursor(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_given_instead_is_taken_as_it_is_written() {
        let read = |text: &'static str| given_record(&Bytes::from_static(text.as_bytes()));
        for none in ["", " \n", "{}", " { } "] {
            assert_eq!(read(none), Ok(None), "{none}");
        }
        assert_eq!(read(r#"{"record": null}"#).unwrap().unwrap(), "null");
        assert_eq!(read(r#"{"record": {"a" :  1}}"#).unwrap().unwrap(), r#"{"a" :  1}"#);
        for bad in ["[]", "[1]", "null", "{", r#"{"records": {}}"#, r#"{"record": {}} x"#, "\u{0}"] {
            assert_eq!(read(bad).expect_err(bad).pointer, "", "{bad}");
        }
    }
}
