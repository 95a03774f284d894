//! The revision of a task: what `ETag` says of it, and what callers make their requests depend on.

use actix_web::http::header::{ETAG, HeaderMap, HeaderName};
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::problem::{Kind, Problem};
use super::request_id::InLog;
use super::view::TaskView;
use crate::domain::Task;

/// So many bytes of the hash are told.
const TOLD_BYTES: usize = 16;
/// Most tags of one condition.
const TAGS_MAX: usize = 100;
const ALLOWED: &str = "* or at most 100 quoted tags with commas between them, as ETag answers them";

/// A hash of all that a caller sees of a task: of the very bytes of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(String);

impl Revision {
    /// Of a task as it stands.
    pub fn of(task: &Task) -> Self {
        // What cannot be written is answered to nobody, so that nobody can know its revision.
        Self::of_answer(&serde_json::to_vec(&TaskView::whole(task)).unwrap_or_default())
    }

    fn of_answer(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(URL_SAFE_NO_PAD.encode(hash.get(..TOLD_BYTES).unwrap_or_default()))
    }

    /// As `ETag` says it.
    pub fn tag(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// A whole task and its revision.
///
/// # Errors
/// It cannot be written as JSON.
pub fn answer(task: &Task, condition: Option<&Condition>) -> Result<HttpResponse, Problem> {
    let bytes = serde_json::to_vec(&TaskView::whole(task)).map_err(|cause| {
        log::error!("{InLog}task {} cannot be written as JSON: {cause}", task.id);
        Problem::new(Kind::Internal, "the task cannot be written as JSON; the node's log says more").about(task.id)
    })?;
    let revision = Revision::of_answer(&bytes);
    let with = |mut answer: HttpResponseBuilder| {
        answer.insert_header((ETAG, revision.tag()));
        answer
    };
    if condition.is_some_and(|condition| condition.knows(&revision)) {
        return Ok(with(HttpResponse::NotModified()).finish());
    }
    Ok(with(HttpResponse::Ok()).content_type("application/json").body(bytes))
}

/// What `If-Match` or `If-None-Match` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever there is.
    Any,
    /// One of these: whether it is a weak tag, and what stands in its quotes.
    OneOf(Vec<(bool, String)>),
}

impl Condition {
    /// Of this header; `None` if it is not given.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(headers: &HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Option<Self>, Problem> {
        let mut given = Vec::new();
        for value in headers.get_all(name) {
            given.push(value.to_str().map_err(|_| refused(shown, "not ASCII"))?);
        }
        match given.as_slice() {
            [] => Ok(None),
            [any] if any.trim() == "*" => Ok(Some(Self::Any)),
            several => {
                let tags: Option<Vec<_>> = several.iter().flat_map(|one| listed(one)).map(tag).collect();
                let tags = tags.filter(|tags| tags.len() <= TAGS_MAX);
                Ok(Some(Self::OneOf(tags.ok_or_else(|| refused(shown, &several.join(", ")))?)))
            }
        }
    }

    /// By the strong comparison, for what is changed.
    pub fn holds(&self, revision: &Revision) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|(weak, tag)| !weak && *tag == revision.0),
        }
    }

    /// By the weak comparison, for what is only read.
    fn knows(&self, revision: &Revision) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|(_, tag)| *tag == revision.0),
        }
    }
}

fn refused(name: &'static str, value: &str) -> Problem {
    Problem::header(Kind::InvalidHeader, name, value, ALLOWED)
}

/// The tags of a list. One of somebody else's may have a comma in its quotes (RFC 9110, section 8.8.3).
fn listed(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .collect()
}

fn tag(text: &str) -> Option<(bool, String)> {
    let text = text.trim();
    let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |quoted| (true, quoted));
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (!opaque.contains('"')).then(|| (weak, opaque.to_owned()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderValue, IF_MATCH};

    use super::*;

    fn read(values: &[&str]) -> Result<Option<Condition>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        Condition::read(&headers, &IF_MATCH, "If-Match")
    }

    #[test]
    fn a_revision_is_told_by_its_own_tag_only() {
        let (one, other) = (Revision::of_answer(b"{}"), Revision::of_answer(b"{ }"));
        let (tag, weak) = (one.tag(), format!("W/{}", one.tag()));
        let condition = |values: &[&str]| read(values).unwrap().unwrap();
        assert!(condition(&[&tag]).holds(&one) && !condition(&[&tag]).holds(&other));
        assert!(condition(&["\"x\", \"y\"", &tag]).holds(&one), "on two lines");
        assert!(condition(&["*"]).holds(&other));
        // What is only read may be known by a weak one.
        assert!(!condition(&[&weak]).holds(&one) && condition(&[&weak]).knows(&one));
        assert!(!condition(&["\"\""]).holds(&one));
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        assert_eq!(read(&[]).unwrap(), None);
        let many = vec!["\"x\""; 101].join(",");
        let with_comma = read(&["\"a,b\", W/\"c\""]).unwrap();
        let tags = [(false, "a,b"), (true, "c")].map(|(weak, tag)| (weak, tag.to_owned()));
        assert_eq!(with_comma, Some(Condition::OneOf(tags.to_vec())));
        for value in ["", "x", "\"x", "x\"", "\"x\",", "*, \"x\"", "w/\"x\"", "\"a\"b\"", many.as_str()] {
            let problem = serde_json::to_value(read(&[value]).expect_err(value)).unwrap();
            assert_eq!((&problem["header"], &problem["status"]), (&"If-Match".into(), &400.into()), "{value}");
        }
    }
}
