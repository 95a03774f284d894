//! A topic as another service meets it: records are put on it and read from it.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(20);

/// One record as it was read.
#[derive(Debug, Clone)]
pub struct Record {
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, String)>,
}

impl Record {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// See the module.
pub struct Topic {
    brokers: String,
    name: String,
}

impl Topic {
    /// Of these brokers.
    pub fn new(brokers: &str, name: &str) -> Self {
        Self { brokers: brokers.to_owned(), name: name.to_owned() }
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client
    }

    /// Puts records on it; back when all are there.
    pub fn put<'a>(&self, records: impl IntoIterator<Item = (Option<&'a str>, Option<&'a [u8]>)>) {
        let producer: BaseProducer = self
            .client()
            .set("linger.ms", "5")
            .set("message.max.bytes", "2097152")
            .set("queue.buffering.max.messages", "0")
            .set("partitioner", "murmur2_random")
            .create()
            .unwrap();
        for (key, value) in records {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.name);
            (record.key, record.payload) = (key, value);
            producer.send(record).map_err(|(cause, _)| cause).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Deletes it; back when the brokers do not know it any more.
    pub fn delete(&self) {
        use rdkafka::admin::{AdminClient, AdminOptions};
        let admin: AdminClient<rdkafka::client::DefaultClientContext> = self.client().create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(admin.delete_topics(&[&self.name], &AdminOptions::new())).unwrap().remove(0).unwrap();
        super::node::until("it is deleted", PATIENCE, || !self.exists());
    }

    /// The brokers know it.
    pub fn exists(&self) -> bool {
        let consumer: BaseConsumer = self.client().set("allow.auto.create.topics", "false").create().unwrap();
        let metadata = consumer.fetch_metadata(Some(&self.name), PATIENCE).unwrap();
        metadata.topics().iter().any(|one| one.name() == self.name && one.error().is_none())
    }

    /// Makes it, with one partition.
    pub fn make(&self) {
        self.make_with(&[]);
    }

    /// The same with settings of its own.
    pub fn make_with(&self, settings: &[(&str, &str)]) {
        use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
        let admin: AdminClient<rdkafka::client::DefaultClientContext> = self.client().create().unwrap();
        let new = NewTopic::new(&self.name, 1, TopicReplication::Fixed(1));
        let topic = [settings.iter().fold(new, |topic, (name, value)| topic.set(name, value))];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(admin.create_topics(&topic, &AdminOptions::new())).unwrap().remove(0).unwrap();
    }

    /// Reads its first partition from the beginning until there are so many, and a moment longer.
    pub fn records(&self, at_least: usize) -> Vec<Record> {
        let consumer: BaseConsumer = self.client().set("group.id", "test").create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let (mut records, until) = (Vec::new(), Instant::now() + PATIENCE);
        while Instant::now() < until {
            match consumer.poll(Duration::from_millis(300)) {
                None if records.len() >= at_least => break,
                Some(Ok(message)) => records.push(Record {
                    key: message.key().map(|key| String::from_utf8(key.to_vec()).unwrap()),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message.headers().map_or_else(Vec::new, |headers| {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        headers
                            .iter()
                            .map(|header| (header.key.to_owned(), header.value.map(text).unwrap_or_default()))
                            .collect()
                    }),
                }),
                _ => {}
            }
        }
        assert!(records.len() >= at_least, "{} of {at_least} records on {}", records.len(), self.name);
        records
    }
}
