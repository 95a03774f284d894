//! The record of a dead letter, as a page can show it: as text that can be edited, in base64, or by its beginning.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dashboard::words::{clipped, visible};
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::store::Buried;

/// Of a record that cannot be edited so much is shown, in bytes. Divisible by three, so that base64 does not pad it.
const SHOWN_BYTES: usize = 12_288;
/// Of a record beside others so much is shown, in characters.
const BEGINNING_CHARS: usize = 200;
/// Longest character in UTF-8, in bytes.
const CHAR_BYTES: usize = 4;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub enum Record {
    /// As it is edited.
    Text(String),
    /// No UTF-8, so no task either: its beginning in base64.
    Bytes(String),
    /// Longer than any task may be: its beginning.
    Long(String),
}

impl Record {
    /// Of a dead letter, as far as it was read.
    pub fn of(letter: &Buried, record: Vec<u8>) -> Self {
        let is_cut = letter.bytes > i64::try_from(record.len()).unwrap_or(i64::MAX);
        let start = record.get(..SHOWN_BYTES).unwrap_or(&record);
        if is_cut || record.len() > SUBMISSION_BYTES_MAX {
            return Self::Long(clipped(&String::from_utf8_lossy(start), SHOWN_BYTES) + "…");
        }
        let rest = if start.len() < record.len() { "…" } else { "" };
        let encoded = STANDARD.encode(start) + rest;
        String::from_utf8(record).map_or(Self::Bytes(encoded), |text| Self::Text(editable(&text)))
    }

    /// It can be edited, and this is what it is as long as nobody has.
    pub fn is(&self, edited: &str) -> bool {
        matches!(self, Self::Text(text) if text == edited)
    }
}

/// How a record begins, in a line beside others.
pub fn beginning(record: &[u8]) -> String {
    let start = record.get(..BEGINNING_CHARS * CHAR_BYTES).unwrap_or(record);
    clipped(&String::from_utf8_lossy(start), BEGINNING_CHARS)
}

/// Text as a form has it and sends it back. Line ends are those of a form. What cannot be seen is written as JSON writes
/// it, which means the same wherever JSON may have it; and doing so twice changes nothing.
pub fn editable(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if visible(&text) == text {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        if is_seen(sign) {
            shown.push(sign);
            continue;
        }
        for unit in sign.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ok = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

fn is_seen(sign: char) -> bool {
    if sign.is_ascii() && !sign.is_ascii_control() {
        return true;
    }
    let mut bytes = [0; CHAR_BYTES];
    let text: &str = sign.encode_utf8(&mut bytes);
    visible(text) == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn letter(bytes: usize) -> Buried {
        Buried {
            id: 7,
            buried_at: Timestamp::from_micros(1_000_000),
            origin: "t[0]@1".to_owned(),
            reason: "no JSON".to_owned(),
            bytes: i64::try_from(bytes).unwrap(),
            published: false,
            replayed_at: None,
        }
    }

    fn of(record: &[u8]) -> Record {
        Record::of(&letter(record.len()), record.to_vec())
    }

    #[test]
    fn text_is_edited_bytes_and_what_is_too_long_are_not() {
        assert_eq!(of(b"{\"a\":\r\n 1}"), Record::Text("{\"a\":\n 1}".to_owned()));
        assert_eq!(of(&[0xff, 0, 0xfe]), Record::Bytes("/wD+".to_owned()));
        let Record::Bytes(encoded) = of(&vec![0xff; SHOWN_BYTES + 1]) else { panic!("it is no UTF-8") };
        assert!(encoded.ends_with("/…") && encoded.chars().count() == SHOWN_BYTES / 3 * 4 + 1);
        let Record::Long(start) = of(&vec![b'x'; SUBMISSION_BYTES_MAX + 1]) else { panic!("it is too long") };
        assert_eq!(start.chars().count(), SHOWN_BYTES + 1);
        assert!(matches!(of(&vec![b'x'; SUBMISSION_BYTES_MAX]), Record::Text(_)));
    }

    #[test]
    fn what_hides_is_written_as_json_writes_it() {
        let text = editable("{\"a\": \"x\u{202e}\u{0}y\u{e0041}\u{1f600}é\"}\t\n");
        assert_eq!(text, "{\"a\": \"x\\u202e\\u0000y\\udb40\\udc41\u{1f600}é\"}\t\n");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["a"], "x\u{202e}\u{0}y\u{e0041}\u{1f600}é");
        assert_eq!(editable(&text), text);
    }

    #[test]
    fn who_edits_nothing_changes_nothing() {
        let record = of("{\"a\": \"\u{202e}\"}\r\n".as_bytes());
        assert!(record.is(&editable("{\"a\": \"\\u202e\"}\r\n")), "as a browser sends it");
        assert!(!record.is(&editable("{\"a\": 1}")));
        assert!(!of(&[0xff]).is("/w=="), "there is nothing to edit");
    }

    #[test]
    fn a_beginning_is_short_and_shows_what_hides() {
        assert_eq!(beginning(b"a\0b\xff"), "a‹U+0000›b\u{fffd}");
        let long = "é".repeat(1_000);
        assert_eq!(beginning(long.as_bytes()), "é".repeat(BEGINNING_CHARS) + "…");
        assert_eq!(beginning(b""), "");
    }
}
