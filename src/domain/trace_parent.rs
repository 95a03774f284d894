//! The header `traceparent` of W3C's Trace Context: which trace a call belongs to, and below which of its spans.
//!
//! The scheduler takes no part in a trace: what a caller sends with a submission is handed to the target as it is, however
//! much later that is called.

use std::collections::BTreeMap;
use std::fmt;

use super::limits::{HEADERS_BYTES_MAX, HEADERS_MAX};
use super::target::Target;
use super::task::NewTask;

/// The header's name, at the submission, of a record and at the target.
pub const TRACEPARENT: &str = "traceparent";

/// Characters of version 00, and the least of any later one.
const CHARS: usize = 55;
/// The one flag that every version has: the caller records this trace.
const SAMPLED: u8 = 1;

/// One that was checked. Shown, it is the header's value in the form of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    parent: u64,
    flags: u8,
}

impl TraceParent {
    /// Reads a header's value. `None`: malformed, and to be ignored, as the standard says.
    ///
    /// Of a version that is not known yet it takes what all versions have in common, and no flag but `sampled`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut fields = text.splitn(4, '-');
        let version = u8::try_from(hex(fields.next()?, 2)?).ok()?;
        let trace = hex(fields.next()?, 32)?;
        let parent = u64::try_from(hex(fields.next()?, 16)?).ok()?;
        let rest = fields.next()?;
        let flags = u8::try_from(hex(rest.get(..2)?, 2)?).ok()?;
        let ends_well = match version {
            0 => text.len() == CHARS,
            u8::MAX => false,
            _ => text.len() == CHARS || rest.get(2..).is_some_and(|more| more.starts_with('-')),
        };
        let flags = if version == 0 { flags } else { flags & SAMPLED };
        (ends_well && trace != 0 && parent != 0).then_some(Self { trace, parent, flags })
    }

    /// Of several values of the header: `None` unless there is exactly one and it is well-formed.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut values = values.into_iter();
        let first = values.next()?;
        if values.next().is_some() { None } else { Self::parse(first) }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

impl NewTask {
    /// Hands a trace on to the target, unless the target's own headers name one, or have no room for it. The fingerprint
    /// stays: a repeat belongs to another trace and is the same task.
    #[must_use]
    pub fn traced(mut self, parent: Option<TraceParent>) -> Self {
        let headers = match &mut self.spec.target {
            Target::Http(http) => &mut http.headers,
            Target::Kafka(kafka) => &mut kafka.headers,
            Target::Log => return self,
        };
        if let Some(parent) = parent.filter(|_| !headers.keys().any(|name| name.eq_ignore_ascii_case(TRACEPARENT))) {
            add(headers, parent);
        }
        self
    }
}

/// A task is not refused for a header that nobody asked it to have: where there is no room, the trace ends.
fn add(headers: &mut BTreeMap<String, String>, parent: TraceParent) {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() < HEADERS_MAX && bytes + TRACEPARENT.len() + CHARS <= HEADERS_BYTES_MAX {
        headers.insert(TRACEPARENT.to_owned(), parent.to_string());
    }
}

/// So many hexadecimal digits, in lower case and nothing else.
fn hex(digits: &str, many: usize) -> Option<u128> {
    let are_digits = digits.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != many || !are_digits {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::{Document, Received};
    use crate::domain::time::Timestamp;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    fn parse(value: &str) -> Option<String> {
        TraceParent::parse(value.as_bytes()).map(|parent| parent.to_string())
    }

    #[test]
    fn a_well_formed_one_is_handed_on_as_it_is() {
        for flags in ["00", "01", "03", "ff"] {
            let value = format!("00-{TRACE}-{PARENT}-{flags}");
            assert_eq!(parse(&value), Some(value));
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for (version, rest) in [("01", "01"), ("cc", "01-what-comes-then"), ("fe", "03"), ("01", "ff-"), ("7a", "01-é")]
        {
            let known = format!("00-{TRACE}-{PARENT}-01");
            assert_eq!(parse(&format!("{version}-{TRACE}-{PARENT}-{rest}")), Some(known), "{version} {rest}");
        }
        assert_eq!(parse(&format!("01-{TRACE}-{PARENT}-02")), Some(format!("00-{TRACE}-{PARENT}-00")));
    }

    #[test]
    fn whatever_is_malformed_is_ignored() {
        let (zeros, short) = ("0".repeat(32), &TRACE[1..]);
        for value in [
            String::new(),
            "-".repeat(60),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("0g-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", PARENT.to_uppercase()),
            format!("00-{TRACE}-{PARENT}-0A"),
            format!("CC-{TRACE}-{PARENT}-01"),
            format!("00-{zeros}-{PARENT}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{short}-{PARENT}-01"),
            format!("00-{TRACE}0-{PARENT}-01"),
            format!("00-+{short}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-011"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("01-{TRACE}-{PARENT}-01more"),
            format!("01-{TRACE}-{PARENT}-0é"),
            format!("00_{TRACE}_{PARENT}_01"),
            format!(" 00-{TRACE}-{PARENT}-01"),
        ] {
            assert_eq!(parse(&value), None, "{value}");
        }
        assert_eq!(TraceParent::parse(b"\xff\xfe"), None);
        let value = format!("00-{TRACE}-{PARENT}-01");
        assert!(TraceParent::of([value.as_bytes()]).is_some());
        assert_eq!(TraceParent::of([value.as_bytes(), value.as_bytes()]), None, "which of them?");
    }

    fn task(target: &str) -> NewTask {
        let document = format!(r#"{{"delay_ms": 0, "target": {target}}}"#);
        let at = Timestamp::from_micros(0);
        let received = Received { idempotency_key: None, record_key: None, at };
        Document::parse(document.as_bytes()).unwrap().check(received).unwrap()
    }

    fn headers(task: &NewTask) -> BTreeMap<String, String> {
        match &task.spec.target {
            Target::Http(http) => http.headers.clone(),
            Target::Kafka(kafka) => kafka.headers.clone(),
            Target::Log => BTreeMap::new(),
        }
    }

    #[test]
    fn the_target_is_given_it_and_the_fingerprint_stays() {
        let value = format!("00-{TRACE}-{PARENT}-01");
        let parent = TraceParent::parse(value.as_bytes());
        for target in [r#"{"type": "http", "url": "http://h/"}"#, r#"{"type": "kafka", "topic": "t"}"#] {
            let plain = task(target);
            let traced = plain.clone().traced(parent);
            assert_eq!(headers(&traced).get(TRACEPARENT), Some(&value));
            assert_eq!(traced.fingerprint, plain.fingerprint);
            assert_eq!(plain.clone().traced(None), plain);
        }
        let log = task(r#"{"type": "log"}"#);
        assert_eq!(log.clone().traced(parent), log);
    }

    #[test]
    fn the_documents_own_goes_before_it() {
        let parent = TraceParent::parse(format!("00-{TRACE}-{PARENT}-01").as_bytes());
        for target in [
            r#"{"type": "http", "url": "http://h/", "headers": {"TraceParent": "mine"}}"#,
            r#"{"type": "kafka", "topic": "t", "headers": {"TRACEPARENT": "mine"}}"#,
        ] {
            let own = task(target);
            assert_eq!(own.clone().traced(parent), own);
        }
    }

    #[test]
    fn the_limits_of_headers_hold() {
        let parent = TraceParent::parse(format!("00-{TRACE}-{PARENT}-01").as_bytes());
        let with = |headers: &[String]| {
            task(&format!(r#"{{"type": "http", "url": "http://h/", "headers": {{{}}}}}"#, headers.join(", ")))
        };
        let many: Vec<String> = (0..HEADERS_MAX).map(|n| format!(r#""h{n}": "v""#)).collect();
        assert_eq!(headers(&with(&many).traced(parent)).len(), HEADERS_MAX);
        assert!(headers(&with(&many[1..]).traced(parent)).contains_key(TRACEPARENT));
        let long =
            |bytes: usize| [("a", 8_000), ("b", bytes)].map(|(name, x)| format!(r#""{name}": "{}""#, "x".repeat(x)));
        let long = |bytes: usize| [long(bytes).as_slice(), &[format!(r#""c": "{}""#, "x".repeat(1_000))]].concat();
        let room = HEADERS_BYTES_MAX - "abc".len() - 9_000 - TRACEPARENT.len() - CHARS;
        assert!(headers(&with(&long(room)).traced(parent)).contains_key(TRACEPARENT));
        assert!(!headers(&with(&long(room + 1)).traced(parent)).contains_key(TRACEPARENT));
    }
}
