//! `GET /v1/tasks`: a page of tasks, the newest first.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use url::form_urlencoded;

use super::problem::Problem;
use super::view::TaskView;
use super::{ApiState, cursor};
use crate::domain::limits::{LABEL_CHARS_MAX, LABELS_MAX};
use crate::domain::tags::{ADDRESSES, checked_address};
use crate::domain::{State, Timestamp};
use crate::store::Filter;

/// Tasks of a page unless said.
pub const LIMIT_DEFAULT: usize = 100;
/// Most tasks of a page.
pub const LIMIT_MAX: usize = 1_000;

#[derive(Serialize)]
struct Page<'a> {
    tasks: Vec<TaskView<'a>>,
    next_cursor: Option<String>,
}

/// `GET /v1/tasks?state=&label=&target=&from=&to=&limit=&cursor=`. A page may hold fewer than were asked for, even none: only
/// one without a cursor is the last.
pub async fn list(api: web::Data<ApiState>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let filter = filter(request.query_string())?;
    let page = api.ask(move |store| store.list(&filter)).await?;
    let next_cursor = page.next.map(cursor::write);
    Ok(HttpResponse::Ok().json(Page { tasks: page.tasks.iter().map(TaskView::listed).collect(), next_cursor }))
}

/// What a query asks for; calls on many tasks take the same filters.
pub fn filter(query: &str) -> Result<Filter, Problem> {
    let mut filter = Filter { limit: LIMIT_DEFAULT, ..Filter::default() };
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let refused = |allowed: &str| Problem::parameter(&name, &value, allowed);
        match name.as_ref() {
            "state" => filter.state = Some(State::from_word(&value).ok_or_else(|| refused(&states()))?),
            "label" => filter.labels.push(label(&value).ok_or_else(|| refused(&labels_allowed()))?),
            "target" => filter.target = Some(checked_address(&value).ok_or_else(|| refused(ADDRESSES))?),
            "from" => filter.from = Some(instant(&value).ok_or_else(|| refused(INSTANT_ALLOWED))?),
            "to" => filter.to = Some(instant(&value).ok_or_else(|| refused(INSTANT_ALLOWED))?),
            "limit" => filter.limit = limit(&value).ok_or_else(|| refused(&format!("1 to {LIMIT_MAX}")))?,
            "cursor" => {
                let place = cursor::read(&value).ok_or_else(|| refused("a next_cursor as it was answered"))?;
                filter.after = Some(place);
            }
            _ => return Err(refused("state, label, target, from, to, limit and cursor")),
        }
        if name != "label" && seen.contains(&name) {
            return Err(refused("given once"));
        }
        seen.push(name);
    }
    if filter.labels.len() > LABELS_MAX {
        return Err(Problem::parameter("label", format!("{} labels", filter.labels.len()), labels_allowed()));
    }
    Ok(filter)
}

const INSTANT_ALLOWED: &str = "an RFC 3339 instant with an offset, like 2026-12-24T18:00:00Z (a + is written %2B)";

fn instant(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text)
}

fn limit(text: &str) -> Option<usize> {
    text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
}

/// `name=value`, or `name:value` where there is no `=` at all.
pub(super) fn label(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').or_else(|| text.split_once(':'))?;
    let fits = |part: &str| part.chars().count() <= LABEL_CHARS_MAX && !part.contains('\0');
    (!name.is_empty() && fits(name) && fits(value)).then(|| (name.to_owned(), value.to_owned()))
}

fn labels_allowed() -> String {
    format!("{}; at most {LABELS_MAX} labels", label_allowed())
}

/// What [`label`] takes.
pub(super) fn label_allowed() -> String {
    format!("name=value or name:value, each of at most {LABEL_CHARS_MAX} characters, none of them NUL")
}

fn states() -> String {
    State::ALL.map(State::word).join(", ")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::TaskId;

    fn refused(query: &str) -> serde_json::Value {
        serde_json::to_value(filter(query).expect_err(query)).unwrap()
    }

    #[test]
    fn every_filter_is_read() {
        let place = (Timestamp::from_micros(9), TaskId(Uuid::nil()));
        let query = format!(
            "state=unknown&label=a%3Db%3Dc&label=d:e&target=http:Example.org:81&from=2026-12-24T18:00:00%2B01:00&to=2026-12-25T00:00:00Z&limit=7&cursor={}",
            cursor::write(place)
        );
        let filter = filter(&query).unwrap();
        assert_eq!(filter.state, Some(State::Unknown));
        assert_eq!(filter.labels, [("a".to_owned(), "b=c".to_owned()), ("d".to_owned(), "e".to_owned())]);
        assert_eq!(filter.target.as_deref(), Some("http:example.org:81"));
        assert_eq!(filter.from, Timestamp::parse("2026-12-24T17:00:00Z"));
        assert_eq!(filter.to, Timestamp::parse("2026-12-25T00:00:00Z"));
        assert_eq!((filter.limit, filter.after), (7, Some(place)));
    }

    #[test]
    fn each_bad_parameter_is_named() {
        for (query, name) in [
            ("state=done", "state"),
            ("label=x", "label"),
            ("label=%3Dx", "label"),
            ("label=a%00=x", "label"),
            ("label=a%3D%00", "label"),
            ("from=yesterday", "from"),
            ("to=2026-12-24T18:00:00", "to"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("cursor=x", "cursor"),
            ("target=http://example.org/", "target"),
            ("target=mail:a", "target"),
            ("target=log&target=log", "target"),
            ("page=2", "page"),
            ("limit=1&limit=2", "limit"),
        ] {
            assert_eq!(refused(query)["parameter"], name, "{query}");
        }
    }
}
