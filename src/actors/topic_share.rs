//! Which part of the submission topic this node reads, and from where: decided anew a few times a second from what the
//! database says about nodes and offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::parts::Parts;
use crate::domain::GenerationId;
use crate::domain::liveness::Liveness;
use crate::domain::share::share;
use crate::queue::PublishError;
use crate::queue::kafka::said::Said;
use crate::queue::kafka::{Burial, KafkaQueue, Layout, Starts};
use crate::store::{Generation, Result, Standing, StoppedPartition};

/// A generation whose heartbeat has stood still this long has lost its partitions.
const SILENT: Duration = Duration::from_millis(1_500);
/// So long at least a cancel is remembered whose task is not stored: a submission that was on its way then has come in, or
/// its publisher has given it up (after 4 s).
const REMEMBERED: Duration = Duration::from_mins(2);
/// A topic that something was ingested from and that has been missing this long was deleted: one by its name that is there
/// later is another.
const GONE: Duration = Duration::from_secs(10);
/// Dead letters published at once.
const LETTERS_MAX: usize = 100;

/// What one generation knows of its share.
#[derive(Debug)]
pub struct TopicShare {
    own: GenerationId,
    liveness: Liveness,
    /// It reads the first partition: what one node alone has to do is its to do.
    first: bool,
    /// Whatever is read is to be read anew, from where the database says.
    anew: bool,
    said: Said,
}

/// What the database says of the topic.
struct Stored {
    offsets: Vec<(i32, i64)>,
    stopped: Vec<StoppedPartition>,
}

impl TopicShare {
    /// Of this generation, which reads nothing yet.
    pub fn new(own: GenerationId) -> Self {
        Self { own, liveness: Liveness::default(), first: false, anew: true, said: Said::default() }
    }

    /// A stretch was not stored: what follows it must not be either.
    pub fn read_anew(&mut self) {
        self.anew = true;
    }

    /// It was, and is not read anew yet.
    pub fn is_to_be_read_anew(&self) -> bool {
        self.anew
    }

    /// Looks at nodes and offsets, and has the queue read what is this node's. What it leaves, another may read at once: the
    /// others are told.
    ///
    /// # Errors
    /// The database does not answer: all goes on as it was.
    pub fn look(&mut self, parts: &Parts, queue: &KafkaQueue) -> Result<()> {
        if let Some((topic_id, since)) = queue.missing() {
            return self.miss(parts, queue, &topic_id, since);
        }
        let Some(layout) = queue.layout() else { return Ok(()) };
        self.note_lost(parts, queue)?;
        let before = queue.positions();
        let generations = parts.store.generations().inspect_err(|_| self.liveness.start_anew())?;
        let offsets = parts.store.offsets(&layout.topic_id)?;
        let stored = Stored { offsets, stopped: parts.store.stopped(&layout.topic_id)? };
        queue.ingested(&stored.offsets);
        let share = self.share(parts, queue, &layout, &generations);
        self.tell_stopped(parts, queue, &share, &stored.stopped);
        let wanted = wanted(&layout, &share, &stored);
        self.first = share.contains(&0);
        let moved = before.is_some_and(|before| {
            // Somebody else has set or moved an offset: nothing of it was under way here, before or after the question.
            let after = queue.positions().unwrap_or_default();
            before.partitions.iter().any(|(partition, next)| {
                let still = after.partitions.get(partition) == Some(next);
                still && wanted.partitions.get(partition).is_some_and(|stored| stored != next)
            })
        });
        let same = queue.reads(&wanted);
        if self.anew || moved || !same {
            if !same {
                let partitions: Vec<i32> = wanted.partitions.keys().copied().collect();
                log::info!("generation {} reads partitions {partitions:?} of {}", self.own, layout.topic_id);
            }
            self.anew = false;
            queue.read(wanted);
            if !same {
                parts.store.tell_readers()?;
            }
        }
        if self.first {
            parts.store.forget_tombstones(&layout.topic_id, REMEMBERED)?;
        }
        Ok(())
    }

    /// The partitions that are this node's.
    fn share(&mut self, parts: &Parts, queue: &KafkaQueue, layout: &Layout, all: &[Generation]) -> Vec<i32> {
        let now = parts.metrics.clock().mono();
        let alive = || all.iter().filter(|generation| generation.standing == Standing::Alive);
        let counters: Vec<_> = alive().map(|generation| (generation.id, generation.counter)).collect();
        self.liveness.observe(&counters, now);
        // Whoever is seen for the first time counts: a row that somebody has left behind does so for a moment only.
        let is_silent = |id| self.liveness.silence(id, now).is_none_or(|silent| silent >= SILENT);
        let living = || alive().filter(|one| !is_silent(one.id));
        let readers: Vec<_> = living().filter(|one| one.reads_topic).map(|one| one.id).collect();
        // Who begins, or was out of the brokers' reach, leaves all to the others until its heartbeat tells them of it: where
        // two read the same, one of them reads in vain and begins anew, again and again.
        let told = readers.contains(&self.own) && !queue.is_aside();
        if !told && readers.iter().any(|one| *one != self.own) {
            return Vec::new();
        }
        // Where nobody can read all of it, each tries its share as ever, instead of all of them everything.
        let ranked = if readers.is_empty() { living().map(|one| one.id).collect() } else { readers };
        share(self.own, &ranked, layout.partitions)
    }

    /// The topic does not exist. It may be made if nothing was ever ingested from it: else its records would be taken for
    /// those that were there before, and passed over.
    fn miss(&mut self, parts: &Parts, queue: &KafkaQueue, topic_id: &str, since: Duration) -> Result<()> {
        let offsets = parts.store.offsets(topic_id)?;
        if offsets.is_empty() {
            queue.let_make(topic_id);
            return Ok(());
        }
        if since >= GONE && parts.store.stopped(topic_id)?.len() < offsets.len() {
            for (partition, next) in &offsets {
                let (topic_id, reason) = (topic_id.to_owned(), "the topic was deleted".to_owned());
                parts.store.stop_reading(&StoppedPartition { topic_id, partition: *partition, next: *next, reason })?;
            }
        }
        let text = format!(
            "the submission topic {topic_id} was there, and is not: it is not made anew; see what became of its records, \
             make it, then `task-scheduler offsets set`"
        );
        if self.said.is_due(parts.metrics.clock().mono(), &text) {
            log::error!("{text}");
        }
        Ok(())
    }

    /// What the brokers have lost is noted in the database, so that nobody reads on whatever the brokers have later.
    fn note_lost(&mut self, parts: &Parts, queue: &KafkaQueue) -> Result<()> {
        for lost in queue.lost() {
            // Not stored from there any more: an operator, or another node, was faster.
            self.anew |= !parts.store.stop_reading(&lost)?;
            queue.noted(&lost);
        }
        Ok(())
    }

    /// Once a minute, as long as it lasts.
    fn tell_stopped(&mut self, parts: &Parts, queue: &KafkaQueue, share: &[i32], stopped: &[StoppedPartition]) {
        let own = || stopped.iter().filter(|one| share.contains(&one.partition));
        let count = own().count();
        queue.set_stopped(count);
        parts.metrics.stopped_partitions.set(i64::try_from(count).unwrap_or(i64::MAX));
        if count == 0 {
            return self.said.over();
        }
        let one =
            |one: &StoppedPartition| format!("{}[{}] at {}: {}", one.topic_id, one.partition, one.next, one.reason);
        let text = format!(
            "partitions of the submission topic are not read: {}; see what became of the records, then \
             `task-scheduler offsets set`",
            own().map(one).collect::<Vec<_>>().join("; ")
        );
        if self.said.is_due(parts.metrics.clock().mono(), &text) {
            log::error!("{text}");
        }
    }

    /// It is this node that publishes dead letters.
    pub fn is_first(&self) -> bool {
        self.first
    }
}

/// What is to be read of a share, and from where.
fn wanted(layout: &Layout, share: &[i32], stored: &Stored) -> Starts {
    let offsets: BTreeMap<i32, i64> = stored.offsets.iter().copied().collect();
    let is_read = |partition: &&i32| stored.stopped.iter().all(|one| one.partition != **partition);
    Starts {
        topic_id: layout.topic_id.clone(),
        partitions: share.iter().filter(is_read).map(|one| (*one, offsets.get(one).copied())).collect(),
    }
}

/// Puts dead letters from their rows on their topic. One may be there twice if a node ends in the midst; its row is one.
/// What is there is marked so, whatever becomes of the others. One that the brokers refuse in every form is given up: it
/// would be in the way of all that come after it.
///
/// # Errors
/// The database or the brokers do not answer: what was not published is published later.
pub async fn publish_dead_letters(parts: Parts, queue: &KafkaQueue) -> std::result::Result<(), TopicError> {
    let store = std::sync::Arc::clone(&parts.store);
    let letters = super::blocking(move || store.unpublished(LETTERS_MAX)).await?;
    if letters.is_empty() {
        return Ok(());
    }
    let (numbers, letters): (Vec<i64>, Vec<_>) = letters.into_iter().unzip();
    let burials = queue.publish_dead(&letters).await?;
    let (mut ended, mut later) = (Vec::with_capacity(numbers.len()), None);
    for ((number, letter), burial) in numbers.into_iter().zip(&letters).zip(burials) {
        match burial {
            Burial::Published => ended.push(number),
            Burial::GivenUp(cause) => {
                let origin = &letter.origin;
                log::error!("the dead letter {origin} is not published, it stays in its row alone: {cause}");
                ended.push(number);
            }
            Burial::Later(cause) => later = Some(cause),
        }
    }
    super::blocking(move || parts.store.mark_published(&ended)).await?;
    later.map_or(Ok(()), |cause| Err(PublishError::Unacknowledged(cause).into()))
}

/// Why a look at the topic was broken off.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The database.
    #[error("{0}")]
    Store(#[from] crate::store::StoreError),
    /// The brokers.
    #[error("{0}")]
    Queue(#[from] PublishError),
}
