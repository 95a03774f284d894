//! Asks the brokers for a topic before a record is handed over: without an answer the call is definitely never sent.
//!
//! A question is asked once for all who want to know, and goes on when they have gone. It blocks a thread for as long as
//! the brokers are silent, so there is a bound on how many are asked at once: outcomes are written by the same threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::{FutureProducer, Producer as _};
use tokio::sync::{Semaphore, watch};

use super::kafka_producer::LOOK_MAX;
use crate::clock::Clock;
use crate::domain::Mono;

/// How long an answer counts.
const SEEN: Duration = Duration::from_secs(1);
/// Most questions at once to one cluster.
pub const LOOKS_MAX: usize = 16;

/// When the topic was seen, or why it was not; `None` as long as the brokers are asked.
type Answer = watch::Receiver<Option<Result<Mono, String>>>;

/// See the module.
pub struct Looks {
    clock: Clock,
    room: Arc<Semaphore>,
    /// By a producer's delivery time-out and the topic: what one producer has seen says nothing of another's connections.
    answers: Mutex<HashMap<(Duration, String), Answer>>,
}

impl Looks {
    /// Nothing was seen yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, room: Arc::new(Semaphore::new(LOOKS_MAX)), answers: Mutex::default() }
    }

    /// Waits until the producer of this delivery time-out sees the topic, if it has not seen it just now.
    ///
    /// # Errors
    /// It does not see it: nothing was sent.
    pub async fn look(&self, producer: &FutureProducer, delivery: Duration, topic: &str) -> Result<(), String> {
        let mut answer = self.answer(producer, delivery, topic);
        let found = answer.wait_for(Option::is_some).await.map(|found| Option::clone(&found));
        match found {
            Ok(Some(found)) => found.map(|_| ()),
            Ok(None) | Err(_) => Err("the question for the topic broke down".to_owned()),
        }
    }

    fn answer(&self, producer: &FutureProducer, delivery: Duration, topic: &str) -> Answer {
        let (now, key) = (self.clock.mono(), (delivery, topic.to_owned()));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(&key)
            && counts(answer, now)
        {
            return answer.clone();
        }
        // Topics that nobody writes to any more are forgotten.
        answers.retain(|_, answer| counts(answer, now));
        let answer = self.ask(producer.clone(), topic.to_owned());
        answers.insert(key, answer.clone());
        answer
    }

    /// How many questions are being asked.
    #[cfg(test)]
    pub fn asked(&self) -> usize {
        LOOKS_MAX - self.room.available_permits()
    }

    fn ask(&self, producer: FutureProducer, topic: String) -> Answer {
        let (sender, answer) = watch::channel(None);
        let (room, clock) = (Arc::clone(&self.room), self.clock.clone());
        tokio::spawn(async move {
            let place = room.acquire_owned().await;
            let asked = tokio::task::spawn_blocking(move || {
                // Kept until the brokers answer.
                let _place = place;
                ask(&producer, &topic)
            });
            let found = asked.await.unwrap_or_else(|cause| Err(cause.to_string()));
            sender.send_replace(Some(found.map(|()| clock.mono())));
        });
        answer
    }
}

/// It is being asked, or was seen just now. A refusal counts only for those who were waiting for it.
fn counts(answer: &Answer, now: Mono) -> bool {
    match &*answer.borrow() {
        Some(Ok(at)) => now.since(*at) < SEEN,
        Some(Err(_)) => false,
        // An error here: whoever asked is gone without an answer.
        None => answer.has_changed().is_ok(),
    }
}

fn ask(producer: &FutureProducer, topic: &str) -> Result<(), String> {
    let metadata = producer.client().fetch_metadata(Some(topic), LOOK_MAX).map_err(|cause| cause.to_string())?;
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let found = found.ok_or_else(|| format!("the brokers say nothing of topic {topic}"))?;
    match found.error().map(Code::from) {
        None => all_have_leaders(found),
        Some(error) => Err(format!("topic {topic}: {error}")),
    }
}

/// Which partition a record will go to is not known yet, and in one without a leader it would wait until its time is
/// over: then nobody could say any more that it was never sent.
fn all_have_leaders(topic: &MetadataTopic) -> Result<(), String> {
    match topic.partitions().iter().find_map(|one| Some((one.id(), refusal(one)?))) {
        None => Ok(()),
        Some((partition, why)) => Err(format!("partition {partition} of topic {}: {why}", topic.name())),
    }
}

fn refusal(partition: &MetadataPartition) -> Option<String> {
    match partition.error().map(Code::from) {
        // Says of a copy that it is away: of no matter as long as there is a leader.
        None | Some(Code::ReplicaNotAvailable) => (partition.leader() < 0).then(|| "it has no leader".to_owned()),
        Some(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_just_now_or_is_being_asked_counts() {
        let at = |ms| Mono(Duration::from_millis(ms));
        let (sender, answer) = watch::channel(None);
        assert!(counts(&answer, at(0)), "it is being asked");
        sender.send_replace(Some(Ok(at(10))));
        assert!(counts(&answer, at(1_009)) && !counts(&answer, at(1_010)));
        sender.send_replace(Some(Err("no brokers".to_owned())));
        assert!(!counts(&answer, at(10)));
        let (sender, answer) = watch::channel(None);
        drop(sender);
        assert!(!counts(&answer, at(0)), "nobody asks any more");
    }
}
