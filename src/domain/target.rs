//! What a task calls when it fires.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a task goes. Stored as JSON, just as it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Target {
    /// One HTTP request.
    Http(HttpTarget),
    /// One record on a topic of a cluster that the node's own configuration names.
    Kafka(KafkaTarget),
    /// One line in the log of the node that executes it.
    Log,
}

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTarget {
    /// An absolute http(s) URL without user information.
    pub url: String,
    /// The method; `POST` unless said.
    pub method: String,
    /// Further headers, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// One Kafka record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaTarget {
    /// The cluster, by its name in the node's settings; `None`: that of the submission topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The topic.
    pub topic: String,
    /// The record's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Further headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Target {
    /// The word of its kind, as in `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Kafka(_) => "kafka",
            Self::Log => "log",
        }
    }
}
