//! What a task carries to its target: any JSON, kept to the byte as it was sent, or raw bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::invalid::Invalid;
use super::limits::{PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX};
use super::object::Object;

/// A task's payload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Payload {
    /// None was given: the target gets an empty body.
    #[default]
    Empty,
    /// JSON text as it was sent (so that no number loses a digit).
    Json(String),
    /// Raw bytes, sent as `{"base64": …}`.
    Bytes(Vec<u8>),
}

/// How raw bytes are written in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64Document {
    base64: String,
}

impl Payload {
    /// Reads the `payload` field of a document.
    ///
    /// # Errors
    /// It is too large, nested too deeply, or `base64` that is none.
    pub fn read(raw: &RawValue) -> Result<Self, Invalid> {
        let text = raw.get();
        if text == "null" {
            return Ok(Self::Empty);
        }
        if depth(text) > PAYLOAD_DEPTH_MAX {
            return Err(Invalid::new("/payload", "nested more deeply", format!("at most {PAYLOAD_DEPTH_MAX} levels")));
        }
        if let Ok(Object(document)) = serde_json::from_str::<Object<Base64Document>>(text) {
            let bytes = STANDARD.decode(&document.base64).map_err(|cause| {
                Invalid::new("/payload/base64", &document.base64, format!("standard base64 with padding ({cause})"))
            })?;
            return Self::within_limit(bytes.len()).map(|()| Self::Bytes(bytes));
        }
        Self::within_limit(text.len()).map(|()| Self::Json(text.to_owned()))
    }

    fn within_limit(bytes: usize) -> Result<(), Invalid> {
        if bytes <= PAYLOAD_BYTES_MAX {
            return Ok(());
        }
        Err(Invalid::new("/payload", format!("{bytes} bytes"), format!("at most {PAYLOAD_BYTES_MAX} bytes")))
    }

    /// What the target is sent.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Json(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The media type of [`Payload::bytes`]; none for an empty one.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Json(_) => Some("application/json"),
            Self::Bytes(_) => Some("application/octet-stream"),
        }
    }
}

impl Serialize for Payload {
    /// As it was submitted.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_none(),
            Self::Json(text) => {
                let raw = RawValue::from_string(text.clone()).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
            Self::Bytes(bytes) => serde_json::json!({ "base64": STANDARD.encode(bytes) }).serialize(serializer),
        }
    }
}

/// Deepest nesting of a valid JSON text, without recursion.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A valid JSON text without the white space between its parts: two texts that differ only there are the same
/// document. Numbers stay as written, so that no digit is lost.
pub fn minified(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            match c {
                _ if escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                _ => {}
            }
            in_string || !c.is_ascii_whitespace()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Payload, Invalid> {
        Payload::read(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn json_is_kept_to_the_byte() {
        let text = r#"{"b": 1.00, "a": 123456789012345678901234567890}"#;
        assert_eq!(read(text).unwrap().bytes(), text.as_bytes());
        assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn base64_is_raw_bytes() {
        assert_eq!(read(r#"{"base64": "AP8="}"#).unwrap(), Payload::Bytes(vec![0, 255]));
        assert_eq!(read(r#"{"base64": "?"}"#).unwrap_err().pointer, "/payload/base64");
        for array in [r#"["AP8="]"#, r#"["x"]"#] {
            assert_eq!(read(array).unwrap(), Payload::Json(array.to_owned()));
        }
        let more = r#"{"base64": "AP8=", "also": 1}"#;
        assert_eq!(read(more).unwrap(), Payload::Json(more.to_owned()));
    }

    #[test]
    fn too_large_or_too_deep_is_refused() {
        assert!(read(&format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - 2))).is_ok());
        assert!(read(&format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - 1))).is_err());
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(PAYLOAD_DEPTH_MAX)).is_ok());
        assert!(read(&nested(PAYLOAD_DEPTH_MAX + 1)).is_err());
        assert!(read(&format!("\"{}\"", "[".repeat(1000))).is_ok(), "brackets in a string are no nesting");
    }

    #[test]
    fn white_space_between_parts_is_no_difference() {
        assert_eq!(minified("{ \"a b\\\" \" :\n[1, 2] }"), "{\"a b\\\" \":[1,2]}");
    }
}
