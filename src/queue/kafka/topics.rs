//! The topics themselves: made if they do not exist, and how they are set up.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig as _;
use rdkafka::error::RDKafkaErrorCode;
use tokio::runtime::Runtime;

use super::asking::{Asking, Bounds, Look};
use super::client::{RECORD_BYTES_MAX, client};
use crate::clock::Clock;
use crate::config::KafkaConfig;

/// Longest wait for one answer of the brokers.
const ANSWER: Duration = Duration::from_secs(2);
/// Of a topic of dead letters that is made.
const DEAD_LETTER_PARTITIONS: i32 = 1;

/// How a topic is set up, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// How long it keeps records; `None`: for ever, or nobody knows.
    pub retention: Option<Duration>,
    /// Of several records of a key only the last is kept.
    pub compacted: bool,
    /// Its largest record, in bytes; `None`: nobody knows.
    pub record_bytes_max: Option<usize>,
}

impl Setup {
    /// What an operator should know before it hurts.
    pub fn warnings(&self, topic: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(retention) = self.retention {
            let s = retention.as_secs();
            warnings.push(format!(
                "topic {topic} keeps records for {s} s only: what is not ingested by then is lost; set retention.ms to -1"
            ));
        }
        if self.compacted {
            warnings.push(format!(
                "topic {topic} is compacted: of two submissions of one id the later would win; set cleanup.policy to delete"
            ));
        }
        if let Some(most) = self.record_bytes_max.filter(|most| *most < RECORD_BYTES_MAX) {
            warnings.push(format!(
                "topic {topic} takes records of up to {most} bytes only: larger submissions are refused; set \
                 max.message.bytes to {RECORD_BYTES_MAX}"
            ));
        }
        warnings
    }
}

/// How the submission topic is set up.
///
/// # Errors
/// The brokers do not answer, or refuse to say.
pub fn setup(config: &KafkaConfig) -> Result<Setup, String> {
    let (admin, options, runtime) = asking(config)?;
    let topic = ResourceSpecifier::Topic(&config.submission_topic);
    let described = runtime.block_on(admin.describe_configs([&topic], &options)).map_err(|cause| cause.to_string())?;
    let found = described.into_iter().next().ok_or("no answer")?.map_err(|cause| cause.to_string())?;
    let value = |name| found.get(name).and_then(|entry| entry.value.as_deref());
    Ok(Setup {
        retention: value("retention.ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis),
        compacted: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
        record_bytes_max: value("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
    })
}

/// A client for questions about topics, how it asks, and where its answers are waited for.
fn asking(config: &KafkaConfig) -> Result<(AdminClient<DefaultClientContext>, AdminOptions, Runtime), String> {
    let admin = AdminClient::from_config(&client(config)).map_err(|cause| cause.to_string())?;
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|cause| cause.to_string())?;
    Ok((admin, options, runtime))
}

/// The first and the next offset of a topic's partitions, for an operator. Also its id.
///
/// # Errors
/// The brokers do not answer, or there is no such topic.
pub fn bounds(config: &KafkaConfig) -> Result<(String, Vec<(i64, i64)>), String> {
    let topic = &config.submission_topic;
    let asking = Asking::new(config, Clock::new())?;
    let Look::There(layout) = asking.look()? else { return Err(format!("there is no topic {topic}")) };
    let partitions: Vec<i32> = (0..layout.partitions).collect();
    let known = |(id, bounds): (i32, Bounds)| bounds.map_err(|cause| format!("{topic}[{id}]: {cause}"));
    Ok((layout.topic_id, asking.bounds(&partitions).into_iter().map(known).collect::<Result<_, _>>()?))
}

/// Makes the submission topic and that of the dead letters, as far as they do not exist. Their records are kept for ever:
/// what was accepted is in them alone until it is ingested.
///
/// # Errors
/// The brokers do not answer, or refuse.
pub fn make(config: &KafkaConfig) -> Result<(), String> {
    let dead = config.dead_letter_topic();
    make_these(config, &[(&config.submission_topic, config.partitions), (&dead, DEAD_LETTER_PARTITIONS)])
}

/// Makes only the topic of the dead letters.
///
/// # Errors
/// The brokers do not answer, or refuse.
pub fn make_dead_letters(config: &KafkaConfig) -> Result<(), String> {
    make_these(config, &[(&config.dead_letter_topic(), DEAD_LETTER_PARTITIONS)])
}

fn make_these<'a>(config: &'a KafkaConfig, topics: &[(&'a str, i32)]) -> Result<(), String> {
    let (admin, options, runtime) = asking(config)?;
    let replication = if config.replication == 0 { -1 } else { config.replication };
    let bytes = RECORD_BYTES_MAX.to_string();
    let topics: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(name, partitions)| {
            NewTopic::new(name, *partitions, TopicReplication::Fixed(replication))
                .set("retention.ms", "-1")
                .set("max.message.bytes", &bytes)
        })
        .collect();
    let made = runtime.block_on(admin.create_topics(&topics, &options)).map_err(|cause| cause.to_string())?;
    for one in made {
        match one {
            Ok(name) => log::info!("made topic {name}"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, cause)) => return Err(format!("topic {name} cannot be made: {cause}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_may_lose_something_is_warned_about() {
        assert_eq!(Setup::default().warnings("t"), Vec::<String>::new());
        let setup =
            Setup { retention: Some(Duration::from_hours(1)), compacted: true, record_bytes_max: Some(1_048_588) };
        let warnings = setup.warnings("t");
        assert!(warnings[0].contains("for 3600 s only") && warnings[1].contains("compacted"), "{warnings:?}");
        assert!(warnings[2].contains("1048588 bytes") && warnings[2].contains("2097152"), "{warnings:?}");
    }
}
