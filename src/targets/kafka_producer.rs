//! Producers for the target `kafka`. How long a record may take is a matter of the whole producer in the client library, so
//! there is one for each class of time-outs, made when a task first needs it, and made anew when it has stopped for good.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer as _};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::config::KafkaCluster;
use crate::domain::Mono;

/// Delivery time-outs, the shortest first. The client library looks for records whose time is over once a second, so that
/// one ends up to a second after it.
const CLASSES: [Duration; 6] = [
    SHORTEST,
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(6),
    Duration::from_secs(20),
    Duration::from_mins(2),
];
const SHORTEST: Duration = Duration::from_millis(100);
/// What the client library may take besides.
const SLACK: Duration = Duration::from_millis(1_200);
/// Longest wait for the brokers' answer about a topic.
pub const LOOK_MAX: Duration = Duration::from_secs(5);
/// Between two makings of a producer that stops for good: what stops it (a missing right, say) may last.
const AGAIN: Duration = Duration::from_secs(5);
/// Largest record, in bytes: a payload of the largest size with its key and headers.
const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How a task's time is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// For a producer and the brokers' answer about the topic.
    pub look: Duration,
    /// The delivery time-out of its producer. Its report comes before the task's time is over: what is too short for that
    /// is refused at the submission ([`crate::domain::kafka_topics::check_timeout`]).
    pub delivery: Duration,
}

impl Shares {
    /// Of this time-out.
    pub fn of(timeout: Duration) -> Self {
        let look = (timeout / 4).min(LOOK_MAX);
        let rest = timeout.saturating_sub(look);
        let fitting = CLASSES.into_iter().rfind(|class| class.saturating_add(SLACK) <= rest);
        Self { look, delivery: fitting.unwrap_or(SHORTEST) }
    }
}

struct Made {
    producer: FutureProducer,
    at: Mono,
}

/// See the module.
pub struct Producers {
    client: ClientConfig,
    clock: Clock,
    made: Mutex<HashMap<Duration, Made>>,
}

impl Producers {
    /// None is made yet.
    pub fn new(cluster: KafkaCluster<'_>, clock: Clock) -> Self {
        let mut client: ClientConfig = cluster.client().collect();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
            .set("queue.buffering.max.ms", "1")
            // What is on its way is bounded by the node's slots.
            .set("queue.buffering.max.messages", "0")
            .set("partitioner", "murmur2_random");
        Self { client, clock, made: Mutex::default() }
    }

    /// The producer of this delivery time-out. Making one takes no network, but reads certificates.
    ///
    /// # Errors
    /// The client library refuses a setting, gets no thread, or stopped for good just now. Nothing was sent.
    pub async fn of(&self, delivery: Duration) -> Result<FutureProducer, String> {
        let mut made = self.made.lock().await;
        if let Some(one) = made.get(&delivery) {
            let Some((code, reason)) = one.producer.client().fatal_error() else { return Ok(one.producer.clone()) };
            if self.clock.mono().since(one.at) < AGAIN {
                return Err(format!("the Kafka client has stopped: {code}: {reason}"));
            }
            log::warn!("a producer of the target kafka has stopped and is made anew: {code}: {reason}");
        }
        let mut client = self.client.clone();
        client.set("message.timeout.ms", delivery.as_millis().to_string());
        let making = tokio::task::spawn_blocking(move || client.create::<FutureProducer>());
        let producer = making.await.map_err(|cause| cause.to_string())?.map_err(|cause| described(&cause))?;
        let new = Made { producer: producer.clone(), at: self.clock.mono() };
        if let Some(old) = made.insert(delivery, new) {
            drop_later(old.producer, delivery);
        }
        Ok(producer)
    }
}

/// The last to drop a producer waits for its threads: not a caller, all of whom have their report by then.
fn drop_later(producer: FutureProducer, delivery: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(delivery.saturating_add(SLACK)).await;
        tokio::task::spawn_blocking(move || drop(producer));
    });
}

/// Without the value of a setting, which may be a secret.
fn described(cause: &KafkaError) -> String {
    match cause {
        KafkaError::ClientConfig(_, _, name, _) => format!("the Kafka client refuses the value of the setting {name}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KafkaConfig;

    #[test]
    fn a_report_comes_before_the_tasks_time_is_over() {
        for (timeout_ms, delivery_ms) in [
            (2_000, 100),
            (2_267, 500),
            (10_000, 6_000),
            (30_000, 20_000),
            (126_199, 20_000),
            (126_200, 120_000),
            (3_600_000, 120_000),
        ] {
            let timeout = Duration::from_millis(timeout_ms);
            let Shares { look, delivery } = Shares::of(timeout);
            assert_eq!(delivery, Duration::from_millis(delivery_ms), "{timeout_ms}");
            assert!(look + delivery + SLACK <= timeout, "{timeout_ms}");
        }
    }

    #[tokio::test]
    async fn a_setting_that_is_refused_is_named_without_its_value() {
        let config = KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        let mut producers = Producers::new(config.clusters()[0], Clock::new());
        producers.client.set("security.protocol", "hush");
        let Err(error) = producers.of(SHORTEST).await else { panic!("it was taken") };
        assert!(error.contains("security.protocol") && !error.contains("hush"), "{error}");
    }
}
