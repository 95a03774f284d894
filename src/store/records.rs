//! What goes into the store and what comes out of it.

use std::time::Duration;

use crate::domain::figures::{Minute, Snapshot};
use crate::domain::{
    AttemptOutcome, Claim, ClaimedTask, Due, Epoch, GenerationId, NewTask, Pause, State, TaskId, Timestamp, Verdict,
};

/// A reign's token: a write of the master holds only while both are the current ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The reign.
    pub epoch: Epoch,
    /// Whose reign it is.
    pub generation: GenerationId,
}

/// How an attempt to become master ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// This generation reigns, under this epoch.
    Won(Epoch),
    /// Another's lease is valid.
    Lost,
}

/// One reign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Its epoch.
    pub epoch: Epoch,
    /// Whose reign it is.
    pub generation: GenerationId,
    /// The node's name.
    pub node: String,
    /// Since when.
    pub elected_at: Timestamp,
    /// Until when; `None` while it lasts.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

/// A generation that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGeneration {
    /// Its id.
    pub id: GenerationId,
    /// Its node's name.
    pub node: String,
    /// Where its node's API listens, `host:port`.
    pub address: String,
    /// The program's version.
    pub version: String,
    /// Calls it can make at once.
    pub slots: u32,
}

/// What a heartbeat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beat {
    /// Slots without a call.
    pub free_slots: u32,
    /// The database's clock minus the node's wall clock, in microseconds: shown, never used.
    pub clock_offset_us: i64,
    /// The brokers of the submission topic answer it.
    pub reads_topic: bool,
}

/// What a node reports of itself, every few seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// As it is now.
    pub snapshot: Snapshot,
    /// The sums of the current minute so far.
    pub current: Minute,
    /// Those of the minute before, if it has ended since the last report.
    pub ended: Option<Minute>,
}

/// A node's last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Whose.
    pub generation: GenerationId,
    /// How long ago, by the database's clock.
    pub age: Duration,
    /// As it was then.
    pub snapshot: Snapshot,
    /// The sums of its current minute.
    pub current: Minute,
}

/// How a generation stands. Only forward: `alive → draining → dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Takes claims and starts them.
    Alive,
    /// Starts nothing more; its calls in flight end.
    Draining,
    /// Was recovered.
    Dead,
}

/// A generation as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its id.
    pub id: GenerationId,
    /// Its node's name.
    pub node: String,
    /// Where its node's API listens.
    pub address: String,
    /// The program's version.
    pub version: String,
    /// How it stands.
    pub standing: Standing,
    /// Calls it can make at once; 0 when it is not alive.
    pub slots: u32,
    /// Slots without a call, by its last heartbeat.
    pub free_slots: u32,
    /// Rises with every heartbeat: who stands still is dead.
    pub counter: i64,
    /// How long ago its last heartbeat was, by the database's clock: shown, never used.
    pub heartbeat_age: Duration,
    /// The database's clock minus its node's wall clock, in microseconds.
    pub clock_offset_us: i64,
    /// The brokers of the submission topic answer it: others leave partitions to it.
    pub reads_topic: bool,
    /// It is known to be gone (its process ended, or it said farewell) and may be recovered at once.
    pub gone: bool,
}

/// What a recovery did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Scheduled again: never started, or started and `at_least_once`.
    pub scheduled: Vec<Due>,
    /// Stopped as `unknown`.
    pub unknown: Vec<TaskId>,
}

/// What became of one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingested {
    /// It is stored now; when it is due.
    Stored(Due),
    /// The same document under the same id is stored already.
    Same,
    /// Another document is stored under this id.
    Conflict,
    /// It had been cancelled before it came in, and is stored as that.
    Cancelled,
}

impl Ingested {
    /// There is a row of it now that was not there before.
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_) | Self::Cancelled)
    }

    /// The word it is counted under.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored(_) => "stored",
            Self::Same => "same",
            Self::Conflict => "conflict",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How far a batch read from a topic moves its partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetMove {
    /// The topic's id: a topic that was deleted and made again is another one.
    pub topic_id: String,
    /// The partition.
    pub partition: i32,
    /// The next offset as it was stored when the batch was read; `None` if none was.
    pub from: Option<i64>,
    /// The next offset after the batch.
    pub to: i64,
}

/// A stretch of a topic's partition, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// How far it goes.
    pub offset: OffsetMove,
    /// The tasks in it.
    pub tasks: Vec<NewTask>,
    /// Offset and value of each task's record, in their order: buried if another document is stored under its id.
    pub records: Vec<(i64, Vec<u8>)>,
    /// What could not be read.
    pub letters: Vec<DeadLetter>,
}

impl Stretch {
    /// Its dead letters, once the database has said what became of its tasks.
    pub fn all_letters(&self, outcomes: &[Ingested]) -> Vec<DeadLetter> {
        let of_task = self.tasks.iter().zip(&self.records).zip(outcomes);
        let conflicts = of_task.filter(|(_, outcome)| **outcome == Ingested::Conflict).map(|((task, record), _)| {
            let (offset, value) = record;
            DeadLetter {
                origin: self.offset.origin(*offset),
                reason: format!("conflict: the task {} came before with another document", task.id),
                record: value.clone(),
            }
        });
        self.letters.iter().cloned().chain(conflicts).collect()
    }
}

impl OffsetMove {
    /// What a dead letter at this offset of its partition is known by.
    pub fn origin(&self, offset: i64) -> String {
        format!("{}[{}]@{offset}", self.topic_id, self.partition)
    }
}

/// A partition that is not read any more until an operator says from where: the brokers do not have its next record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedPartition {
    /// The topic's id.
    pub topic_id: String,
    /// The partition.
    pub partition: i32,
    /// Its stored offset.
    pub next: i64,
    /// Why.
    pub reason: String,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from: topic, partition and offset, as text. The same record read again is the same dead letter.
    pub origin: String,
    /// Why it could not be read.
    pub reason: String,
    /// The record itself.
    pub record: Vec<u8>,
}

/// The master's word: this task, still due at this instant, for that generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The task and when it is expected to be due.
    pub due: Due,
    /// Its executor.
    pub generation: GenerationId,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The master was deposed: nothing was claimed.
    Fenced,
    /// The pauses were changed since the master has read them: nothing was claimed.
    Outdated,
    /// These were claimed. The others had changed, or their generation is not alive.
    Done {
        /// Ids by generation.
        claims: Vec<(GenerationId, Vec<Claim>)>,
        /// Generations that are not alive: what was meant for them is still scheduled.
        refused: Vec<GenerationId>,
    },
}

/// How a write of a master ended that goes by the pauses as it has read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruled<T> {
    /// The master was deposed: nothing was done.
    Fenced,
    /// The pauses were changed since: nothing was done.
    Outdated,
    /// It is done.
    Done(T),
}

impl<T> Ruled<T> {
    /// Goes on with what was done.
    ///
    /// # Errors
    /// Those of what goes on.
    pub fn and_then<U>(self, go_on: impl FnOnce(T) -> crate::store::Result<U>) -> crate::store::Result<Ruled<U>> {
        Ok(match self {
            Self::Fenced => Ruled::Fenced,
            Self::Outdated => Ruled::Outdated,
            Self::Done(done) => Ruled::Done(go_on(done)?),
        })
    }
}

/// What a step of a catch-up is to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What waits for the end of this pause.
    pub pause: i64,
    /// Only what was due after this, as the step before has told ([`LetGo::next`]); `None`: from the oldest on.
    pub after: Option<(Timestamp, TaskId)>,
    /// The last of all that were let go so far, in the order of [`Due::key`]: what came due before the resume and stands behind
    /// it is still to be parked, before a pause that is resumed at a pace is over.
    pub reached: Option<(Timestamp, TaskId)>,
    /// At most so many.
    pub limit: usize,
}

/// What a step of a catch-up let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    /// Scheduled for their own instants again.
    pub tasks: Vec<Due>,
    /// After which the next step goes on; `None`: once more from the oldest on, as the last step does.
    pub next: Option<(Timestamp, TaskId)>,
    /// Nothing waits for the end of this pause any more: it is gone.
    pub is_over: bool,
}

/// What became of a call to pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paused {
    /// It begins with this call.
    New(Pause),
    /// The same is paused already, or was being resumed and is paused again.
    Known(Pause),
    /// There are as many pauses as there may be.
    Full,
}

/// What a living generation can do and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationLoad {
    /// Which.
    pub generation: GenerationId,
    /// Its heartbeat counter.
    pub counter: i64,
    /// Its load.
    pub load: crate::domain::credit::Load,
}

/// One assignment row with its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Its place in the order of claiming; only goes forward.
    pub seq: i64,
    /// Its tasks that are still this generation's.
    pub tasks: Vec<ClaimedTask>,
}

/// A start record that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartRecord {
    /// Its key.
    pub seq: i64,
}

/// One outcome to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Whose.
    pub claim: Claim,
    /// What it does to the task.
    pub verdict: Verdict,
    /// The attempt that ended; `None` for a claim that goes back without a start.
    pub attempt: Option<EndedAttempt>,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAttempt {
    /// When the call started, by the database's clock.
    pub started_at: Timestamp,
    /// When its outcome was known.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What went wrong.
    pub error: Option<String>,
}

/// Rows that are needed no more: every claim in them is settled with this batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// Assignments, by `seq`.
    pub assignments: Vec<i64>,
    /// Start records, by `seq`.
    pub start_records: Vec<i64>,
}

/// What became of one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The task took the step; where it is scheduled again, when.
    Applied(Option<Due>),
    /// The claim is another's, or was settled before: nothing changed.
    Stale,
}

/// What another process did on the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// It claimed tasks for these generations.
    Assigned(Vec<GenerationId>),
    /// It scheduled tasks, the first of them due at this instant.
    Scheduled(Timestamp),
    /// It is master no more.
    Resigned,
    /// It reads other partitions of the topic, or none any more.
    Readers,
    /// Some of this may have been told while nobody listened.
    Missed,
}

/// Where a topic ends: what is in it now lies before.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Positions {
    /// Which.
    pub topic_id: String,
    /// Partitions with the offset of their next record.
    pub ends: Vec<(i32, i64)>,
}

impl Positions {
    /// Everything up to here has been ingested.
    pub fn passed(&self, offsets: &[(i32, i64)]) -> bool {
        self.ends.iter().all(|(partition, end)| {
            *end == 0 || offsets.iter().any(|(ingested, next)| ingested == partition && next >= end)
        })
    }
}

/// How a change that a person asked for ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is done; when it is due next, if it is scheduled now.
    Done(Option<Due>),
    /// It was so already.
    Already,
    /// The task stands in a state that does not allow it.
    Refused(State),
    /// There is no such task.
    NotFound,
}

/// How the cancel of a task ended that may still be in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnseenCancel {
    /// It is stored: an ordinary cancel.
    Stored(Change),
    /// It is not stored, and will be stopped when it comes in.
    Tombstone,
    /// It is not stored, and there is no room for more tombstones.
    Full,
}

/// What an unknown task is settled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The target was reached.
    Succeeded,
    /// It was not, and the task is given up.
    Failed,
    /// Fire it again, now.
    Scheduled,
}
