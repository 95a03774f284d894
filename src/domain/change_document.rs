//! What a caller wants to be different about a task, as it comes from outside, and its way to what is stored.

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::document::{instant, priority};
use super::invalid::Invalid;
use super::object::Object;
use super::payload::Payload;
use super::time::Timestamp;
use super::unreadable::{beginning, unreadable};

/// What a change may be.
const CHANGES: &str = "a JSON object with at least one of run_at (or delay_ms), payload and priority";
/// What a new instant may be.
const INSTANT: &str = "a JSON object with run_at or delay_ms";
/// What a call without anything to say may carry.
const NOTHING: &str = "an empty body, or {}";

/// A change, checked. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// When it is to run; `delay_ms` is resolved.
    pub run_at: Option<Timestamp>,
    /// What it carries; `null` takes the payload away.
    pub payload: Option<Payload>,
    /// 0 to 9.
    pub priority: Option<u8>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ChangesDocument {
    run_at: Option<String>,
    delay_ms: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    payload: Option<Box<RawValue>>,
    priority: Option<u64>,
}

/// A `null` that is written there is one that is given.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstantDocument {
    run_at: Option<String>,
    delay_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingDocument {}

/// Reads what is to be changed; `at` is the database's clock at receipt, from which `delay_ms` counts.
///
/// # Errors
/// The first field that is not allowed, as at submission; nothing to be changed.
pub fn changes(json: &[u8], at: Timestamp) -> Result<Changes, Invalid> {
    let document: ChangesDocument = object(json, CHANGES)?;
    let timed = document.run_at.is_some() || document.delay_ms.is_some();
    let changes = Changes {
        run_at: timed.then(|| instant(document.run_at.as_deref(), document.delay_ms, at)).transpose()?,
        payload: document.payload.as_deref().map(Payload::read).transpose()?,
        priority: document.priority.map(|given| priority(Some(given))).transpose()?,
    };
    if changes == (Changes { run_at: None, payload: None, priority: None }) {
        return Err(Invalid::new("", beginning(json), CHANGES));
    }
    Ok(changes)
}

/// Reads a new instant.
///
/// # Errors
/// Not one of both fields, or not allowed as at submission.
pub fn new_instant(json: &[u8], at: Timestamp) -> Result<Timestamp, Invalid> {
    let document: InstantDocument = object(json, INSTANT)?;
    instant(document.run_at.as_deref(), document.delay_ms, at)
}

/// Makes sure that nothing is said.
///
/// # Errors
/// There is something.
pub fn nothing(json: &[u8]) -> Result<(), Invalid> {
    if json.trim_ascii().is_empty() {
        return Ok(());
    }
    object::<NothingDocument>(json, NOTHING).map(|_| ())
}

fn object<T: DeserializeOwned>(json: &[u8], allowed: &str) -> Result<T, Invalid> {
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Invalid::new("", beginning(json), allowed));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let Object(document) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| unreadable(error.path(), &error.inner().to_string()))?;
    deserializer.end().map_err(|error| Invalid::new("", error, "one JSON object and nothing after it"))?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);
    const NONE: Changes = Changes { run_at: None, payload: None, priority: None };

    fn read(json: &str) -> Changes {
        changes(json.as_bytes(), NOW).expect(json)
    }

    #[test]
    fn only_what_is_given_is_changed() {
        assert_eq!(read(r#"{"priority": 0}"#), Changes { priority: Some(0), ..NONE });
        assert_eq!(read(r#"{"delay_ms": 5}"#), Changes { run_at: Some(NOW.plus(Duration::from_millis(5))), ..NONE });
        let at = Timestamp::parse("2026-12-24T17:00:00Z");
        assert_eq!(read(r#"{"run_at": "2026-12-24T18:00:00+01:00"}"#), Changes { run_at: at, ..NONE });
        let payload = Some(Payload::Json("{\"a\": 1.00}".to_owned()));
        assert_eq!(read(r#"{"payload": {"a": 1.00}}"#), Changes { payload, ..NONE });
        assert_eq!(read(r#"{"payload": null}"#), Changes { payload: Some(Payload::Empty), ..NONE });
        assert_eq!(read(r#"{"payload": {"base64": "AA=="}}"#).payload, Some(Payload::Bytes(vec![0])));
    }

    #[test]
    fn each_bad_field_is_named() {
        for (json, pointer) in [
            ("", ""),
            ("[]", ""),
            ("{", ""),
            ("{}", ""),
            ("{} {}", ""),
            (r#"{"priority": null}"#, ""),
            (r#"{"priority": 10}"#, "/priority"),
            (r#"{"priority": 1, "priority": 2}"#, "/priority"),
            (r#"{"run_at": "tomorrow"}"#, "/run_at"),
            (r#"{"run_at": "9999-01-01T00:00:00Z"}"#, "/run_at"),
            (r#"{"run_at": "2026-12-24T17:00:00Z", "delay_ms": 1}"#, "/run_at"),
            (r#"{"delay_ms": -1}"#, "/delay_ms"),
            (r#"{"payload": {"base64": "?"}}"#, "/payload/base64"),
            (r#"{"target": {"type": "log"}}"#, "/target"),
        ] {
            assert_eq!(changes(json.as_bytes(), NOW).expect_err(json).pointer, pointer, "{json}");
        }
    }

    #[test]
    fn a_new_instant_is_one_of_two_fields() {
        assert_eq!(new_instant(br#"{"delay_ms": 0}"#, NOW), Ok(NOW));
        for (json, pointer) in [
            ("", ""),
            ("{}", "/run_at"),
            (r#"{"run_at": null}"#, "/run_at"),
            (r#"{"run_at": 1}"#, "/run_at"),
            (r#"{"priority": 1}"#, "/priority"),
        ] {
            assert_eq!(new_instant(json.as_bytes(), NOW).expect_err(json).pointer, pointer, "{json}");
        }
    }

    #[test]
    fn nothing_is_nothing_or_an_empty_object() {
        for json in ["", " \n", "{}", " { } "] {
            assert_eq!(nothing(json.as_bytes()), Ok(()), "{json}");
        }
        for (json, pointer) in [("[]", ""), ("{", ""), ("null", ""), (r#"{"state": "failed"}"#, "/state")] {
            assert_eq!(nothing(json.as_bytes()).expect_err(json).pointer, pointer, "{json}");
        }
    }
}
