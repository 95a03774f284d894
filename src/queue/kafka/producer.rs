//! The producer of the submission topic, made anew when it has stopped for good: an idempotent one does so when the brokers
//! refuse it an identity, or when it cannot tell any more what it has written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::KafkaError;
use super::accepted::Accepted;
use super::client::{RECORD_BYTES_MAX, client};
use super::publication::{DELIVERY, PATIENCE, Sent};
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::domain::Mono;
use crate::queue::PublishError;

/// Between two makings: what stops a producer for good (a missing right, say) may last.
const AGAIN: Duration = Duration::from_secs(5);

/// What a producer of submissions must be.
fn settings(config: &KafkaConfig) -> ClientConfig {
    let mut producer = client(config);
    producer
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", DELIVERY.as_millis().to_string())
        .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("queue.buffering.max.ms", "1")
        // How much may wait is bounded by the settings of the queue.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151")
        .set("compression.type", "lz4")
        // As Java's producers do it: whoever writes an id, it is always in the same partition, and so in one order.
        .set("partitioner", "murmur2_random");
    producer
}

/// Takes the delivery reports.
pub struct Reports(Arc<Accepted>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        match result {
            Ok(record) => {
                if let Some(id) = sent.id() {
                    self.0.remember(id, record.partition(), record.offset());
                }
                sent.arrived();
            }
            Err((cause, _)) => sent.failed(cause.clone()),
        }
    }
}

struct Made {
    producer: Arc<ThreadedProducer<Reports>>,
    at: Mono,
}

/// See the module.
pub struct Producer {
    settings: ClientConfig,
    accepted: Arc<Accepted>,
    clock: Clock,
    again: Duration,
    made: RwLock<Made>,
    /// A thread is about to make it anew.
    making: AtomicBool,
}

impl Producer {
    /// Makes the first. That takes no network.
    ///
    /// # Errors
    /// The client library refuses a setting, or gets no thread.
    pub fn new(config: &KafkaConfig, accepted: Arc<Accepted>, clock: Clock) -> Result<Arc<Self>, KafkaError> {
        Self::made_again_after(AGAIN, config, accepted, clock)
    }

    fn made_again_after(
        again: Duration,
        config: &KafkaConfig,
        accepted: Arc<Accepted>,
        clock: Clock,
    ) -> Result<Arc<Self>, KafkaError> {
        let settings = settings(config);
        let made = RwLock::new(Made { producer: make(&settings, &accepted)?, at: clock.mono() });
        Ok(Arc::new(Self { settings, accepted, clock, again, made, making: AtomicBool::new(false) }))
    }

    /// It can be sent by. If it has stopped for good, another is made meanwhile.
    ///
    /// # Errors
    /// It has stopped: nothing was sent.
    pub fn stands(self: &Arc<Self>) -> Result<(), PublishError> {
        let (stopped, at) = {
            let made = self.made();
            (made.producer.client().fatal_error(), made.at)
        };
        let Some((code, reason)) = stopped else { return Ok(()) };
        if self.clock.mono().since(at) >= self.again && !self.making.swap(true, Ordering::SeqCst) {
            log::warn!("the producer of submissions has stopped and is made anew: {code}: {reason}");
            let this = Arc::clone(self);
            // Of its own: certificates are read, and the old one's last reports are waited for.
            let thread = std::thread::Builder::new().name("producer".to_owned());
            if let Err(cause) = thread.spawn(move || this.make_anew()) {
                log::error!("there is no thread to make the producer of submissions anew: {cause}");
                self.making.store(false, Ordering::SeqCst);
            }
        }
        Err(PublishError::Closed)
    }

    /// Hands one record over; its publication is told how it ends.
    pub fn send(&self, record: BaseRecord<'_, str, [u8], Box<Sent>>) {
        if let Err((cause, record)) = self.made().producer.send(record) {
            record.delivery_opaque.failed(cause);
        }
    }

    fn make_anew(&self) {
        let made = make(&self.settings, &self.accepted);
        let mut place = self.made.write().unwrap_or_else(PoisonError::into_inner);
        place.at = self.clock.mono();
        let old = match made {
            Ok(new) => Some(std::mem::replace(&mut place.producer, new)),
            Err(cause) => {
                log::error!("the producer of submissions cannot be made anew: {cause}");
                None
            }
        };
        drop(place);
        self.making.store(false, Ordering::SeqCst);
        // What is on its way still gets its report.
        if let Some(Err(cause)) = old.map(|old| old.flush(PATIENCE)) {
            log::warn!("the producer that has stopped was given up with records on their way: {cause}");
        }
    }

    fn made(&self) -> RwLockReadGuard<'_, Made> {
        self.made.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(settings: &ClientConfig, accepted: &Arc<Accepted>) -> Result<Arc<ThreadedProducer<Reports>>, KafkaError> {
    let made = ThreadedProducer::from_config_and_context(settings, Reports(Arc::clone(accepted)));
    made.map(Arc::new).map_err(|cause| KafkaError(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::super::publication::{Failures, Publication};
    use super::*;

    async fn sent(producer: &Arc<Producer>) -> Result<Failures, PublishError> {
        producer.stands()?;
        let (publication, ended) = Publication::new(1, None);
        let record = BaseRecord::with_opaque_to("topic", Box::new(Sent::new(&publication, 0, None)));
        producer.send(record.key("key").payload(b"value".as_slice()));
        publication.ended(ended).await
    }

    /// A producer that the brokers refuse an identity once.
    async fn stopped(
        again: Duration,
    ) -> (Arc<Producer>, MockCluster<'static, rdkafka::producer::DefaultProducerContext>) {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("topic", 1, 1).unwrap();
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        brokers.request_errors(RDKafkaApiKey::InitProducerId, &[refused]);
        let config = KafkaConfig { brokers: brokers.bootstrap_servers(), ..KafkaConfig::default() };
        let producer = Producer::made_again_after(again, &config, Arc::default(), Clock::new()).unwrap();
        let failed = tokio::time::timeout(PATIENCE, async {
            while sent(&producer).await.is_ok_and(|failed| failed.is_empty()) {}
        });
        failed.await.expect("it was never refused");
        (producer, brokers)
    }

    #[tokio::test]
    async fn one_that_has_stopped_for_good_is_made_anew() {
        let (producer, _brokers) = stopped(Duration::ZERO).await;
        let healed = async {
            while !sent(&producer).await.is_ok_and(|failed| failed.is_empty()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, healed).await.expect("it stays as it is");
    }

    #[tokio::test]
    async fn what_stops_it_again_and_again_does_not_make_one_after_the_other() {
        let (producer, _brokers) = stopped(Duration::from_hours(1)).await;
        assert_eq!(sent(&producer).await, Err(PublishError::Closed));
        assert!(!producer.making.load(Ordering::SeqCst));
    }
}
