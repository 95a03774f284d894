//! The target `kafka`: one record, delivered when all copies are made.
//!
//! A record that was handed to the client library and whose report did not come may be on the topic: ambiguous. So that
//! brokers which are away do not make everything ambiguous, they are asked for the topic first; without an answer nothing
//! is handed over, and the call is definitely not sent. The answer counts for a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::Target;
use super::kafka_producer::Producers;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::{ClaimedTask, KafkaTarget, Mono, Outcome, Target as Kind};

/// How long an answer about a topic counts.
const SEEN: Duration = Duration::from_secs(1);
/// Longest wait for one.
const ANSWER: Duration = Duration::from_secs(5);

type Seen = Arc<tokio::sync::Mutex<Option<Mono>>>;

/// Writes records.
pub struct KafkaCaller {
    producers: Producers,
    topics: KafkaTopics,
    clock: Clock,
    /// When each topic was last seen. Who asks holds its lock: the others wait for the answer.
    seen: Mutex<HashMap<String, Seen>>,
}

impl KafkaCaller {
    /// For these brokers and topics. No connection is made yet.
    pub fn new(config: &KafkaConfig, topics: KafkaTopics, clock: Clock) -> Self {
        Self { producers: Producers::new(config), topics, clock, seen: Mutex::default() }
    }

    async fn write(&self, task: &ClaimedTask, target: &KafkaTarget) -> Outcome {
        if let Err(allowed) = self.topics.check(&target.topic) {
            let error = format!("never sent: topic {} is not allowed any more; allowed: {allowed}", target.topic);
            return Outcome::Failed { retryable: false, retry_after: None, error };
        }
        let producer = match self.producers.within(task.timeout()) {
            Ok(producer) => producer,
            Err(cause) => return never_sent(&cause, true),
        };
        match tokio::time::timeout(task.timeout(), self.look(&producer, target)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => return never_sent(&cause, true),
            Err(_) => return never_sent(&"the brokers did not answer in time", true),
        }
        deliver(&producer, task, target).await
    }

    /// Asks the brokers for the topic, unless they have answered just now.
    async fn look(&self, producer: &FutureProducer, target: &KafkaTarget) -> Result<(), String> {
        let seen = {
            let mut topics = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(topics.entry(target.topic.clone()).or_default())
        };
        let mut seen = seen.lock().await;
        if seen.is_some_and(|at| self.clock.mono().since(at) < SEEN) {
            return Ok(());
        }
        let (asked, topic) = (producer.clone(), target.topic.clone());
        let answer = tokio::task::spawn_blocking(move || look(&asked, &topic)).await;
        answer.map_err(|cause| cause.to_string())??;
        *seen = Some(self.clock.mono());
        Ok(())
    }
}

fn look(producer: &FutureProducer, topic: &str) -> Result<(), String> {
    let metadata = producer.client().fetch_metadata(Some(topic), ANSWER).map_err(|cause| cause.to_string())?;
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let found = found.ok_or_else(|| format!("the brokers say nothing of topic {topic}"))?;
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(()),
        Some(error) => Err(format!("topic {topic}: {error}")),
    }
}

async fn deliver(producer: &FutureProducer, task: &ClaimedTask, target: &KafkaTarget) -> Outcome {
    let mut record: FutureRecord<'_, str, [u8]> =
        FutureRecord::to(&target.topic).payload(task.spec.payload.bytes()).headers(headers_of(task, target));
    record.key = target.key.as_deref();
    // Refused at once: it was never queued.
    let report = match producer.send_result(record) {
        Ok(report) => report,
        Err((cause, _)) => return never_sent(&cause, is_retryable(&cause)),
    };
    match tokio::time::timeout(task.timeout(), report).await {
        Ok(Ok(Ok(_))) => Outcome::Succeeded,
        Ok(Ok(Err((cause, _)))) => refused(&cause),
        Ok(Err(_)) => Outcome::Ambiguous { error: "the record's delivery report was lost".to_owned() },
        Err(_) => {
            let ms = task.timeout().as_millis();
            Outcome::Ambiguous { error: format!("no delivery report within {ms} ms; the record may be on the topic") }
        }
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

fn never_sent(cause: &dyn std::fmt::Display, retryable: bool) -> Outcome {
    Outcome::Failed { retryable, retry_after: None, error: format!("never sent: {cause}") }
}

/// Trying again may help.
fn is_retryable(cause: &KafkaError) -> bool {
    !matches!(
        cause.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidTopic | RDKafkaErrorCode::InvalidRecord)
    )
}

/// After a delivery report that is none of success. The client library sends a record again by itself, so that only what
/// the brokers must have refused each time is certain.
fn refused(cause: &KafkaError) -> Outcome {
    use RDKafkaErrorCode as Code;
    let definite = matches!(
        cause.rdkafka_error_code(),
        Some(
            Code::MessageSizeTooLarge
                | Code::InvalidTopic
                | Code::InvalidRecord
                | Code::InvalidTimestamp
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::InvalidRequiredAcks
                | Code::PolicyViolation
        )
    );
    if definite {
        let error = format!("refused by the brokers: {cause}");
        return Outcome::Failed { retryable: is_retryable(cause), retry_after: None, error };
    }
    Outcome::Ambiguous { error: format!("{cause}; the record may be on the topic") }
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
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::targets::fake_http::task;

    fn target() -> KafkaTarget {
        let headers = [("X-Task-Id", "forged"), ("content-type", "text/x"), ("x-mine", "1")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        KafkaTarget { topic: "orders".to_owned(), key: None, headers }
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

    #[test]
    fn only_what_brokers_refuse_is_certain() {
        let outcome = |code| refused(&KafkaError::MessageProduction(code));
        for code in
            [RDKafkaErrorCode::MessageTimedOut, RDKafkaErrorCode::RequestTimedOut, RDKafkaErrorCode::PurgeInflight]
        {
            assert!(matches!(outcome(code), Outcome::Ambiguous { .. }), "{code:?}");
        }
        assert!(matches!(outcome(RDKafkaErrorCode::MessageSizeTooLarge), Outcome::Failed { retryable: false, .. }));
        assert!(matches!(outcome(RDKafkaErrorCode::TopicAuthorizationFailed), Outcome::Failed { retryable: true, .. }));
    }

    #[tokio::test]
    async fn without_brokers_nothing_is_sent() {
        let config = KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        let topics = KafkaTopics::new(vec!["orders".to_owned()], vec![]);
        let caller = KafkaCaller::new(&config, topics, Clock::new());
        let mut task = task("http://unused/");
        task.spec.timeout = Duration::from_millis(300);
        task.spec.target = Kind::Kafka(target());
        let Outcome::Failed { retryable: true, error, .. } = caller.call(&task).await else { panic!("not definite") };
        assert!(error.starts_with("never sent: "), "{error}");
        task.spec.target = Kind::Kafka(KafkaTarget { topic: "other".to_owned(), ..target() });
        let Outcome::Failed { retryable: false, error, .. } = caller.call(&task).await else { panic!("not definite") };
        assert!(error.contains("not allowed any more"), "{error}");
    }
}
