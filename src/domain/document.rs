//! A submission as it comes from outside (REST body, batch item, topic record) and its way to a [`NewTask`].
//!
//! One JSON form for all ways in. Everything is checked here, once; what passes may be stored as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::ids::TaskId;
use super::invalid::{Invalid, pointer_part};
use super::kafka_topics;
use super::limits::{
    AHEAD_MAX, ATTEMPTS_MAX, BACKOFF_MAX, LABEL_CHARS_MAX, LABELS_MAX, PRIORITY_MAX, TIMEOUT_DEFAULT, TIMEOUT_MS,
};
use super::object::{Object, distinct};
use super::payload::{Payload, minified};
use super::retry::RetryPolicy;
use super::target_document::TargetDocument;
use super::task::{Delivery, Misfire, NewTask, Spec};
use super::time::{Timestamp, millis_of};
use super::unreadable::{ALLOWED, beginning, unreadable};

/// A submission's JSON, before it is checked.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    id: Option<String>,
    run_at: Option<String>,
    delay_ms: Option<u64>,
    target: Object<TargetDocument>,
    payload: Option<Box<RawValue>>,
    delivery: Option<Value>,
    retry: Option<Object<RetryDocument>>,
    timeout_ms: Option<u64>,
    misfire: Option<Value>,
    priority: Option<u64>,
    #[serde(default, deserialize_with = "distinct")]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RetryDocument {
    max_attempts: Option<u64>,
    initial_ms: Option<u64>,
    factor: Option<f64>,
    max_ms: Option<u64>,
    jitter: Option<f64>,
}

/// Where a submission's id came from besides the document.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
    /// The key of the record that it is the value of.
    pub record_key: Option<TaskId>,
    /// The database's clock at receipt: what `delay_ms` counts from, and when the task was accepted.
    pub at: Timestamp,
}

impl Document {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// Not JSON, a wrong type, an unknown or a doubled field: with the field's pointer.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err(Invalid::new("", beginning(json), ALLOWED));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let Object(document) = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| unreadable(error.path(), &error.inner().to_string()))?;
        deserializer.end().map_err(|error| Invalid::new("", error, "one JSON object and nothing after it"))?;
        Ok(document)
    }

    /// It names its id itself.
    pub fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first field that is not allowed. Nothing was stored.
    pub fn check(self, received: Received<'_>) -> Result<NewTask, Invalid> {
        let fingerprint = self.fingerprint()?;
        let id = self.task_id(received)?;
        let run_at = instant(self.run_at.as_deref(), self.delay_ms, received.at)?;
        let spec = Spec {
            target: self.target.0.check().map_err(|invalid| invalid.under("/target"))?,
            payload: self.payload.as_deref().map(Payload::read).transpose()?.unwrap_or_default(),
            delivery: self.delivery.map_or_else(|| Ok(Delivery::default()), delivery)?,
            retry: self.retry.map_or_else(|| Ok(RetryPolicy::default()), |retry| retry.0.check())?,
            timeout: timeout(self.timeout_ms)?,
            misfire: self.misfire.map_or_else(|| Ok(Misfire::default()), misfire)?,
            priority: priority(self.priority)?,
            labels: labels(self.labels.unwrap_or_default())?,
        };
        kafka_topics::check_timeout(&spec.target, spec.timeout)?;
        Ok(NewTask { id, run_at, spec, fingerprint, accepted_at: Some(received.at) })
    }

    /// SHA-256 of the document as submitted, white space aside; `delay_ms` stays unresolved, so that a repeat of the
    /// same request is the same task.
    fn fingerprint(&self) -> Result<[u8; 32], Invalid> {
        let json = serde_json::to_string(self).map_err(|error| Invalid::new("", error, "a JSON object"))?;
        Ok(Sha256::digest(minified(&json).as_bytes()).into())
    }

    fn task_id(&self, received: Received<'_>) -> Result<TaskId, Invalid> {
        let id = self.id.as_ref().map(|id| {
            let read = Uuid::parse_str(id).map(TaskId);
            read.map_err(|_| Invalid::new("/id", id, "a UUID, or none to have one made"))
        });
        match (id.transpose()?, received.idempotency_key, received.record_key) {
            (Some(id), None, None) => Ok(id),
            (Some(id), _, Some(key)) if id == key => Ok(id),
            (Some(id), _, Some(key)) => Err(Invalid::new("/id", id, format!("the record's key {key}, or none"))),
            (Some(id), Some(_), None) => {
                Err(Invalid::new("/id", id, "no id where the header Idempotency-Key is given, which becomes the id"))
            }
            (None, _, Some(key)) => Ok(key),
            (None, Some(key), None) => Ok(TaskId::from_key(key)),
            (None, None, None) => Ok(TaskId(Uuid::now_v7())),
        }
    }
}

impl RetryDocument {
    fn check(self) -> Result<RetryPolicy, Invalid> {
        let default = RetryPolicy::default();
        let longest = millis_of(BACKOFF_MAX);
        let max_attempts = self.max_attempts.unwrap_or(u64::from(default.max_attempts));
        let policy = RetryPolicy {
            max_attempts: u32::try_from(max_attempts)
                .ok()
                .filter(|n| (1..=ATTEMPTS_MAX).contains(n))
                .ok_or_else(|| Invalid::new("/retry/max_attempts", max_attempts, format!("1 to {ATTEMPTS_MAX}")))?,
            initial_ms: self.initial_ms.unwrap_or(default.initial_ms),
            factor: self.factor.unwrap_or(default.factor),
            max_ms: self.max_ms.unwrap_or(default.max_ms),
            jitter: self.jitter.unwrap_or(default.jitter),
        };
        for (pointer, ms) in [("/retry/initial_ms", policy.initial_ms), ("/retry/max_ms", policy.max_ms)] {
            if ms > longest {
                return Err(Invalid::new(pointer, ms, format!("0 to {longest}")));
            }
        }
        if !(1.0..=100.0).contains(&policy.factor) {
            return Err(Invalid::new("/retry/factor", policy.factor, "1 to 100"));
        }
        if !(0.0..=1.0).contains(&policy.jitter) {
            return Err(Invalid::new("/retry/jitter", policy.jitter, "0 to 1"));
        }
        Ok(policy)
    }
}

/// When something is to run, by one of its two fields.
pub(super) fn instant(run_at: Option<&str>, delay_ms: Option<u64>, now: Timestamp) -> Result<Timestamp, Invalid> {
    let latest = now.plus(AHEAD_MAX);
    match (run_at, delay_ms) {
        (Some(run_at), None) => {
            let at = Timestamp::parse(run_at).ok_or_else(|| {
                Invalid::new("/run_at", run_at, "an RFC 3339 instant with an offset, like 2026-12-24T18:00:00+01:00")
            })?;
            if at > latest {
                return Err(Invalid::new("/run_at", run_at, format!("at most 10 years ahead, until {latest}")));
            }
            Ok(at)
        }
        (None, Some(delay_ms)) => {
            let delay = Duration::from_millis(delay_ms);
            if delay > AHEAD_MAX {
                return Err(Invalid::new("/delay_ms", delay_ms, format!("0 to {} (10 years)", millis_of(AHEAD_MAX))));
            }
            Ok(now.plus(delay))
        }
        (Some(run_at), Some(_)) => Err(Invalid::new("/run_at", run_at, "either run_at or delay_ms, not both")),
        (None, None) => Err(Invalid::new("/run_at", "missing", "either run_at or delay_ms")),
    }
}

fn timeout(ms: Option<u64>) -> Result<Duration, Invalid> {
    match ms {
        None => Ok(TIMEOUT_DEFAULT),
        Some(ms) if TIMEOUT_MS.contains(&ms) => Ok(Duration::from_millis(ms)),
        Some(ms) => Err(Invalid::new("/timeout_ms", ms, format!("{} to {}", TIMEOUT_MS.start(), TIMEOUT_MS.end()))),
    }
}

fn delivery(given: Value) -> Result<Delivery, Invalid> {
    match given.as_str() {
        Some("at_most_once") => Ok(Delivery::AtMostOnce),
        Some("at_least_once") => Ok(Delivery::AtLeastOnce),
        _ => Err(Invalid::new("/delivery", given, "\"at_most_once\" or \"at_least_once\"")),
    }
}

fn misfire(given: Value) -> Result<Misfire, Invalid> {
    const FIELD: &str = "expire_after_ms";
    if given == "fire" {
        return Ok(Misfire::Fire);
    }
    let fields = given.as_object();
    if let Some(other) = fields.and_then(|fields| fields.keys().find(|name| *name != FIELD)) {
        return Err(Invalid::new(
            format!("/misfire{}", pointer_part(other)),
            other,
            format!("the field {FIELD} alone"),
        ));
    }
    let Some(ms) = fields.and_then(|fields| fields.get(FIELD)) else {
        return Err(Invalid::new("/misfire", given, format!("\"fire\" or {{\"{FIELD}\": milliseconds}}")));
    };
    let refused = || Invalid::new(format!("/misfire/{FIELD}"), ms, "milliseconds, a whole number from 0 on");
    ms.as_u64().map(Misfire::ExpireAfterMs).ok_or_else(refused)
}

pub(super) fn priority(priority: Option<u64>) -> Result<u8, Invalid> {
    let given = priority.unwrap_or(0);
    u8::try_from(given)
        .ok()
        .filter(|p| *p <= PRIORITY_MAX)
        .ok_or_else(|| Invalid::new("/priority", given, format!("0 to {PRIORITY_MAX}")))
}

fn labels(labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    if labels.len() > LABELS_MAX {
        return Err(Invalid::new("/labels", format!("{} labels", labels.len()), format!("at most {LABELS_MAX}")));
    }
    for (name, value) in &labels {
        for part in [name, value] {
            let fits = part.chars().count() <= LABEL_CHARS_MAX && !part.contains('\0');
            if !fits || name.is_empty() {
                let pointer = format!("/labels{}", pointer_part(name));
                return Err(Invalid::new(
                    pointer,
                    part,
                    format!("1 to {LABEL_CHARS_MAX} characters, none of them NUL"),
                ));
            }
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    fn check(json: &str) -> Result<NewTask, Invalid> {
        Document::parse(json.as_bytes())?.check(Received { idempotency_key: None, record_key: None, at: NOW })
    }

    fn pointer(json: &str) -> String {
        check(json).expect_err(json).pointer
    }

    #[test]
    fn the_shortest_submission_takes_every_default() {
        let task = check(r#"{"delay_ms": 3000, "target": {"type": "log"}}"#).unwrap();
        assert_eq!((task.run_at, task.accepted_at), (NOW.plus(Duration::from_secs(3)), Some(NOW)));
        assert_eq!(task.spec.delivery, Delivery::AtMostOnce);
        assert_eq!(task.spec.timeout, TIMEOUT_DEFAULT);
        assert_eq!(task.spec.payload, Payload::Empty);
    }

    #[test]
    fn each_bad_field_is_named() {
        let with = |fields: &str| format!(r#"{{"delay_ms": 1, "target": {{"type": "log"}}, {fields}}}"#);
        for (json, field) in [
            (with(r#""priority": 10"#), "/priority"),
            (with(r#""priority": "high""#), "/priority"),
            (with(r#""retry": {"max_attempts": 0}"#), "/retry/max_attempts"),
            (with(r#""retry": {"factor": 0.5}"#), "/retry/factor"),
            (with(r#""retry": {"tries": 3}"#), "/retry/tries"),
            (with(r#""timeout_ms": 0"#), "/timeout_ms"),
            (with(r#""retry": [3, 1000]"#), "/retry"),
            (r#"{"delay_ms": 1, "target": ["log"]}"#.to_owned(), "/target"),
            (with(r#""id": "42""#), "/id"),
            (with(r#""when": 1"#), "/when"),
            (with(r#""delay_ms": 2"#), "/delay_ms"),
            (with(r#""delivery": 3"#), "/delivery"),
            (with(r#""delivery": {"at_most_once": null}"#), "/delivery"),
            (with(r#""misfire": 3"#), "/misfire"),
            (with(r#""misfire": {}"#), "/misfire"),
            (with(r#""misfire": ["fire"]"#), "/misfire"),
            (with(r#""misfire": {"fire": null}"#), "/misfire/fire"),
            (with(r#""misfire": {"expire_after_ms": 1, "x": 2}"#), "/misfire/x"),
            (with(r#""misfire": {"expire_after_ms": -1}"#), "/misfire/expire_after_ms"),
            (with(r#""labels": {"a": "1", "a": "2"}"#), "/labels"),
            (with(r#""labels": ["a"]"#), "/labels"),
            (r#"{"delay_ms": 1}"#.to_owned(), "/target"),
            (r#"{"delay_ms": 1, "target": {}}"#.to_owned(), "/target/type"),
            (with(r#""labels": {"": "x"}"#), "/labels/"),
            (with(r#""labels": {"a\u0000b": "x"}"#), r"/labels/a\u{0}b"),
            (with(r#""\u0000": 1"#), r"/\u{0}"),
            (with(r#""run_at": "2026-12-24T18:00:00Z""#), "/run_at"),
            (r#"{"target": {"type": "log"}}"#.to_owned(), "/run_at"),
            (r#"{"run_at": "2026-12-24T18:00:00", "target": {"type": "log"}}"#.to_owned(), "/run_at"),
            (r#"{"run_at": "9999-01-01T00:00:00Z", "target": {"type": "log"}}"#.to_owned(), "/run_at"),
            (r#"{"delay_ms": 1, "target": {"type": "fax"}}"#.to_owned(), "/target/type"),
            (r#"{"delay_ms": 1, "target": {"type": "http", "url": "ftp://x/"}}"#.to_owned(), "/target/url"),
            (r#"{"delay_ms": -1, "target": {"type": "log"}}"#.to_owned(), "/delay_ms"),
            (
                r#"{"delay_ms": 1, "timeout_ms": 1999, "target": {"type": "kafka", "topic": "t"}}"#.to_owned(),
                "/timeout_ms",
            ),
        ] {
            assert_eq!(pointer(&json), field, "{json}");
        }
    }

    #[test]
    fn the_shortest_time_of_a_record_is_taken() {
        let json = r#"{"delay_ms": 1, "timeout_ms": 2000, "target": {"type": "kafka", "topic": "t"}}"#;
        assert_eq!(check(json).unwrap().spec.timeout, Duration::from_secs(2));
    }

    #[test]
    fn misfire_and_delivery_are_read_in_all_their_forms() {
        let spec = |fields: &str| {
            check(&format!(r#"{{"delay_ms": 1, "target": {{"type": "log"}}, {fields}}}"#)).expect(fields).spec
        };
        assert_eq!(spec(r#""misfire": "fire""#).misfire, Misfire::Fire);
        assert_eq!(spec(r#""misfire": {"expire_after_ms": 5}"#).misfire, Misfire::ExpireAfterMs(5));
        assert_eq!(spec(r#""misfire": null, "delivery": null"#).delivery, Delivery::AtMostOnce);
        assert_eq!(spec(r#""delivery": "at_least_once""#).delivery, Delivery::AtLeastOnce);
    }

    #[test]
    fn a_year_9999_is_too_far_but_the_past_is_no_error() {
        assert!(check(r#"{"run_at": "1999-01-01T00:00:00Z", "target": {"type": "log"}}"#).is_ok());
    }

    #[test]
    fn the_fingerprint_is_of_the_document_not_of_its_white_space_or_the_time() {
        let print = |json: &str, at: Timestamp| {
            Document::parse(json.as_bytes())
                .unwrap()
                .check(Received { idempotency_key: None, record_key: None, at })
                .unwrap()
                .fingerprint
        };
        let first = print(r#"{"delay_ms":5,"target":{"type":"log"},"payload":{"a":1}}"#, NOW);
        let later = print(
            r#"{ "payload": {"a": 1}, "delay_ms": 5, "target": {"type": "log"} }"#,
            NOW.plus(Duration::from_secs(9)),
        );
        assert_eq!(first, later);
        assert_ne!(first, print(r#"{"delay_ms":5,"target":{"type":"log"},"payload":{"a":2}}"#, NOW));
    }

    #[test]
    fn broken_truncated_and_trailing_json_are_refused() {
        for json in ["", "{", "[]", "{} {}", "nul", "\"x\""] {
            assert!(Document::parse(json.as_bytes()).is_err(), "{json}");
        }
        let deep = format!(
            r#"{{"delay_ms": 1, "target": {{"type": "log"}}, "payload": {}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(pointer(&deep), "/payload");
        assert!(Document::parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn a_key_and_an_id_do_not_go_together() {
        let document = Document::parse(
            br#"{"id": "0199c0de-0000-7000-8000-000000000001", "delay_ms": 1, "target": {"type": "log"}}"#,
        )
        .unwrap();
        let invalid = document.check(Received { idempotency_key: Some("k"), record_key: None, at: NOW }).unwrap_err();
        assert_eq!(invalid.pointer, "/id");
    }
}
