//! The thread that reads the topic. It alone talks to the consumer, whose calls block.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use super::asking::Unknown;
use super::client::{RECORD_BYTES_MAX, client};
use super::lag::Hearing;
use super::looks::Looks;
use super::reading::{Read, Starts};
use super::record::{self, RECEIVED_AT, Record};
use super::said::Said;
use super::{KafkaError, Shared};
use crate::clock::DatabaseClock;
use crate::config::KafkaConfig;
use crate::domain::kafka_topics::KafkaTopics;
use crate::domain::time::{Mono, Timestamp};
use crate::domain::{NewTask, TRACEPARENT, TraceParent};
use crate::store::StoppedPartition;

/// Longest wait for a record: after it, the thread looks whether it is to read something else.
const WAIT: Duration = Duration::from_millis(20);
/// Between two tries to begin with a partition that is not known, or to live again.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two questions for what is read already.
const CHECK: Duration = Duration::from_secs(2);
/// The same after records were damaged on their way: the other partitions stand still meanwhile.
const AGAIN_DAMAGED: Duration = Duration::from_millis(250);
/// A partition that others can perhaps read is left to them after this time.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(5);

/// Starts the thread; it ends when the queue is closed.
pub(super) fn start(
    config: KafkaConfig,
    shared: Arc<Shared>,
    clock: Arc<DatabaseClock>,
    topics: KafkaTopics,
) -> Result<(), KafkaError> {
    let made = |cause: &dyn std::fmt::Display| KafkaError(cause.to_string());
    let source = Source { config, shared, clock, topics };
    let first = source.reader().map_err(|cause| made(&cause))?;
    let thread = std::thread::Builder::new().name("topic".to_owned());
    thread.spawn(move || source.live(first)).map(drop).map_err(|cause| made(&cause))
}

/// What a reader is made from, and made anew from if it dies.
struct Source {
    config: KafkaConfig,
    shared: Arc<Shared>,
    clock: Arc<DatabaseClock>,
    topics: KafkaTopics,
}

impl Source {
    fn reader(&self) -> Result<Reader, ClientError> {
        let hearing = Hearing { topic: self.config.submission_topic.clone(), ends: Arc::clone(&self.shared.ends) };
        Ok(Reader {
            consumer: BaseConsumer::from_config_and_context(&consumer(&self.config), hearing)?,
            looks: Looks::new(self.config.clone(), Arc::clone(&self.shared)),
            topic: self.config.submission_topic.clone(),
            shared: Arc::clone(&self.shared),
            clock: Arc::clone(&self.clock),
            topics: self.topics.clone(),
            round: 0,
            begun: None,
            waiting: BTreeMap::new(),
            waiting_since: None,
            again_at: None,
            not_before: None,
            checked: Mono::default(),
            paused: false,
            read: TopicPartitionList::new(),
            said: Said::default(),
        })
    }

    /// One reader after another, as long as the queue is open: nobody else would read this node's share.
    fn live(self, first: Reader) {
        let mut next = Some(first);
        while !self.shared.reading.is_closed() {
            let life = || next.take().map_or_else(|| self.reader(), Ok).map(Reader::run);
            match catch_unwind(AssertUnwindSafe(life)) {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => log::error!("the submission topic is not read, its client cannot be made: {cause}"),
                Err(_) => log::error!("the reader of the submission topic has panicked, and begins anew"),
            }
            if self.shared.reading.is_closed() {
                return;
            }
            self.shared.reach.lose();
            begin_anew(&self.shared);
            std::thread::park_timeout(AGAIN);
        }
    }
}

fn consumer(config: &KafkaConfig) -> ClientConfig {
    let mut consumer = client(config);
    consumer
        // Nobody joins a group: offsets are committed under this name for tools that show how far the ingest is.
        .set("group.id", format!("task-scheduler.{}", config.submission_topic))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        // What was aborted is no submission.
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "100")
        .set("statistics.interval.ms", "5000")
        .set("fetch.message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("queued.max.messages.kbytes", "16384")
        // How long the client library waits when it has read ahead that far.
        .set("fetch.queue.backoff.ms", "10");
    consumer
}

/// Reads again from behind what was stored or is being stored: what was read meanwhile is void.
fn begin_anew(shared: &Shared) {
    if let Some(starts) = shared.reading.positions() {
        shared.reading.begin(starts);
    }
}

struct Reader {
    consumer: BaseConsumer<Hearing>,
    looks: Looks,
    topic: String,
    shared: Arc<Shared>,
    clock: Arc<DatabaseClock>,
    topics: KafkaTopics,
    /// Which beginning it carries out.
    round: u64,
    /// A beginning that is still to be carried out.
    begun: Option<(u64, Starts)>,
    /// Partitions that are to be read and are not yet, with their next offsets.
    waiting: BTreeMap<i32, Option<i64>>,
    /// Since when there are some that others can perhaps read.
    waiting_since: Option<Mono>,
    /// When they are tried again.
    again_at: Option<Mono>,
    /// Not before this instant anything is begun with, after something went wrong.
    not_before: Option<Mono>,
    /// When it was last asked for the partitions that are read.
    checked: Mono,
    paused: bool,
    /// The partitions that it reads.
    read: TopicPartitionList,
    said: Said,
}

impl Reader {
    fn run(mut self) {
        // A client makes its connections only when it is asked for something: made by its first partitions, they cost these
        // the best part of a second.
        let _met_or_not = self.consumer.fetch_metadata(Some(&self.topic), AGAIN);
        while !self.shared.reading.is_closed() {
            if self.looks.look() {
                self.commit();
            }
            self.begun = self.shared.reading.take_begun().or_else(|| self.begun.take());
            self.begin();
            self.begin_waiting();
            self.check();
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
                Some(Err(cause)) => self.failed(&cause),
            }
        }
    }

    /// Where the client library goes on behind what it could not read, all is read anew: nothing is passed over.
    fn failed(&mut self, cause: &ClientError) {
        use RDKafkaErrorCode::{AutoOffsetReset, BadCompression, BadMessage, NotImplemented};
        let now = self.shared.reach.now();
        let wait = match cause {
            ClientError::MessageConsumption(AutoOffsetReset) => {
                log::error!("the brokers have lost records before they were ingested");
                WAIT
            }
            ClientError::MessageConsumption(BadMessage | BadCompression | NotImplemented) => {
                let text = format!("records of the submission topic came in damaged, and are asked for again: {cause}");
                if self.said.is_due(now, &text) {
                    log::error!("{text}");
                }
                AGAIN_DAMAGED
            }
            _ => return log::warn!("the submission topic: {cause}"),
        };
        begin_anew(&self.shared);
        self.not_before = Some(now.plus(wait));
    }

    /// Takes a beginning on: what was read until now must not be taken for what follows it.
    fn begin(&mut self) {
        let Some((round, starts)) = self.begun.take() else { return };
        if let Err(cause) = self.consumer.unassign() {
            log::warn!("the submission topic cannot be read from elsewhere now: {cause}");
            self.begun = Some((round, starts));
            return;
        }
        (self.round, self.waiting, self.waiting_since) = (round, starts.partitions, None);
        (self.read, self.paused, self.again_at) = (TopicPartitionList::new(), false, None);
    }

    /// Reads partitions from where it is said. One that is not known is tried again later, and keeps no other from being
    /// read. One whose offset the brokers do not have (any more) is not read: records would be passed over without a word.
    fn begin_waiting(&mut self) {
        let now = self.shared.reach.now();
        if self.waiting.is_empty() || self.again_at.max(self.not_before).is_some_and(|at| now < at) {
            return;
        }
        let wanted: Vec<i32> = self.waiting.keys().copied().collect();
        let (mut list, mut troubles, mut perhaps_others) = (TopicPartitionList::new(), Vec::new(), false);
        for (partition, bounds) in self.shared.asking.bounds(&wanted) {
            let Some(next) = self.waiting.get(&partition).copied() else { continue };
            match bounds {
                Ok((first, end)) => {
                    let from = next.unwrap_or(first);
                    if (first..=end).contains(&from) {
                        if let Err(cause) = list.add_partition_offset(&self.topic, partition, Offset::Offset(from)) {
                            troubles.push(format!("{}[{partition}]: {cause}", self.topic));
                            continue;
                        }
                    } else {
                        self.lost(partition, from, (first, end));
                    }
                    self.waiting.remove(&partition);
                }
                Err(cause) => {
                    perhaps_others |= cause != Unknown::NoLeader;
                    troubles.push(format!("{}[{partition}]: {cause}", self.topic));
                }
            }
        }
        if let Err(cause) = self.assign(&list) {
            log::error!("the submission topic cannot be read now: {cause}");
            self.not_before = Some(now.plus(AGAIN));
            begin_anew(&self.shared);
        }
        self.tell_troubles(&troubles, perhaps_others);
    }

    /// A leader that this node alone cannot reach any more gives no error for a partition that is read already.
    fn check(&mut self) {
        let now = self.shared.reach.now();
        if !self.waiting.is_empty() || self.read.count() == 0 || now.since(self.checked) < CHECK {
            return;
        }
        self.checked = now;
        let read: Vec<i32> = self.read.elements().iter().map(TopicPartitionListElem::partition).collect();
        let bounds = self.shared.asking.bounds(&read).into_iter();
        let silent: Vec<String> = bounds
            .filter_map(|(partition, bounds)| bounds.err().map(|cause| (partition, cause)))
            .filter(|(_, cause)| *cause != Unknown::NoLeader)
            .map(|(partition, cause)| format!("{}[{partition}]: {cause}", self.topic))
            .collect();
        self.tell_troubles(&silent, !silent.is_empty());
    }

    /// Reads these too.
    fn assign(&mut self, list: &TopicPartitionList) -> Result<(), ClientError> {
        if list.count() == 0 {
            return Ok(());
        }
        self.consumer.incremental_assign(list)?;
        for one in list.elements() {
            self.read.add_partition_offset(&self.topic, one.partition(), one.offset())?;
        }
        // Where they stand is nobody's business any more, but that they stand still is.
        self.pause(self.paused);
        Ok(())
    }

    /// That some cannot be read; after a while others are to try.
    fn tell_troubles(&mut self, troubles: &[String], perhaps_others: bool) {
        let now = self.shared.reach.now();
        self.again_at = Some(now.plus(AGAIN));
        if !troubles.is_empty() {
            let text = format!("some of the submission topic cannot be read now: {}", troubles.join("; "));
            if self.said.is_due(now, &text) {
                log::warn!("{text}");
            }
        }
        // Without any answer the node is out of reach anyway, and when it is back that time does not count.
        let counts = perhaps_others && self.shared.reach.is_fresh();
        self.waiting_since = if counts { self.waiting_since.or(Some(now)) } else { None };
        if self.waiting_since.is_some_and(|since| now.since(since) >= LEFT_TO_OTHERS) {
            log::warn!("the submission topic is left to others for a while: {}", troubles.join("; "));
            self.waiting_since = None;
            self.shared.reach.step_aside();
        }
    }

    fn lost(&self, partition: i32, next: i64, (first, end): (i64, i64)) {
        let reason = format!("offset {next} is next, but the brokers have {first} to {end}");
        log::error!("{}[{partition}] is not read: {reason}", self.topic);
        let topic_id = self.shared.reading.topic_id().unwrap_or_default();
        self.shared.reach.find_lost(StoppedPartition { topic_id, partition, next, reason });
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
            if let Err(cause) = list.add_partition_offset(&self.topic, *partition, Offset::Offset(*next)) {
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
        let written_at = message.timestamp().to_millis().map(|ms| Timestamp::from_micros(ms.saturating_mul(1_000)));
        Read {
            offset: message.offset(),
            value: message.payload().unwrap_or_default().to_vec(),
            written_at,
            task: guarded("reading the record has failed; the log says more", || self.task(message, written_at)),
        }
    }

    fn task(&self, message: &BorrowedMessage<'_>, written_at: Option<Timestamp>) -> Result<NewTask, String> {
        // The client library panics over a header whose name is not UTF-8, whichever it was asked for.
        let (received_at, trace_parent) =
            guarded("the record's headers cannot be read; allowed: names in UTF-8", || {
                let of = |name: &'static str| {
                    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                    headers.filter(move |header| header.key == name).filter_map(|header| header.value)
                };
                Ok((of(RECEIVED_AT).next(), TraceParent::of(of(TRACEPARENT))))
            })?;
        let record = Record { key: message.key(), value: message.payload(), received_at, written_at };
        Ok(record::read(record, self.clock.at_latest(), &self.topics)?.traced(trace_parent))
    }
}

/// Whatever a record does to its reader, it does not end it: the next node would read it too, and end.
fn guarded<T>(reason: &str, read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_not_end_its_reader() {
        assert_eq!(guarded("unreadable", || Ok(1)), Ok(1));
        assert_eq!(guarded::<u8>("unreadable", || Err("no task".to_owned())), Err("no task".to_owned()));
        assert_eq!(guarded::<u8>("unreadable", || panic!("as ordered")), Err("unreadable".to_owned()));
    }
}
