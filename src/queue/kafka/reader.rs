//! The thread that reads the topic. It alone talks to the consumer, whose calls block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{RECORD_BYTES_MAX, client};
use super::lag::Hearing;
use super::reading::{Read, Starts};
use super::record::{self, RECEIVED_AT, Record};
use super::topics::Setup;
use super::{KafkaError, Shared, topics};
use crate::clock::DatabaseClock;
use crate::config::KafkaConfig;
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::time::{Mono, Timestamp};

/// Longest wait for a record: after it, the thread looks whether it is to read something else.
const WAIT: Duration = Duration::from_millis(20);
/// Between two looks at the topic: partitions that were added are found, and brokers that are out of reach.
const LOOK: Duration = Duration::from_secs(1);
/// The same while brokers do not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for a partition's bounds.
const ANSWER: Duration = Duration::from_secs(2);

/// Starts the thread; it ends when the queue is closed.
pub(super) fn start(
    config: KafkaConfig,
    shared: Arc<Shared>,
    clock: Arc<DatabaseClock>,
    topics: KafkaTopics,
) -> Result<(), KafkaError> {
    let made = |cause: &dyn std::fmt::Display| KafkaError(cause.to_string());
    let mut settings = client(&config);
    settings
        // Nobody joins a group: offsets are committed under this name for tools that show how far the ingest is.
        .set("group.id", format!("task-scheduler.{}", config.submission_topic))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "100")
        .set("statistics.interval.ms", "5000")
        .set("fetch.message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("queued.max.messages.kbytes", "16384")
        // How long the client library waits when it has read ahead that far.
        .set("fetch.queue.backoff.ms", "10");
    let hearing = Hearing { topic: config.submission_topic.clone(), ends: Arc::clone(&shared.ends) };
    let consumer = BaseConsumer::from_config_and_context(&settings, hearing).map_err(|cause| made(&cause))?;
    let reader = Reader {
        consumer,
        config,
        shared,
        clock,
        topics,
        round: 0,
        pending: None,
        paused: false,
        look_at: None,
        read: TopicPartitionList::new(),
    };
    let thread = std::thread::Builder::new().name("topic".to_owned());
    thread.spawn(move || reader.run()).map(drop).map_err(|cause| made(&cause))
}

struct Reader {
    consumer: BaseConsumer<Hearing>,
    config: KafkaConfig,
    shared: Arc<Shared>,
    clock: Arc<DatabaseClock>,
    topics: KafkaTopics,
    /// Which beginning it carries out.
    round: u64,
    /// A beginning that is still to be carried out, and from when on.
    pending: Option<(Mono, Starts)>,
    paused: bool,
    look_at: Option<Mono>,
    /// The partitions that it reads.
    read: TopicPartitionList,
}

impl Reader {
    fn run(mut self) {
        while !self.shared.reading.is_closed() {
            self.look();
            if let Some((round, starts)) = self.shared.reading.take_begun() {
                self.round = round;
                self.pending = Some((self.clock.clock().mono(), starts));
            }
            self.begin_pending();
            if self.paused && self.shared.reading.has_room() {
                self.pause(false);
            }
            match self.consumer.poll(WAIT) {
                None => {}
                Some(Ok(message)) => {
                    let read = self.read(&message);
                    if !self.shared.reading.push(self.round, message.partition(), read) && !self.paused {
                        self.pause(true);
                    }
                }
                Some(Err(ClientError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    log::error!("the brokers have lost records before they were ingested");
                    if let Some(starts) = self.shared.reading.positions() {
                        self.shared.reading.begin(starts);
                    }
                }
                Some(Err(cause)) => log::warn!("the submission topic: {cause}"),
            }
        }
    }

    /// Looks at the topic, if it is time, and makes it if it may.
    fn look(&mut self) {
        let now = self.clock.clock().mono();
        if self.look_at.is_some_and(|at| now < at) {
            return;
        }
        let topic = &self.config.submission_topic;
        let answer = topics::look(self.consumer.client(), topic);
        self.shared.in_reach.store(answer.is_ok(), Ordering::SeqCst);
        let next = match answer {
            Ok(Some(layout)) => {
                if self.shared.layout().is_none() {
                    log::info!("the submission topic {topic} has {} partitions", layout.partitions);
                }
                self.shared.set_layout(layout);
                self.check();
                self.commit();
                LOOK
            }
            Ok(None) if self.config.create_topics => {
                if let Err(cause) = topics::make(&self.config) {
                    log::warn!("{cause}");
                }
                WAIT
            }
            Ok(None) => {
                log::error!("there is no topic {topic}; make it, or let it be made with --kafka-create-topics=true");
                AGAIN
            }
            Err(cause) => {
                log::warn!("the brokers at {} do not answer: {cause}", self.config.brokers);
                AGAIN
            }
        };
        self.look_at = Some(now.plus(next));
    }

    /// Looks once at how the topic is set up: one that was not made here may lose what is not ingested in time.
    fn check(&self) {
        if self.shared.setup.get().is_some() {
            return;
        }
        let setup = topics::setup(&self.config).unwrap_or_else(|cause| {
            log::warn!("how topic {} is set up cannot be looked at: {cause}", self.config.submission_topic);
            Setup::default()
        });
        for warning in setup.warnings(&self.config.submission_topic) {
            log::warn!("{warning}");
        }
        // Nobody else sets it.
        let _set = self.shared.setup.set(setup);
    }

    /// Reads from where it is said. A partition whose offset the brokers do not have (any more) is not read: records would
    /// be passed over without a word.
    fn begin(&mut self, starts: &Starts) -> Result<(), String> {
        // First of all: what was read until now must not be taken for what follows the new beginning.
        self.consumer.unassign().map_err(|cause| cause.to_string())?;
        let topic = self.config.submission_topic.clone();
        let mut list = TopicPartitionList::new();
        for (partition, next) in &starts.partitions {
            let (first, end) = self
                .consumer
                .fetch_watermarks(&topic, *partition, ANSWER)
                .map_err(|cause| format!("{topic}[{partition}]: {cause}"))?;
            let from = next.unwrap_or(first);
            if !(first..=end).contains(&from) {
                log::error!(
                    "{topic}[{partition}] is not read: offset {from} is next, but the brokers have {first} to {end}; see \
                     what became of the records, then `task-scheduler offsets set`"
                );
                continue;
            }
            let added = list.add_partition_offset(&topic, *partition, Offset::Offset(from));
            added.map_err(|cause| cause.to_string())?;
        }
        self.consumer.assign(&list).map_err(|cause| cause.to_string())?;
        self.read = list;
        if self.paused {
            self.pause(false);
        }
        Ok(())
    }

    /// Carries the beginning out that is wanted, or tries it once more a little later.
    fn begin_pending(&mut self) {
        let now = self.clock.clock().mono();
        let Some((_, starts)) = self.pending.take_if(|(at, _)| now >= *at) else { return };
        if let Err(cause) = self.begin(&starts) {
            log::warn!("the submission topic cannot be read now: {cause}");
            self.pending = Some((now.plus(AGAIN), starts));
        }
    }

    fn pause(&mut self, pause: bool) {
        let done = if pause { self.consumer.pause(&self.read) } else { self.consumer.resume(&self.read) };
        match done {
            Ok(()) => self.paused = pause,
            Err(cause) => log::warn!("the submission topic cannot be paused or resumed: {cause}"),
        }
    }

    /// Tells the brokers how far the ingest is, for tools that show it; nothing here ever reads it.
    fn commit(&self) {
        let Some(positions) = self.shared.reading.positions() else { return };
        let stored: BTreeMap<i32, i64> =
            positions.partitions.into_iter().filter_map(|(partition, next)| Some((partition, next?))).collect();
        let mut list = TopicPartitionList::new();
        for (partition, next) in &stored {
            let added = list.add_partition_offset(&self.config.submission_topic, *partition, Offset::Offset(*next));
            if let Err(cause) = added {
                log::debug!("no offset to show: {cause}");
            }
        }
        if !stored.is_empty()
            && let Err(cause) = self.consumer.commit(&list, CommitMode::Async)
        {
            log::debug!("the brokers were not told how far the ingest is: {cause}");
        }
    }

    fn read(&self, message: &BorrowedMessage<'_>) -> Read {
        let received_at = message.headers().and_then(|headers| {
            headers.iter().find(|header| header.key == RECEIVED_AT).and_then(|header| header.value)
        });
        let record = Record { key: message.key(), value: message.payload(), received_at };
        Read {
            offset: message.offset(),
            value: message.payload().unwrap_or_default().to_vec(),
            written_at: message.timestamp().to_millis().map(|ms| Timestamp::from_micros(ms.saturating_mul(1_000))),
            task: record::read(record, self.clock.at_latest(), &self.topics),
        }
    }
}
