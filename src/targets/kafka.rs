//! The target `kafka`: one record, delivered when all copies are made.
//!
//! A record that was handed to the client library and whose report did not come may be on the topic: ambiguous. So that
//! brokers which are away do not make everything ambiguous, they are asked for the topic first ([`super::kafka_look`]);
//! without an answer nothing is handed over, and the call is definitely not sent. What a report proves stands in
//! [`super::kafka_failure`].

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::{Instant, timeout, timeout_at};

use super::Target;
use super::kafka_failure::{never_sent, no_report, not_delivered, not_queued};
use super::kafka_look::Looks;
use super::kafka_producer::{Producers, Shares};
use crate::clock::Clock;
use crate::config::{KafkaCluster, KafkaConfig};
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::{ClaimedTask, KafkaTarget, Outcome, Target as Kind};

/// Writes records.
pub struct KafkaCaller {
    clusters: Vec<Cluster>,
    topics: KafkaTopics,
}

/// One cluster of the settings.
struct Cluster {
    name: Option<String>,
    producers: Producers,
    looks: Looks,
}

impl KafkaCaller {
    /// For the clusters of these settings and these topics. No connection is made yet.
    pub fn new(config: &KafkaConfig, topics: KafkaTopics, clock: &Clock) -> Self {
        let clusters = config.clusters().into_iter().map(|cluster| Cluster::new(cluster, clock));
        Self { clusters: clusters.collect(), topics }
    }

    async fn write(&self, task: &ClaimedTask, target: &KafkaTarget) -> Outcome {
        // It was accepted by other settings: another node's, or this one's before. The next attempt may be allowed.
        if let Err(invalid) = self.topics.check(target) {
            return never_sent(&format!("not allowed by this node's settings: {invalid}"), true);
        }
        let Some(cluster) = self.clusters.iter().find(|one| one.name == target.cluster) else {
            return never_sent(&"this node's settings have no such cluster", true);
        };
        cluster.write(task, target).await
    }
}

impl Cluster {
    fn new(cluster: KafkaCluster<'_>, clock: &Clock) -> Self {
        let name = cluster.name.map(str::to_owned);
        Self { name, producers: Producers::new(cluster, clock.clone()), looks: Looks::new(clock.clone()) }
    }

    async fn write(&self, task: &ClaimedTask, target: &KafkaTarget) -> Outcome {
        // Never awaited: a timer's deadline is the way to "that much from now" without reading a clock.
        let deadline = tokio::time::sleep(task.timeout()).deadline();
        let shares = Shares::of(task.timeout());
        let producer = match timeout(shares.look, self.ready(shares, &target.topic)).await {
            Ok(Ok(producer)) => producer,
            Ok(Err(cause)) => return never_sent(&cause, true),
            Err(_) => {
                let ms = shares.look.as_millis();
                return never_sent(&format!("the brokers did not answer within {ms} ms"), true);
            }
        };
        deliver(&producer, task, target, deadline).await
    }

    /// A producer that has just seen the topic.
    async fn ready(&self, shares: Shares, topic: &str) -> Result<FutureProducer, String> {
        let producer = self.producers.of(shares.delivery).await?;
        self.looks.look(&producer, shares.delivery, topic).await?;
        Ok(producer)
    }
}

async fn deliver(producer: &FutureProducer, task: &ClaimedTask, target: &KafkaTarget, deadline: Instant) -> Outcome {
    let mut record: FutureRecord<'_, str, [u8]> =
        FutureRecord::to(&target.topic).payload(task.spec.payload.bytes()).headers(headers_of(task, target));
    record.key = target.key.as_deref();
    let report = match producer.send_result(record) {
        Ok(report) => report,
        Err((cause, _)) => return not_queued(&cause),
    };
    match timeout_at(deadline, report).await {
        Ok(Ok(Ok(_))) => Outcome::Succeeded,
        Ok(Ok(Err((cause, record)))) => not_delivered(&cause, record.partition()),
        Ok(Err(_)) => Outcome::Ambiguous { error: "the record's delivery report was lost".to_owned() },
        Err(_) => no_report(task.timeout()),
    }
}

/// The scheduler's own headers come last, so that a reader who takes the last of a name gets them; none of the task's may
/// have their names.
fn headers_of(task: &ClaimedTask, target: &KafkaTarget) -> OwnedHeaders {
    let id = task.claim.id.to_string();
    let own = [
        ("idempotency-key", id.clone()),
        ("x-task-id", id),
        ("x-task-attempt", task.attempt_no().to_string()),
        ("x-task-epoch", task.epoch.to_string()),
        ("x-task-run-at", task.run_at.to_string()),
    ];
    let is_own = |name: &str| own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let typed = target.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    let content_type = task.spec.payload.content_type().filter(|_| !typed);
    let mut headers = OwnedHeaders::new();
    for (name, value) in target.headers.iter().filter(|(name, _)| !is_own(name)) {
        headers = headers.insert(Header { key: name, value: Some(value) });
    }
    if let Some(content_type) = content_type {
        headers = headers.insert(Header { key: "content-type", value: Some(content_type) });
    }
    own.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

impl Target for KafkaCaller {
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome> {
        async move {
            match &task.spec.target {
                Kind::Kafka(target) => self.write(task, target).await,
                other => never_sent(&format!("{} is no topic", other.kind()), false),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::Headers as _;
    use rdkafka::mocking::MockCluster;
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    use super::*;
    use crate::config::KafkaTargetCluster;
    use crate::domain::kafka_topics::ClusterTopics;
    use crate::domain::payload::Payload;
    use crate::targets::fake_http::task;

    fn target() -> KafkaTarget {
        let headers = [("X-Task-Id", "forged"), ("content-type", "text/x"), ("x-mine", "1")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        KafkaTarget { cluster: None, topic: "orders".to_owned(), key: None, headers }
    }

    #[test]
    fn headers_are_the_contracts_and_the_tasks() {
        let task = task("http://unused/");
        let headers = headers_of(&task, &target());
        let text = |header: Header<'_, &[u8]>| {
            (header.key.to_owned(), String::from_utf8(header.value.unwrap().to_vec()).unwrap())
        };
        let headers: Vec<_> = headers.iter().map(text).collect();
        let id = task.claim.id.to_string();
        let expected = [
            ("content-type", "text/x"),
            ("x-mine", "1"),
            ("idempotency-key", id.as_str()),
            ("x-task-id", id.as_str()),
            ("x-task-attempt", "3"),
            ("x-task-epoch", "7"),
            ("x-task-run-at", "2026-12-24T17:00:00.000001Z"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[tokio::test]
    async fn without_brokers_nothing_is_sent() {
        let config = KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        let caller = KafkaCaller::new(&config, allowing("orders"), &Clock::new());
        let mut task = task("http://unused/");
        task.spec.timeout = Duration::from_millis(300);
        task.spec.target = Kind::Kafka(target());
        let Outcome::Failed { retryable: true, error, .. } = caller.call(&task).await else { panic!("not definite") };
        assert!(error.starts_with("never sent: "), "{error}");
    }

    #[tokio::test]
    async fn what_these_settings_do_not_allow_is_left_to_the_next_attempt() {
        let (_brokers, caller) = mocked();
        let caller = KafkaCaller { topics: allowing("orders"), ..caller };
        for refused in [
            KafkaTarget { topic: "other".to_owned(), ..target() },
            KafkaTarget { cluster: Some("west".to_owned()), ..target() },
        ] {
            let mut task = to("orders");
            task.spec.target = Kind::Kafka(refused);
            let Outcome::Failed { retryable: true, error, .. } = caller.call(&task).await else { panic!("final") };
            assert!(error.starts_with("never sent: not allowed by this node's settings: /target/"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_cluster_is_found_by_its_name() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("orders", 1, 1).unwrap();
        let west = KafkaTargetCluster { name: "west".to_owned(), brokers: brokers.bootstrap_servers() };
        let config = KafkaConfig { target_clusters: vec![west], ..KafkaConfig::default() };
        let clusters = vec![ClusterTopics { cluster: Some("west".to_owned()), allowed: vec!["*".to_owned()] }];
        let caller = KafkaCaller::new(&config, KafkaTopics::new(clusters, vec![]), &Clock::new());
        let mut task = to("orders");
        task.spec.target = Kind::Kafka(KafkaTarget { cluster: Some("west".to_owned()), ..target() });
        assert_eq!(caller.call(&task).await, Outcome::Succeeded);
        let Outcome::Failed { error, .. } = caller.call(&to("orders")).await else { panic!("no such cluster") };
        assert!(error.contains("/target/cluster is missing"), "{error}");
    }

    fn allowing(pattern: &str) -> KafkaTopics {
        KafkaTopics::new(vec![ClusterTopics { cluster: None, allowed: vec![pattern.to_owned()] }], vec![])
    }

    /// A caller of brokers inside this process, which know the topic `orders`.
    fn mocked() -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, KafkaCaller) {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("orders", 1, 1).unwrap();
        let config = KafkaConfig { brokers: brokers.bootstrap_servers(), ..KafkaConfig::default() };
        (brokers, KafkaCaller::new(&config, allowing("*"), &Clock::new()))
    }

    fn to(topic: &str) -> ClaimedTask {
        let mut task = task("http://unused/");
        // Enough for the first look of a producer on a machine that is busy.
        task.spec.timeout = Duration::from_secs(20);
        let key = Some("k-7".to_owned());
        task.spec.target = Kind::Kafka(KafkaTarget { cluster: None, topic: topic.to_owned(), key, headers: [].into() });
        task
    }

    #[tokio::test]
    async fn a_record_arrives_with_its_key_headers_and_value() {
        let (brokers, caller) = mocked();
        let mut empty = to("orders");
        empty.spec.payload = Payload::Empty;
        for task in [to("orders"), empty] {
            assert_eq!(caller.call(&task).await, Outcome::Succeeded);
        }
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers.bootstrap_servers())
            .set("group.id", "unused")
            .create()
            .unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset("orders", 0, Offset::Beginning).unwrap();
        consumer.assign(&from).unwrap();
        for (value, headers) in [(br#"{"a":1}"#.as_slice(), 6), (b"", 5)] {
            let record = consumer.poll(Duration::from_secs(20)).unwrap().unwrap();
            assert_eq!(record.key(), Some(b"k-7".as_slice()));
            assert_eq!(record.payload(), Some(value), "an empty value is not null");
            assert_eq!(record.headers().unwrap().count(), headers);
        }
    }

    #[tokio::test]
    async fn a_topic_that_is_not_there_is_a_definite_failure() {
        let (_brokers, caller) = mocked();
        let Outcome::Failed { retryable: true, error, .. } = caller.call(&to("missing")).await else {
            panic!("not definite");
        };
        assert!(error.starts_with("never sent: ") && error.contains("missing"), "{error}");
    }

    #[tokio::test]
    async fn a_partition_without_a_leader_is_a_definite_failure() {
        let (brokers, caller) = mocked();
        brokers.create_topic("halved", 2, 1).unwrap();
        brokers.partition_leader("halved", 1, None).unwrap();
        let outcome = caller.call(&to("halved")).await;
        let Outcome::Failed { retryable: true, error, .. } = outcome else { panic!("{outcome:?}") };
        assert!(error.starts_with("never sent: partition 1 of topic halved: "), "{error}");
        brokers.partition_leader("halved", 1, Some(1)).unwrap();
        assert_eq!(caller.call(&to("halved")).await, Outcome::Succeeded);
    }

    #[tokio::test]
    async fn calls_without_brokers_share_one_question() {
        let config = KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        let caller = KafkaCaller::new(&config, allowing("*"), &Clock::new());
        let mut task = to("orders");
        task.spec.timeout = Duration::from_millis(400);
        let calls = (0..50).map(|_| caller.call(&task));
        for outcome in futures_util::future::join_all(calls).await {
            assert!(matches!(outcome, Outcome::Failed { retryable: true, .. }), "{outcome:?}");
        }
        assert!(caller.clusters[0].looks.asked() <= 1);
    }
}
