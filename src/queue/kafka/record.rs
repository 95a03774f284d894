//! A record of the submission topic, from whomever it comes: the same JSON as over REST.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::document::{Document, Received};
use crate::domain::invalid::legible;
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::domain::{NewTask, Target, TaskId, Timestamp};

/// The header by which a node says when it received a submission, in microseconds since 1970: what `delay_ms` counts from.
pub const RECEIVED_AT: &str = "task-scheduler-received-at";

/// The database's clock may have been set back since a record was received.
const CLOCKS_APART: Duration = Duration::from_hours(24);

/// Longest reason of a dead letter, in characters. It goes into a row and into a header of the letter's record.
pub const REASON_CHARS_MAX: usize = 2_000;
/// Most quoted of a key or a header, in characters.
const QUOTED_CHARS_MAX: usize = 100;

/// A record's parts.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The task's id.
    pub key: Option<&'a [u8]>,
    /// The document.
    pub value: Option<&'a [u8]>,
    /// The header [`RECEIVED_AT`].
    pub received_at: Option<&'a [u8]>,
    /// When it was written, by its writer's or the brokers' clock.
    pub written_at: Option<Timestamp>,
}

/// Reads one. `now` is what `delay_ms` counts from where nobody has received it before.
///
/// # Errors
/// Why it is no task: legible and bounded, whatever the record holds.
pub fn read(record: Record<'_>, now: Timestamp, topics: &KafkaTopics) -> Result<NewTask, String> {
    task(record, now, topics).map_err(|reason| legible(&reason, REASON_CHARS_MAX))
}

fn task(record: Record<'_>, now: Timestamp, topics: &KafkaTopics) -> Result<NewTask, String> {
    let value = record.value.ok_or("the record has no value; allowed: a task as a JSON object")?;
    if value.len() > SUBMISSION_BYTES_MAX {
        let (bytes, max) = (value.len(), SUBMISSION_BYTES_MAX);
        return Err(format!("the record has {bytes} bytes; allowed: at most {max}"));
    }
    let record_key = record.key.map(key).transpose()?;
    let received_at = record.received_at.map(|bytes| received_at(bytes, now)).transpose()?;
    let document = Document::parse(value).map_err(|invalid| invalid.to_string())?;
    if record_key.is_none() && !document.has_id() {
        return Err("the record has neither a key nor an id; allowed: the task's id as its key".to_owned());
    }
    let received = Received { idempotency_key: None, record_key, at: received_at.unwrap_or(now) };
    let task = document.check(received).map_err(|invalid| invalid.to_string())?;
    // Not what this node's settings allow besides: while they are changed, another node has accepted it by its own.
    if let Target::Kafka(target) = &task.spec.target {
        topics.check_own(target).map_err(|invalid| invalid.to_string())?;
    }
    // A node has said when, by the database's clock; of others only the record's own time is known.
    let accepted_at = received_at.or(record.written_at.filter(|at| at.micros() >= 0));
    Ok(NewTask { accepted_at, ..task })
}

fn key(bytes: &[u8]) -> Result<TaskId, String> {
    let id = std::str::from_utf8(bytes).ok().and_then(|text| Uuid::parse_str(text).ok());
    let shown = || legible(&String::from_utf8_lossy(bytes), QUOTED_CHARS_MAX);
    id.map(TaskId).ok_or_else(|| format!("the record's key is {}; allowed: the task's id, a UUID", shown()))
}

fn received_at(bytes: &[u8], now: Timestamp) -> Result<Timestamp, String> {
    let micros: Option<i64> = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    let latest = now.plus(CLOCKS_APART).micros();
    let shown = || legible(&String::from_utf8_lossy(bytes), QUOTED_CHARS_MAX);
    micros.filter(|at| (0..=latest).contains(at)).map(Timestamp::from_micros).ok_or_else(|| {
        format!("the header {RECEIVED_AT} is {}; allowed: microseconds since 1970, not in the future", shown())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890000-0000-7000-8000-000000000001";
    const DOCUMENT: &str = r#"{"delay_ms": 1000, "target": {"type": "log"}}"#;

    fn read_as(key: Option<&str>, value: &str, at: Option<&str>) -> Result<NewTask, String> {
        let (key, value, received_at) = (key.map(str::as_bytes), Some(value.as_bytes()), at.map(str::as_bytes));
        let record = Record { key, value, received_at, written_at: None };
        read(record, Timestamp::from_micros(5), &KafkaTopics::new(vec![], vec!["in".into()]))
    }

    #[test]
    fn the_key_is_the_id() {
        let task = read_as(Some(ID), DOCUMENT, None).unwrap();
        assert_eq!((task.id.to_string().as_str(), task.run_at.micros()), (ID, 1_000_005));
        let same = format!(r#"{{"id": "{ID}", "delay_ms": 1000, "target": {{"type": "log"}}}}"#);
        assert_eq!(read_as(Some(ID), &same, None).unwrap().id, task.id);
        assert_eq!(read_as(None, &same, None).unwrap().id, task.id);
    }

    #[test]
    fn a_delay_counts_from_the_receipt() {
        let task = read_as(Some(ID), DOCUMENT, Some("1000")).unwrap();
        assert_eq!(task.run_at.micros(), 1_001_000);
        assert_eq!(task.fingerprint, read_as(Some(ID), DOCUMENT, None).unwrap().fingerprint);
    }

    #[test]
    fn it_was_accepted_when_a_node_received_it_or_else_when_it_was_written() {
        let accepted = |received_at: Option<&str>, written_us: Option<i64>| {
            let (key, value) = (Some(ID.as_bytes()), Some(DOCUMENT.as_bytes()));
            let (received_at, written_at) = (received_at.map(str::as_bytes), written_us.map(Timestamp::from_micros));
            let record = Record { key, value, received_at, written_at };
            let task = read(record, Timestamp::from_micros(5), &KafkaTopics::default()).unwrap();
            task.accepted_at.map(Timestamp::micros)
        };
        assert_eq!(accepted(Some("3"), Some(7)), Some(3), "by the database's clock");
        assert_eq!(accepted(None, Some(7)), Some(7));
        assert_eq!(accepted(None, None), None, "when it was read is no answer");
        assert_eq!(accepted(None, Some(-7)), None, "no clock says so");
    }

    /// A row takes no NUL, and a record no header of a megabyte.
    #[test]
    fn a_reason_can_be_kept_whatever_the_record_holds() {
        let long = "\u{7}k".repeat(300_000);
        let with = |fields: &str| format!(r#"{{"delay_ms": 0, "target": {{"type": "log"}}, {fields}}}"#);
        let json = serde_json::to_string(&long).unwrap();
        for (key, value, at) in [
            (ID, with(r#""\u0000": 1"#), None),
            (ID, with(r#""labels": {"a\u0000b": "x"}"#), None),
            (ID, with(r#""labels": {"a": "\u0000"}"#), None),
            (ID, with(r#""labels": {"a\u0000": "1", "a\u0000": "2"}"#), None),
            (ID, with(r#""delivery": {"\u0000": 1}"#), None),
            (ID, with(r#""misfire": {"\u0000": 1}"#), None),
            (ID, with(r#""id": "\u0000""#), None),
            (ID, r#"{"delay_ms": 0, "target": {"type": "\u0000"}}"#.to_owned(), None),
            (ID, r#"{"delay_ms": 0, "target": {"type": "log", "\u0000": 1}}"#.to_owned(), None),
            (ID, "\0".to_owned(), None),
            (ID, with(&format!("{json}: 1")), None),
            (ID, with(&format!(r#""labels": {{{json}: "1"}}"#)), None),
            (ID, with(&format!(r#""labels": {{{json}: 1}}"#)), None),
            (ID, with(&format!(r#""misfire": {{{json}: 1}}"#)), None),
            ("\0", DOCUMENT.to_owned(), None),
            (&long, DOCUMENT.to_owned(), None),
            (ID, DOCUMENT.to_owned(), Some("\0")),
            (ID, DOCUMENT.to_owned(), Some(long.as_str())),
        ] {
            let reason = read_as(Some(key), &value, at).unwrap_err();
            assert!(!reason.contains(char::is_control), "{reason:?}");
            assert!(reason.chars().count() <= REASON_CHARS_MAX, "{reason}");
        }
    }

    #[test]
    fn what_another_nodes_settings_allowed_is_no_dead_letter() {
        let kafka = r#"{"delay_ms": 0, "target": {"type": "kafka", "cluster": "new", "topic": "new"}}"#;
        assert!(read_as(Some(ID), kafka, None).is_ok());
    }

    #[test]
    fn what_is_no_task_says_why() {
        let other = format!(r#"{{"id": "{ID}", "delay_ms": 0, "target": {{"type": "log"}}}}"#);
        let kafka = r#"{"delay_ms": 0, "target": {"type": "kafka", "topic": "in"}}"#;
        for (key, value, at, says) in [
            (Some("k"), DOCUMENT, None, "key is k"),
            (None, DOCUMENT, None, "neither a key nor an id"),
            (Some("01890000-0000-7000-8000-000000000002"), other.as_str(), None, "/id is"),
            (Some(ID), "", None, "allowed"),
            (Some(ID), "{", None, "allowed"),
            (Some(ID), DOCUMENT, Some("9223372036854775807"), "not in the future"),
            (Some(ID), DOCUMENT, Some("soon"), "task-scheduler-received-at is soon"),
            (Some(ID), kafka, None, "/target/topic is in;"),
        ] {
            let reason = read_as(key, value, at).unwrap_err();
            assert!(reason.contains(says), "{reason}");
        }
        let none = Record { key: Some(ID.as_bytes()), value: None, received_at: None, written_at: None };
        assert!(read(none, Timestamp::from_micros(0), &KafkaTopics::default()).unwrap_err().contains("no value"));
    }
}
