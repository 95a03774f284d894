//! Where a task goes: `--http`, `--kafka` or `--log`, and what belongs to each.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::cli::exit::{Failure, quoted};

/// Its arguments.
#[derive(Debug, Args)]
#[group(skip)]
pub struct TargetArgs {
    /// Call this URL
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Write a record to this topic; a cluster that the node's settings name stands before it
    #[arg(long, value_name = "[CLUSTER/]TOPIC")]
    kafka: Option<String>,
    /// Write the payload to the node's log instead of calling anybody
    #[arg(long)]
    log: bool,
    /// The method of the call [default: POST]
    #[arg(long, requires = "http", conflicts_with_all = ["log", "kafka"])]
    method: Option<String>,
    /// A header of the call or of the record, as 'Name: value' (repeat it for more)
    #[arg(long = "header", value_name = "HEADER", conflicts_with = "log")]
    headers: Vec<String>,
    /// The key of the record
    #[arg(long, value_name = "KEY", requires = "kafka", conflicts_with_all = ["log", "http"])]
    record_key: Option<String>,
}

/// The `target` of a document.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Target<'a> {
    /// An HTTP call.
    Http {
        /// Where to.
        url: &'a str,
        /// POST if none.
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<&'a str>,
        /// Each name once.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<&'a str, &'a str>,
    },
    /// A record of a topic.
    Kafka {
        /// The node's own brokers if none.
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<&'a str>,
        /// Where to.
        topic: &'a str,
        /// The record's key.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        /// Each name once.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<&'a str, &'a str>,
    },
    /// The node's log.
    Log,
}

impl TargetArgs {
    /// The target, as the arguments say.
    ///
    /// # Errors
    /// A header is none, or stands twice.
    pub fn target(&self) -> Result<Target<'_>, Failure> {
        let headers = split_all(&self.headers, ':', "--header")?;
        Ok(match (self.http.as_deref(), self.kafka.as_deref()) {
            (Some(url), _) => Target::Http { url, method: self.method.as_deref(), headers },
            (None, Some(place)) => {
                let (cluster, topic) = match place.split_once('/') {
                    Some((cluster, topic)) => (Some(cluster), topic),
                    None => (None, place),
                };
                Target::Kafka { cluster, topic, key: self.record_key.as_deref(), headers }
            }
            (None, None) => Target::Log,
        })
    }
}

/// `name=value` or `Name: value`, each name once: a later one would silently win otherwise.
///
/// # Errors
/// One of them is no pair, or a name stands twice.
pub fn split_all<'a>(texts: &'a [String], at: char, flag: &str) -> Result<BTreeMap<&'a str, &'a str>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        let wrong = |why: &str| Failure::usage(format!("{flag} is {}; allowed: {why}", quoted(text)));
        let (name, value) = text.split_once(at).ok_or_else(|| wrong(&format!("a name, '{at}' and a value")))?;
        if pairs.insert(name.trim(), value.trim()).is_some() {
            return Err(wrong("each name once"));
        }
    }
    Ok(pairs)
}
