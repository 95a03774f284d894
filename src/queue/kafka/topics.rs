//! The topics themselves: made if they do not exist, looked at, and asked where they end.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::client::{RECORD_BYTES_MAX, client};
use crate::config::KafkaConfig;
use crate::store::Positions;

/// Longest wait for one answer of the brokers.
const ANSWER: Duration = Duration::from_secs(2);

/// A topic as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What its offsets are stored under: the cluster's own id and the topic's name, so that another cluster under the same
    /// address is another topic.
    pub topic_id: String,
    /// Its partitions are 0 to this, without it.
    pub partitions: i32,
}

/// Looks at a topic. `Ok(None)`: it does not exist.
///
/// # Errors
/// The brokers do not answer, or refuse.
pub fn look<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Option<Layout>, String> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER).map_err(|cause| cause.to_string())?;
    let cluster = client.fetch_cluster_id(ANSWER).ok_or("the brokers do not say which cluster they are")?;
    let Some(found) = metadata.topics().iter().find(|one| one.name() == topic) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(None),
        Some(error) => return Err(format!("topic {topic}: {error}")),
    }
    let partitions = i32::try_from(found.partitions().len()).map_err(|cause| cause.to_string())?;
    Ok((partitions > 0).then(|| Layout { topic_id: format!("{cluster}/{topic}"), partitions }))
}

/// Where each partition of a topic ends.
///
/// # Errors
/// The brokers do not answer, or there is no such topic.
pub fn ends<C: ClientContext>(client: &Client<C>, topic: &str, within: Duration) -> Result<Positions, String> {
    let layout = look(client, topic)?.ok_or_else(|| format!("there is no topic {topic}"))?;
    let end = |partition| {
        let (_, end) = client.fetch_watermarks(topic, partition, within).map_err(|cause| cause.to_string())?;
        Ok((partition, end))
    };
    let ends = (0..layout.partitions).map(end).collect::<Result<_, String>>()?;
    Ok(Positions { topic_id: layout.topic_id, ends })
}

/// The first and the next offset of a topic's partitions, for an operator. Also its id.
///
/// # Errors
/// The brokers do not answer, or there is no such topic.
pub fn bounds(config: &KafkaConfig) -> Result<(String, Vec<(i64, i64)>), String> {
    let topic = &config.submission_topic;
    let consumer = BaseConsumer::from_config(&client(config)).map_err(|cause| cause.to_string())?;
    let layout = look(consumer.client(), topic)?.ok_or_else(|| format!("there is no topic {topic}"))?;
    let bounds = |partition| consumer.fetch_watermarks(topic, partition, ANSWER).map_err(|cause| cause.to_string());
    Ok((layout.topic_id, (0..layout.partitions).map(bounds).collect::<Result<_, String>>()?))
}

/// Makes the submission topic and that of the dead letters, as far as they do not exist. Their records are kept for ever:
/// what was accepted is in them alone until it is ingested.
///
/// # Errors
/// The brokers do not answer, or refuse.
pub fn make(config: &KafkaConfig) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> =
        AdminClient::from_config(&client(config)).map_err(|cause| cause.to_string())?;
    let dead = config.dead_letter_topic();
    let replication = if config.replication == 0 { -1 } else { config.replication };
    let bytes = RECORD_BYTES_MAX.to_string();
    let topic = |name, partitions| {
        NewTopic::new(name, partitions, TopicReplication::Fixed(replication))
            .set("retention.ms", "-1")
            .set("max.message.bytes", &bytes)
    };
    let topics = [topic(&config.submission_topic, config.partitions), topic(&dead, 1)];
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|cause| cause.to_string())?;
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
