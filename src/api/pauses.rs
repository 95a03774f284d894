//! Pausing dispatch, of everything or by label, and letting go again what waits.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ApiState;
use super::body::BodyReader;
use super::list::{label as parsed, label_allowed};
use super::problem::{Kind, Problem};
use super::request_id::InLog;
use crate::domain::invalid::pointer_part;
use crate::domain::limits::{
    PAUSE_REASON_CHARS_MAX, PAUSES_MAX, PER_SECOND, PER_SECOND_DEFAULT, SUBMISSION_BYTES_MAX, WAITING_COUNTED_MAX,
};
use crate::domain::{Invalid, Pause, Timestamp};
use crate::store::{Paused, Result as StoreResult, Store};

/// What a pause takes.
const PAUSE_ALLOWED: &str = "{\"label\": \"name=value\", \"reason\": \"…\"}, either or both left out";
/// What a resume takes.
const RESUME_ALLOWED: &str = "{\"per_second\": tasks a second, or null for all at once}, or {}";

type Answer = Result<HttpResponse, Problem>;

/// The JSON of a pause.
#[derive(Debug, Serialize)]
struct PauseView {
    id: i64,
    label: Option<String>,
    reason: Option<String>,
    paused_at: Timestamp,
    resumed_at: Option<Timestamp>,
    per_second: Option<u32>,
    waiting: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    waiting_more: bool,
}

impl PauseView {
    fn of(pause: Pause, waiting: u64) -> Self {
        Self {
            id: pause.id,
            label: pause.label.map(|(name, value)| format!("{name}={value}")),
            reason: pause.reason,
            paused_at: pause.paused_at,
            resumed_at: pause.resumed_at,
            per_second: pause.per_second,
            waiting: waiting.min(WAITING_COUNTED_MAX),
            waiting_more: waiting > WAITING_COUNTED_MAX,
        }
    }

    /// Each with what waits for its end.
    fn all(store: &dyn Store, pauses: Vec<Pause>) -> StoreResult<Vec<Self>> {
        let ids: Vec<i64> = pauses.iter().map(|pause| pause.id).collect();
        let waiting = store.waiting(&ids)?;
        Ok(pauses.into_iter().zip(waiting).map(|(pause, waiting)| Self::of(pause, waiting)).collect())
    }
}

/// `POST /v1/pauses`.
pub async fn pause(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let body = bodies.read(&request, payload, SUBMISSION_BYTES_MAX).await?;
    let Begun { pause, waiting, is_new } = begin(&api, Wanted::read(&body.bytes)?).await?;
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.json(PauseView::of(pause, waiting)))
}

/// A pause that is in force from now on.
#[derive(Debug)]
pub struct Begun {
    /// It.
    pub pause: Pause,
    /// What waits for its end, counted up to one beyond [`WAITING_COUNTED_MAX`].
    pub waiting: u64,
    /// It was not there before.
    pub is_new: bool,
}

/// Pauses what is wanted.
///
/// # Errors
/// There are as many pauses as there may be, or the database does not answer.
pub async fn begin(api: &ApiState, wanted: Wanted) -> Result<Begun, Problem> {
    let Wanted { label, reason } = wanted;
    let begun = api.ask(move |store| {
        let (pause, is_new) = match store.pause(label.as_ref(), reason.as_deref())? {
            Paused::New(pause) => (pause, true),
            Paused::Known(pause) => (pause, false),
            Paused::Full => return Ok(None),
        };
        Ok(Some(Begun { waiting: waiting_for(store, &pause)?, pause, is_new }))
    });
    let Some(begun) = begun.await? else {
        let detail =
            format!("there are {PAUSES_MAX} pauses already; resume one, or wait until one that is resumed is gone");
        return Err(Problem::new(Kind::Unavailable, detail));
    };
    log::info!("{InLog}pause {}: {} are not claimed from now on", begun.pause.id, begun.pause.about());
    Ok(begun)
}

fn waiting_for(store: &dyn Store, pause: &Pause) -> StoreResult<u64> {
    Ok(store.waiting(&[pause.id])?.into_iter().next().unwrap_or(0))
}

/// `GET /v1/pauses`.
pub async fn list(api: web::Data<ApiState>) -> Answer {
    let views = api.ask(|store| PauseView::all(store, store.pauses()?.all)).await?;
    Ok(HttpResponse::Ok().json(json!({ "pauses": views })))
}

/// `POST /v1/pauses/{id}/resume`.
pub async fn resume(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Answer {
    let id = number(&id)?;
    let body = bodies.read(&request, payload, SUBMISSION_BYTES_MAX).await?;
    let (pause, waiting) = let_go(&api, id, pace(&body.bytes)?).await?;
    Ok(HttpResponse::Ok().json(PauseView::of(pause, waiting)))
}

/// The number of a pause, as a path says it.
///
/// # Errors
/// It is none.
pub fn number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::parameter("id", text, "the id of a pause, an integer"))
}

/// Has what waits for the end of a pause let go, so many a second, or all at once. The pause, and how much waits.
///
/// # Errors
/// There is no such pause, or the database does not answer.
pub async fn let_go(api: &ApiState, id: i64, per_second: Option<u32>) -> Result<(Pause, u64), Problem> {
    let resumed = api.ask(move |store| match store.resume(id, per_second)? {
        None => Ok(None),
        Some(pause) => Ok(Some((waiting_for(store, &pause)?, pause))),
    });
    let (waiting, pause) = resumed.await?.ok_or_else(|| no_such_pause(id))?;
    let pace = per_second.map_or("all at once".to_owned(), |per_second| format!("{per_second} a second"));
    log::info!("{InLog}pause {id} is resumed: what waits for its end is let go, {pace}");
    Ok((pause, waiting))
}

/// The pause of this number, and what waits for its end, counted up to one beyond [`WAITING_COUNTED_MAX`].
///
/// # Errors
/// There is none, or the database does not answer.
pub async fn one(api: &ApiState, id: i64) -> Result<(Pause, u64), Problem> {
    let found = api.ask(move |store| match store.pauses()?.all.into_iter().find(|pause| pause.id == id) {
        None => Ok(None),
        Some(pause) => Ok(Some((waiting_for(store, &pause)?, pause))),
    });
    let (waiting, pause) = found.await?.ok_or_else(|| no_such_pause(id))?;
    Ok((pause, waiting))
}

fn no_such_pause(id: i64) -> Problem {
    Problem::new(Kind::NoSuchPause, format!("no pause has the id {id}")).with("id", id)
}

/// What is to be paused, and why.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    label: Option<(String, String)>,
    reason: Option<String>,
}

impl Wanted {
    /// What has this label, as it is written, or everything.
    ///
    /// # Errors
    /// It is no label, or the reason is none.
    pub fn of(label: Option<&str>, reason: Option<&str>) -> Result<Self, Invalid> {
        let label = label.map(|text| parsed(text).ok_or_else(|| Invalid::new("/label", text, label_allowed())));
        let refused = |text: &str| Invalid::new("/reason", Value::from(text), reason_allowed());
        let reason = reason.map(|text| if is_reason(text) { Ok(text.to_owned()) } else { Err(refused(text)) });
        Ok(Self { label: label.transpose()?, reason: reason.transpose()? })
    }

    fn read(json: &[u8]) -> Result<Self, Invalid> {
        let mut fields = object(json, &["label", "reason"], PAUSE_ALLOWED)?;
        let mut text = |name: &str, allowed: fn() -> String| match fields.remove(name).unwrap_or_default() {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => Err(Invalid::new(pointer_part(name), other, allowed())),
        };
        let (label, reason) = (text("label", label_allowed)?, text("reason", reason_allowed)?);
        Self::of(label.as_deref(), reason.as_deref())
    }
}

fn reason_allowed() -> String {
    format!("a text of at most {PAUSE_REASON_CHARS_MAX} characters, none of them a control character")
}

fn is_reason(text: &str) -> bool {
    text.chars().count() <= PAUSE_REASON_CHARS_MAX && !text.contains(char::is_control)
}

/// Tasks a second; `None`: all at once.
fn pace(json: &[u8]) -> Result<Option<u32>, Invalid> {
    let mut fields = object(json, &["per_second"], RESUME_ALLOWED)?;
    let Some(given) = fields.remove("per_second") else { return Ok(Some(PER_SECOND_DEFAULT)) };
    if given.is_null() {
        return Ok(None);
    }
    let per_second = given.as_u64().and_then(|given| u32::try_from(given).ok());
    let refused = || Invalid::new("/per_second", &given, format!("{}, or null for all at once", pace_allowed()));
    per_second.filter(|given| PER_SECOND.contains(given)).map(Some).ok_or_else(refused)
}

/// The same, as a form says it.
///
/// # Errors
/// It is no pace.
pub fn per_second(text: &str) -> Result<u32, Invalid> {
    let given = text.parse().ok().filter(|given| PER_SECOND.contains(given));
    given.ok_or_else(|| Invalid::new("/per_second", text, pace_allowed()))
}

fn pace_allowed() -> String {
    format!("an integer from {} to {}", PER_SECOND.start(), PER_SECOND.end())
}

/// A JSON object of these fields; an empty body is an empty one.
fn object(json: &[u8], known: &[&str], allowed: &str) -> Result<Map<String, Value>, Invalid> {
    if json.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let document: Value = serde_json::from_slice(json).map_err(|cause| Invalid::new("", cause, allowed))?;
    let Value::Object(fields) = document else { return Err(Invalid::new("", &document, allowed)) };
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(Invalid::new(pointer_part(unknown), "an unknown field", allowed)),
        None => Ok(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_or_a_label_is_paused() {
        for (json, label, reason) in [
            ("", None, None),
            (" ", None, None),
            ("{}", None, None),
            (r#"{"label": null, "reason": null}"#, None, None),
            (r#"{"label": "tenant=acme"}"#, Some(("tenant", "acme")), None),
            (r#"{"label": "a=b=c", "reason": "they asked"}"#, Some(("a", "b=c")), Some("they asked")),
        ] {
            let label = label.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(
                Wanted::read(json.as_bytes()),
                Ok(Wanted { label, reason: reason.map(str::to_owned) }),
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(PAUSE_REASON_CHARS_MAX + 1));
        for (json, pointer) in [
            ("{", ""),
            ("[]", ""),
            (r#"{"label": "acme"}"#, "/label"),
            (r#"{"label": "=acme"}"#, "/label"),
            (r#"{"label": 7}"#, "/label"),
            (r#"{"label": "a=\u0000"}"#, "/label"),
            (r#"{"reason": 7}"#, "/reason"),
            (r#"{"reason": "a\u0000"}"#, "/reason"),
            (&long, "/reason"),
            (r#"{"labels": "a=b"}"#, "/labels"),
        ] {
            assert_eq!(Wanted::read(json.as_bytes()).unwrap_err().pointer, pointer, "{json}");
        }
        for (json, pointer) in [
            (r#"{"per_second": 0}"#, "/per_second"),
            (r#"{"per_second": 100001}"#, "/per_second"),
            (r#"{"per_second": 1.5}"#, "/per_second"),
            (r#"{"per_second": "1"}"#, "/per_second"),
            (r#"{"pace": 1}"#, "/pace"),
            ("7", ""),
        ] {
            assert_eq!(pace(json.as_bytes()).unwrap_err().pointer, pointer, "{json}");
        }
    }

    #[test]
    fn a_form_says_the_same_in_texts() {
        let acme = Some(("tenant".to_owned(), "acme".to_owned()));
        assert_eq!(Wanted::of(None, None), Ok(Wanted { label: None, reason: None }));
        assert_eq!(
            Wanted::of(Some("tenant=acme"), Some("they asked")),
            Ok(Wanted { label: acme, reason: Some("they asked".to_owned()) })
        );
        for (label, reason, pointer) in
            [(Some(""), None, "/label"), (Some("acme"), None, "/label"), (None, Some("a\nb"), "/reason")]
        {
            assert_eq!(Wanted::of(label, reason).unwrap_err().pointer, pointer);
        }
        assert_eq!((per_second("1"), per_second("100000")), (Ok(1), Ok(100_000)));
        for text in ["", "0", "100001", "1.5", "-1", "many"] {
            assert_eq!(per_second(text).unwrap_err().pointer, "/per_second", "{text}");
        }
    }

    #[test]
    fn a_pace_is_a_thousand_unless_said() {
        for (json, is) in [
            ("", Some(1_000)),
            ("{}", Some(1_000)),
            (r#"{"per_second": null}"#, None),
            (r#"{"per_second": 1}"#, Some(1)),
            (r#"{"per_second": 100000}"#, Some(100_000)),
        ] {
            assert_eq!(pace(json.as_bytes()), Ok(is), "{json}");
        }
    }
}
