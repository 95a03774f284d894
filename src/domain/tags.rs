//! The tags by which lists find a task: one for each of its labels, one for its target.
//!
//! They are derived from what was asked for, which never changes, so they are written once. Text and no hash: whoever looks at the
//! table reads them, and two never fall together but where a `=` stands in a label's name (lists check the labels themselves too).

use super::target::Target;
use super::task::Spec;

/// All tags of a task, each once.
pub fn tags(spec: &Spec) -> Vec<String> {
    let labels = spec.labels.iter().map(|(name, value)| of_label(name, value));
    let mut tags: Vec<String> = labels.chain([of_address(&address(&spec.target))]).collect();
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
        // A stored URL is in its normal form: absolute, without user information.
        Target::Http(http) => {
            let rest = http.url.split_once("://").map_or(http.url.as_str(), |(_, rest)| rest);
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            format!("http:{host}")
        }
        Target::Kafka(kafka) => match &kafka.cluster {
            Some(cluster) => format!("kafka:{cluster}/{}", kafka.topic),
            None => format!("kafka:{}", kafka.topic),
        },
        Target::Log => "log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
            (kafka(None), "kafka:orders"),
            (kafka(Some("west")), "kafka:west/orders"),
            (Target::Log, "log"),
        ] {
            assert_eq!(address(&target), is);
        }
    }
}
