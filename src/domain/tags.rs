//! The tags by which lists find a task: one for each of its labels, one for its target.
//!
//! They are derived from what was asked for, which never changes, so they are written once. Text and no hash: whoever looks at the
//! table reads them, and two never fall together but where a `=` stands in a label's name (lists check the labels themselves too).

use std::collections::BTreeMap;

use url::Url;

use super::kafka_topics;
use super::target::Target;
use super::task::Spec;

/// All tags of a task, each once.
pub fn tags(spec: &Spec) -> Vec<String> {
    tags_of(&spec.target, &spec.labels)
}

/// The same of its parts.
pub fn tags_of(target: &Target, labels: &BTreeMap<String, String>) -> Vec<String> {
    let labels = labels.iter().map(|(name, value)| of_label(name, value));
    let mut tags: Vec<String> = labels.chain([of_address(&address(target))]).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// The tag of a label.
pub fn of_label(name: &str, value: &str) -> String {
    format!("l:{name}={value}")
}

/// The tag of what [`address`] says.
pub fn of_address(address: &str) -> String {
    format!("t:{address}")
}

/// Where a target is, as lists are asked for it: `http:HOST[:PORT]`, `kafka:[CLUSTER/]TOPIC` or `log`.
pub fn address(target: &Target) -> String {
    match target {
        Target::Http(http) => format!("http:{}", host_of(&http.url)),
        Target::Kafka(kafka) => match &kafka.cluster {
            Some(cluster) => format!("kafka:{cluster}/{}", kafka.topic),
            None => format!("kafka:{}", kafka.topic),
        },
        Target::Log => "log".to_owned(),
    }
}

/// What [`checked_address`] takes.
pub const ADDRESSES: &str = "http:HOST, http:HOST:PORT (without the port where it is the scheme's own), kafka:TOPIC, kafka:CLUSTER/TOPIC or log";

/// An address as a person writes it, in the form of [`address`]; `None` if it is none.
pub fn checked_address(text: &str) -> Option<String> {
    if text == "log" {
        return Some(text.to_owned());
    }
    match text.split_once(':')? {
        ("http", host) => {
            // Nothing but a host and a port: no path, and no user's name.
            let plain =
                !host.is_empty() && !host.contains(['/', '\\', '?', '#', '@', ' ']) && !host.contains(char::is_control);
            let url = Url::parse(&format!("http://{host}/")).ok().filter(|_| plain)?;
            let fits = url.host_str().is_some_and(|host| host.len() <= HOST_BYTES_MAX);
            let asked = host_and_port(&url);
            // What was written stays: it is not HTTP's own port where the scheme is HTTPS.
            fits.then(|| if writes_port_80(host) { format!("http:{asked}:80") } else { format!("http:{asked}") })
        }
        ("kafka", place) => {
            let (cluster, topic) =
                place.split_once('/').map_or((None, place), |(cluster, topic)| (Some(cluster), topic));
            let known = cluster.is_none_or(kafka_topics::is_cluster_name) && kafka_topics::is_name(topic);
            known.then(|| text.to_owned())
        }
        _ => None,
    }
}

/// HTTP's own port, which `url` drops. With HTTPS's scheme it does not.
fn writes_port_80(host: &str) -> bool {
    Url::parse(&format!("https://{host}/")).is_ok_and(|url| url.port() == Some(80))
}

/// What else an address means: with `:80` also a task whose scheme that is the port of, told without it.
pub fn without_own_port(address: &str) -> Option<&str> {
    address.strip_suffix(":80").filter(|rest| rest.starts_with("http:"))
}

/// Longer ones are no names of hosts. A tag must fit into an index, whatever a URL says.
const HOST_BYTES_MAX: usize = 253;

/// A URL is kept as it was written: `HTTPS://Example.ORG:443` is `example.org`.
fn host_of(url: &str) -> String {
    Url::parse(url).map(|url| host_and_port(&url)).unwrap_or_default()
}

fn host_and_port(url: &Url) -> String {
    // ASCII by now.
    let host = url.host_str().unwrap_or_default();
    let host = host.get(..HOST_BYTES_MAX).unwrap_or(host);
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::target::{HttpTarget, KafkaTarget};

    fn http(url: &str) -> Target {
        Target::Http(HttpTarget { url: url.to_owned(), method: "POST".to_owned(), headers: BTreeMap::new() })
    }

    #[test]
    fn an_address_is_host_topic_or_log() {
        let kafka = |cluster: Option<&str>| {
            Target::Kafka(KafkaTarget {
                cluster: cluster.map(str::to_owned),
                topic: "orders".to_owned(),
                key: None,
                headers: BTreeMap::new(),
            })
        };
        for (target, is) in [
            (http("https://hooks.example.org/a?b#c"), "http:hooks.example.org"),
            (http("http://127.0.0.1:9000/"), "http:127.0.0.1:9000"),
            (http("http://[::1]:9000/"), "http:[::1]:9000"),
            (http("HTTPS://Hooks.Example.ORG:443"), "http:hooks.example.org"),
            (http("http:\\\\bücher.example\\a"), "http:xn--bcher-kva.example"),
            (kafka(None), "kafka:orders"),
            (kafka(Some("west")), "kafka:west/orders"),
            (Target::Log, "log"),
        ] {
            assert_eq!(address(&target), is);
        }
    }

    #[test]
    fn a_port_that_is_one_schemes_own_is_found_with_both() {
        let asked = checked_address("http:h:80").unwrap();
        assert_eq!((address(&http("https://h:80/")), without_own_port(&asked)), (asked.clone(), Some("http:h")));
        for other in ["http:h", "http:h:8080", "http:[::80]", "kafka:80", "log"] {
            assert_eq!(without_own_port(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_of_any_length_makes_a_short_tag() {
        let tag = address(&http(&format!("http://{}.example:81/", "a".repeat(5_000))));
        assert_eq!(tag, format!("http:{}:81", "a".repeat(HOST_BYTES_MAX)));
    }

    #[test]
    fn addresses_are_checked_and_written_alike() {
        for (given, is) in [
            ("http:Hooks.Example.org", "http:hooks.example.org"),
            ("http:h:80", "http:h:80"),
            ("http:H:0080", "http:h:80"),
            ("http:[::80]", "http:[::80]"),
            ("http:h:443", "http:h:443"),
            ("http:h:9000", "http:h:9000"),
            ("http:[::1]:9000", "http:[::1]:9000"),
            ("kafka:orders", "kafka:orders"),
            ("kafka:west/orders", "kafka:west/orders"),
            ("log", "log"),
        ] {
            assert_eq!(checked_address(given).as_deref(), Some(is), "{given}");
        }
        let long = format!("http:{}", "a".repeat(254));
        for refused in [
            "",
            "http",
            "http:",
            "http:h/a",
            "http:u@h",
            "http:h:0x",
            "http://h",
            "https:h",
            "kafka:",
            "kafka:a/b/c",
            "kafka:/t",
            "kafka:ü",
            "log:",
            "LOG",
            &long,
        ] {
            assert_eq!(checked_address(refused), None, "{refused}");
        }
    }
}
