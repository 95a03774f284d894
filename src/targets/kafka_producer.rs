//! Producers for the target `kafka`. How long a record may take is a matter of the whole producer in the client library, so
//! there is one for each class of time-outs, made when a task first needs it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureProducer;

use crate::config::KafkaConfig;

/// Delivery time-outs. The client library looks for records whose time is over once a second, so that one ends up to a
/// second after it.
const CLASSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(25),
    Duration::from_mins(2),
];
/// What the client library may take besides.
const SLACK: Duration = Duration::from_millis(1_200);
/// Largest record, in bytes: a payload of the largest size with its key and headers.
const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The largest class whose end comes before `timeout`; for a time-out below all of them the smallest.
fn class_of(timeout: Duration) -> usize {
    CLASSES.iter().rposition(|class| class.saturating_add(SLACK) <= timeout).unwrap_or(0)
}

/// See the module.
pub struct Producers {
    client: ClientConfig,
    made: Mutex<[Option<FutureProducer>; CLASSES.len()]>,
}

impl Producers {
    /// None is made yet.
    pub fn new(config: &KafkaConfig) -> Self {
        let mut client: ClientConfig = config.client().collect();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
            .set("queue.buffering.max.ms", "1")
            // What is on its way is bounded by the node's slots.
            .set("queue.buffering.max.messages", "0")
            .set("partitioner", "murmur2_random");
        Self { client, made: Mutex::default() }
    }

    /// The producer for tasks of this time-out. Makes it if need be, which takes some milliseconds but no network.
    ///
    /// # Errors
    /// A setting that the client library refuses, or no thread to be had.
    pub fn within(&self, timeout: Duration) -> KafkaResult<FutureProducer> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let class = class_of(timeout);
        if let Some(Some(producer)) = made.get(class) {
            return Ok(producer.clone());
        }
        let delivery = CLASSES.get(class).copied().unwrap_or(SLACK);
        let producer: FutureProducer =
            self.client.clone().set("message.timeout.ms", delivery.as_millis().to_string()).create()?;
        if let Some(place) = made.get_mut(class) {
            *place = Some(producer.clone());
        }
        Ok(producer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_ends_before_its_task_does() {
        for (timeout_ms, class) in
            [(1, 0), (1_000, 0), (1_700, 1), (3_000, 1), (10_000, 3), (30_000, 4), (3_600_000, 5)]
        {
            assert_eq!(class_of(Duration::from_millis(timeout_ms)), class, "{timeout_ms}");
        }
    }
}
