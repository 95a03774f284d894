//! Another service's producer: of each record it knows whether it is on the topic.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

/// See the module.
pub struct Producer {
    inner: ThreadedProducer<Reports>,
    topic: String,
    reports: Reports,
}

/// The delivery reports by the records' keys.
#[derive(Debug, Default, Clone)]
struct Reports(Arc<Mutex<(Vec<String>, Vec<String>)>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, key: Box<String>) {
        let mut reports = self.0.lock().unwrap();
        match result {
            Ok(_) => reports.0.push(*key),
            Err((cause, _)) => reports.1.push(format!("{key}: {cause}")),
        }
    }
}

impl Producer {
    /// For this topic. It is patient: brokers may be away for minutes.
    pub fn new(brokers: &str, topic: &str) -> Self {
        let reports = Reports::default();
        let inner = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("acks", "all")
            .set("linger.ms", "5")
            .set("message.max.bytes", "2097152")
            .set("queue.buffering.max.messages", "0")
            .set("reconnect.backoff.max.ms", "500")
            .set("partitioner", "murmur2_random")
            .create_with_context(reports.clone())
            .unwrap();
        Self { inner, topic: topic.to_owned(), reports }
    }

    /// On its way.
    pub fn send(&self, key: &str, value: &[u8]) {
        let opaque = Box::new(key.to_owned());
        let record = BaseRecord::with_opaque_to(&self.topic, opaque).key(key).payload(value);
        self.inner.send(record).map_err(|(cause, _)| cause).unwrap();
    }

    /// The keys of the records that are on the topic, each told once.
    pub fn delivered(&self) -> Vec<String> {
        std::mem::take(&mut self.reports.0.lock().unwrap().0)
    }

    /// Waits until all are there; the keys that were not told of yet.
    pub fn flush(&self, within: Duration) -> Vec<String> {
        self.inner.flush(within).unwrap();
        let failed = std::mem::take(&mut self.reports.0.lock().unwrap().1);
        assert!(failed.is_empty(), "not on the topic: {failed:?}");
        self.delivered()
    }
}
