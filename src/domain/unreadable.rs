//! What the JSON reader says of a document, in our own terms: which field, which value, what is allowed.

use serde_path_to_error::{Path, Segment};

use super::invalid::{Invalid, pointer_part};
use super::limits::{AHEAD_MAX, ATTEMPTS_MAX, BACKOFF_MAX, PRIORITY_MAX, TIMEOUT_MS};
use super::time::millis_of;

/// What a document may be.
pub const ALLOWED: &str = "a JSON object with the fields of a task";
/// Most bytes quoted of something that is no document.
const QUOTED_BYTES: usize = 200;

/// The first of something that is no document, for a message.
pub fn beginning(json: &[u8]) -> String {
    match json.trim_ascii_start() {
        [] => "empty".to_owned(),
        start => String::from_utf8_lossy(start.get(..QUOTED_BYTES).unwrap_or(start)).into_owned(),
    }
}

/// The reader's messages end in what it expected, which is what is allowed, and in a place in the text, which the
/// pointer tells better.
pub fn unreadable(path: &Path, message: &str) -> Invalid {
    let told = message.rsplit_once(" at line ").map_or(message, |(told, _)| told);
    let field = |rest: &str| rest.split('`').next().map(pointer_part).unwrap_or_default();
    if let Some(rest) = told.strip_prefix("missing field `") {
        return Invalid::new(pointer_of(path) + &field(rest), "missing", "a value: this field must be given");
    }
    if let Some(rest) = told.strip_prefix("duplicate field `") {
        let pointer = pointer_of(path);
        let field = field(rest);
        let pointer = if pointer.ends_with(&field) { pointer } else { pointer + &field };
        return Invalid::new(pointer, "given twice", "each field once");
    }
    // The last one: what comes before it may be a name or a text from the document, with these words in it.
    match told.rsplit_once(", expected ") {
        Some((value, expected)) => {
            let value = value.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
            let pointer = pointer_of(path);
            let allowed = range(&pointer).unwrap_or_else(|| in_words(expected).to_owned());
            Invalid::new(pointer, in_words(value), allowed)
        }
        None => Invalid::new(pointer_of(path), message, ALLOWED),
    }
}

/// What a field of numbers takes, which the reader does not know.
fn range(pointer: &str) -> Option<String> {
    Some(match pointer {
        "/delay_ms" => format!("0 to {} (10 years)", millis_of(AHEAD_MAX)),
        "/timeout_ms" => format!("{} to {}", TIMEOUT_MS.start(), TIMEOUT_MS.end()),
        "/priority" => format!("0 to {PRIORITY_MAX}"),
        "/retry/max_attempts" => format!("1 to {ATTEMPTS_MAX}"),
        "/retry/initial_ms" | "/retry/max_ms" => format!("0 to {}", millis_of(BACKOFF_MAX)),
        "/retry/factor" => "1 to 100".to_owned(),
        "/retry/jitter" => "0 to 1".to_owned(),
        _ => return None,
    })
}

/// The reader's own words for types, in JSON's.
fn in_words(told: &str) -> &str {
    match told {
        "a map" => "a JSON object",
        "sequence" => "an array",
        "map" => "an object",
        other => other,
    }
}

/// The path of a field as a JSON pointer.
fn pointer_of(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => pointer_part(key),
            Segment::Enum { variant } => pointer_part(variant),
            Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    fn told(json: &str) -> (String, String, String) {
        let invalid = Document::parse(json.as_bytes()).expect_err(json);
        (invalid.pointer, invalid.value, invalid.allowed)
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_json() {
        for (json, pointer, value, allowed) in [
            ("", "", "empty", ALLOWED),
            ("[1]", "", "[1]", ALLOWED),
            (r#"{"delay_ms": "soon"}"#, "/delay_ms", "string \"soon\"", "0 to 316224000000 (10 years)"),
            (r#"{"priority": -1}"#, "/priority", "integer `-1`", "0 to 9"),
            (r#"{"retry": {"factor": "2"}}"#, "/retry/factor", "string \"2\"", "1 to 100"),
            (r#"{"labels": ["a"]}"#, "/labels", "an array", "a JSON object of texts"),
            (r#"{"delay_ms": 1}"#, "/target", "missing", "a value: this field must be given"),
            (r#"{"delay_ms": 1, "delay_ms": 2}"#, "/delay_ms", "given twice", "each field once"),
            (
                r#"{"delay_ms": "a, expected b"}"#,
                "/delay_ms",
                "string \"a, expected b\"",
                "0 to 316224000000 (10 years)",
            ),
            (
                r#"{"retry": {"a, expected b\u0000": 1}}"#,
                "/retry/a, expected b\\u{0}",
                "unknown field `a, expected b\\u{0}`",
                "one of `max_attempts`, `initial_ms`, `factor`, `max_ms`, `jitter`",
            ),
        ] {
            assert_eq!(told(json), (pointer.to_owned(), value.to_owned(), allowed.to_owned()), "{json}");
        }
    }
}
