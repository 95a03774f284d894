//! The `target` of a submission, before it is checked.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Serialize};
use url::Url;

use super::invalid::{Invalid, pointer_part};
use super::kafka_topics;
use super::limits::{
    HEADER_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, METHOD_CHARS_MAX, RECORD_KEY_BYTES_MAX, URL_BYTES_MAX,
};
use super::object::distinct;
use super::target::{HttpTarget, KafkaTarget, Target};

/// Headers that the scheduler or the connection sets: a task must not.
pub const RESERVED_HEADERS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-task-attempt",
    "x-task-id",
];

/// What `type` may say.
const KINDS: &str = "\"http\", \"kafka\" or \"log\"";

/// All fields of all kinds: flat, so that a wrong one is still found by its own pointer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TargetDocument {
    r#type: String,
    url: Option<String>,
    method: Option<String>,
    #[serde(default, deserialize_with = "distinct")]
    headers: Option<BTreeMap<String, String>>,
    /// Left out where it is absent, so that older documents keep their fingerprints.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    topic: Option<String>,
    key: Option<String>,
}

impl TargetDocument {
    /// Checks every field; pointers are relative to the target.
    pub(super) fn check(self) -> Result<Target, Invalid> {
        match self.r#type.as_str() {
            "http" => self.http(),
            "kafka" => self.kafka(),
            "log" => self.log(),
            other => Err(Invalid::new("/type", other, KINDS)),
        }
    }

    fn http(self) -> Result<Target, Invalid> {
        refuse("/cluster", self.cluster.as_ref(), "http")?;
        refuse("/topic", self.topic.as_ref(), "http")?;
        refuse("/key", self.key.as_ref(), "http")?;
        let url = self.url.ok_or_else(|| Invalid::new("/url", "missing", "an http or https URL"))?;
        let method = self.method.unwrap_or_else(|| "POST".to_owned());
        Ok(Target::Http(HttpTarget {
            url: checked_url(&url)?,
            method: checked_method(&method)?,
            headers: checked_headers(self.headers.unwrap_or_default())?,
        }))
    }

    fn kafka(self) -> Result<Target, Invalid> {
        refuse("/url", self.url.as_ref(), "kafka")?;
        refuse("/method", self.method.as_ref(), "kafka")?;
        if let Some(cluster) = self.cluster.as_ref().filter(|name| !kafka_topics::is_cluster_name(name)) {
            return Err(Invalid::new("/cluster", cluster, kafka_topics::CLUSTER_NAMES));
        }
        let topic = self.topic.ok_or_else(|| Invalid::new("/topic", "missing", "the name of a topic"))?;
        if !kafka_topics::is_name(&topic) {
            return Err(Invalid::new("/topic", topic, kafka_topics::NAMES));
        }
        if let Some(key) = self.key.as_ref().filter(|key| key.len() > RECORD_KEY_BYTES_MAX) {
            let allowed = format!("at most {RECORD_KEY_BYTES_MAX} bytes");
            return Err(Invalid::new("/key", format!("{} bytes", key.len()), allowed));
        }
        let headers = self.headers.unwrap_or_default();
        bounded(&headers)?;
        Ok(Target::Kafka(KafkaTarget { cluster: self.cluster, topic, key: self.key, headers }))
    }

    fn log(self) -> Result<Target, Invalid> {
        for (pointer, field) in [
            ("/url", &self.url),
            ("/method", &self.method),
            ("/cluster", &self.cluster),
            ("/topic", &self.topic),
            ("/key", &self.key),
        ] {
            refuse(pointer, field.as_ref(), "log")?;
        }
        if self.headers.is_some() {
            return Err(Invalid::new("/headers", "given", "no headers for a target of type log"));
        }
        Ok(Target::Log)
    }
}

fn refuse(pointer: &str, field: Option<&String>, kind: &str) -> Result<(), Invalid> {
    match field {
        None => Ok(()),
        Some(value) => Err(Invalid::new(pointer, value, format!("nothing for a target of type {kind}"))),
    }
}

fn checked_url(text: &str) -> Result<String, Invalid> {
    const ALLOWED: &str = "an absolute http or https URL with a host and without user name or password";
    let refused = || Invalid::new("/url", text, ALLOWED);
    let url = Url::parse(text).map_err(|_| refused())?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !anonymous || url.port() == Some(0) {
        return Err(refused());
    }
    // What the one takes and the other does not (a template's braces, say) could never be called.
    if text.contains(char::is_control) || url.as_str().parse::<Uri>().is_err() {
        return Err(refused());
    }
    if text.len() > URL_BYTES_MAX {
        return Err(Invalid::new("/url", format!("{} bytes", text.len()), format!("at most {URL_BYTES_MAX} bytes")));
    }
    Ok(text.to_owned())
}

fn checked_method(method: &str) -> Result<String, Invalid> {
    let known = Method::from_bytes(method.as_bytes()).ok().filter(|m| *m != Method::CONNECT);
    let fits = method.len() <= METHOD_CHARS_MAX && !method.chars().any(|c| c.is_ascii_lowercase());
    known.filter(|_| fits).map(|method| method.to_string()).ok_or_else(|| {
        let allowed = format!("an HTTP method in upper case of at most {METHOD_CHARS_MAX} characters, not CONNECT");
        Invalid::new("/method", method, allowed)
    })
}

fn bounded(headers: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() <= HEADERS_MAX && bytes <= HEADERS_BYTES_MAX {
        return Ok(());
    }
    let given = format!("{} headers of {bytes} bytes", headers.len());
    Err(Invalid::new("/headers", given, format!("at most {HEADERS_MAX} of {HEADERS_BYTES_MAX} bytes together")))
}

fn checked_headers(headers: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    bounded(&headers)?;
    let mut checked = BTreeMap::new();
    for (name, value) in headers {
        let pointer = format!("/headers{}", pointer_part(&name));
        let lower = HeaderName::try_from(&name)
            .map_err(|_| Invalid::new(&pointer, &name, "a header name of RFC 9110's token characters"))?
            .to_string();
        // CGI and its like do not tell '-' from '_'.
        let same = lower.replace('_', "-");
        if RESERVED_HEADERS.contains(&same.as_str()) || same.starts_with("x-task-") {
            return Err(Invalid::new(pointer, name, "no header that the scheduler or the connection sets itself"));
        }
        if value.len() > HEADER_BYTES_MAX || HeaderValue::try_from(&value).is_err() {
            let allowed = format!("at most {HEADER_BYTES_MAX} bytes without line breaks or other control characters");
            return Err(Invalid::new(pointer, value, allowed));
        }
        if checked.insert(lower, value).is_some() {
            return Err(Invalid::new(pointer, name, "each header once, whatever its case"));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(json: &str) -> String {
        let document: TargetDocument = serde_json::from_str(json).expect(json);
        document.check().expect_err(json).pointer
    }

    #[test]
    fn each_bad_field_is_named() {
        for (json, field) in [
            (r#"{"type": "http"}"#, "/url"),
            (r#"{"type": "http", "url": "/relative"}"#, "/url"),
            (r#"{"type": "http", "url": "file:///etc/passwd"}"#, "/url"),
            (r#"{"type": "http", "url": "http://me@host/"}"#, "/url"),
            (r#"{"type": "http", "url": "http://:secret@host/"}"#, "/url"),
            (r#"{"type": "http", "url": "http://host:99999/"}"#, "/url"),
            (r#"{"type": "http", "url": "http://{host}/x"}"#, "/url"),
            (r#"{"type": "http", "url": "http://a`b/"}"#, "/url"),
            (r#"{"type": "http", "url": "http://h\t/\nx"}"#, "/url"),
            (r#"{"type": "http", "url": "http://h/", "method": "GET IT"}"#, "/method"),
            (r#"{"type": "http", "url": "http://h/", "method": "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG"}"#, "/method"),
            (r#"{"type": "http", "url": "http://h/", "headers": {"Content_Length": "3"}}"#, "/headers/Content_Length"),
            (r#"{"type": "http", "url": "http://h/", "headers": {"x_task-id": "3"}}"#, "/headers/x_task-id"),
            (r#"{"type": "http", "url": "http://h/", "method": "CONNECT"}"#, "/method"),
            (r#"{"type": "http", "url": "http://h/", "headers": {"a b": "c"}}"#, "/headers/a b"),
            (r#"{"type": "http", "url": "http://h/", "headers": {"a": "c\r\nd: e"}}"#, "/headers/a"),
            (r#"{"type": "http", "url": "http://h/", "headers": {"Host": "other"}}"#, "/headers/Host"),
            (r#"{"type": "http", "url": "http://h/", "headers": {"A": "1", "a": "2"}}"#, "/headers/a"),
            (r#"{"type": "http", "url": "http://h/", "topic": "t"}"#, "/topic"),
            (r#"{"type": "http", "url": "http://h/", "cluster": "c"}"#, "/cluster"),
            (r#"{"type": "kafka", "topic": "no spaces"}"#, "/topic"),
            (r#"{"type": "kafka", "topic": ".."}"#, "/topic"),
            (r#"{"type": "kafka", "topic": "t", "cluster": ""}"#, "/cluster"),
            (r#"{"type": "kafka", "topic": "t", "cluster": "West"}"#, "/cluster"),
            (r#"{"type": "log", "cluster": "c"}"#, "/cluster"),
            (r#"{"type": "log", "url": "http://h/"}"#, "/url"),
        ] {
            assert_eq!(pointer(json), field, "{json}");
        }
    }

    #[test]
    fn a_cluster_is_kept_and_its_absence_leaves_no_trace() {
        let document = |json: &str| serde_json::from_str::<TargetDocument>(json).unwrap();
        let named = document(r#"{"type": "kafka", "topic": "t", "cluster": "west-1"}"#).check().unwrap();
        let Target::Kafka(kafka) = &named else { panic!("not kafka") };
        assert_eq!(kafka.cluster.as_deref(), Some("west-1"));
        assert_eq!(serde_json::from_value::<Target>(serde_json::to_value(&named).unwrap()).unwrap(), named);
        let plain = document(r#"{"type": "kafka", "topic": "t"}"#);
        assert!(!serde_json::to_string(&plain).unwrap().contains("cluster"), "fingerprints would change");
        assert!(!serde_json::to_string(&plain.check().unwrap()).unwrap().contains("cluster"));
    }

    #[test]
    fn all_headers_together_are_bounded() {
        let value = "x".repeat(8_000);
        let json = |headers: &str| format!(r#"{{"type": "http", "url": "http://h/", "headers": {{{headers}}}}}"#);
        let two = format!(r#""a": "{value}", "b": "{value}""#);
        assert!(serde_json::from_str::<TargetDocument>(&json(&two)).unwrap().check().is_ok());
        assert_eq!(pointer(&json(&format!(r#"{two}, "c": "{value}""#))), "/headers");
    }

    #[test]
    fn names_beyond_ascii_and_odd_paths_are_taken() {
        for url in ["http://bücher.example/ä?q=ö", "http://h/a b", "http://h/[x]|y", "http://[::1]:8080/"] {
            assert!(checked_url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn any_method_and_header_names_of_any_case_are_taken() {
        let json = r#"{"type": "http", "url": "https://h/x?y", "method": "PURGE", "headers": {"X-Mine": "1"}}"#;
        let Target::Http(http) = serde_json::from_str::<TargetDocument>(json).unwrap().check().unwrap() else {
            panic!("not http");
        };
        assert_eq!((http.method.as_str(), http.headers["x-mine"].as_str()), ("PURGE", "1"));
    }
}
