//! The task database: the only place that speaks SQL, behind one trait shaped for sets.
//!
//! Arrays go in, outcomes come out; one call is one transaction. Every call blocks: actors run it on a blocking
//! thread. Losing a race (deposed, refused, known already) is an *outcome*; only a database that does not answer as it
//! should is an error.

mod buried;
mod changing;
mod counts;
pub mod error;
mod filter;
mod key;
mod leftover;
mod look;
mod pause_row;
pub mod postgres;
pub mod records;
mod removal;
mod row;
pub mod sqlite;
mod statement;
mod tombstone;
mod written;

use std::time::Duration;

use crate::domain::figures::Minute;
use crate::domain::pause::Hold;
use crate::domain::{Attempt, Claim, Due, Epoch, GenerationId, NewTask, Pause, Pauses, State, Task, TaskId, Timestamp};

pub use buried::{Buried, Ended, Removed};
pub use changing::*;
pub use error::StoreError;
pub use filter::{Filter, Matching, Page, Place};
pub use records::*;

/// Whom to tell of what other processes did.
pub type Hear = Box<dyn Fn(Hint) + Send>;

/// How long sums of minutes are kept.
pub const MINUTES_KEPT: Duration = Duration::from_hours(24);

/// So much of a dead letter is read, in bytes: one more than what goes to its topic, so that it is seen to be longer.
const LETTER_BYTES_READ: i32 = 1_000_001;
/// So many bytes of dead letters are read at once, and one letter more.
const LETTERS_BYTES_READ: i64 = 8_000_000;

/// So much of a dead letter is shown, in bytes: more than any submission may have.
pub const LETTER_BYTES_SHOWN: i32 = 4 * 1024 * 1024;

/// What a call gives back.
pub type Result<T> = std::result::Result<T, StoreError>;

/// As SQL takes it.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The task database.
pub trait Store: Send + Sync + 'static {
    /// Brings the schema up to date, if this program may; nothing where it is so already.
    fn prepare(&self) -> Result<()>;
    /// Lets `hear` know what other processes do on this database, as long as this store lives. Hints: any may be lost.
    fn listen(&self, hear: Hear);
    /// Lets other processes know that this one reads other partitions of the topic now.
    fn tell_readers(&self) -> Result<()>;
    /// The database's clock now.
    fn now(&self) -> Result<Timestamp>;

    // Mastership.

    /// Takes the next epoch if no master's lease is valid, and closes the fence behind it.
    fn take_over(&self, generation: GenerationId, lease: Duration) -> Result<TakeOver>;
    /// Prolongs the lease of a reign by `lease` from now. False: deposed.
    fn renew(&self, fence: Fence, lease: Duration) -> Result<bool>;
    /// Ends a reign at once, if it is still this one's.
    fn resign(&self, fence: Fence, reason: &str) -> Result<()>;
    /// The reigns so far, the newest first.
    fn terms(&self, limit: usize) -> Result<Vec<Term>>;

    // Generations.

    /// Makes a generation known, as `alive`.
    fn register(&self, generation: &NewGeneration) -> Result<()>;
    /// A sign of life. False: it was given up as dead, and can do nothing any more.
    fn beat(&self, generation: GenerationId, beat: Beat) -> Result<bool>;
    /// All that are not dead, and those that died lately.
    fn generations(&self) -> Result<Vec<Generation>>;
    /// Keeps what a node reports of itself, instead of its last report; sums of minutes for [`MINUTES_KEPT`].
    fn report(&self, generation: GenerationId, report: &Report) -> Result<()>;
    /// The last report of each generation that is not dead; what another program's version has made unreadable is left out.
    fn reports(&self) -> Result<Vec<Reported>>;
    /// The sums of all nodes' ended minutes that were begun after `since`, in their order.
    fn minutes(&self, since: Timestamp) -> Result<Vec<Minute>>;
    /// `alive → draining`, and gives its claims without a start record back. From then on it can start nothing.
    fn drain(&self, generation: GenerationId) -> Result<Vec<Due>>;
    /// Its last call has ended and its last outcome is written: it may be recovered at once.
    fn farewell(&self, generation: GenerationId) -> Result<()>;
    /// Marks a generation dead and settles what it left: claims without a start record go back to `scheduled`, started
    /// ones by their `delivery`. `None`: the fence refused.
    fn recover(&self, fence: Fence, dead: GenerationId) -> Result<Option<Recovered>>;

    // Ingest.

    /// Takes a batch of submissions in, in one transaction; one outcome each, in their order.
    fn ingest(&self, batch: &[NewTask]) -> Result<Vec<Ingested>>;
    /// The fingerprints of those of these ids that are stored. What is being stored now is perhaps not seen.
    fn fingerprints(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Vec<u8>)>>;
    /// Takes a stretch of a topic in, as a batch is taken in: only if the stored offset of its partition is still the expected one
    /// (compare-and-set). What is no task or conflicts is kept as a dead letter, once. `None`: another node was faster,
    /// drop the stretch and read the stored offset.
    fn ingest_from(&self, stretch: &Stretch) -> Result<Option<Vec<Ingested>>>;
    /// How far each partition of a topic was ingested: (partition, next offset).
    fn offsets(&self, topic_id: &str) -> Result<Vec<(i32, i64)>>;
    /// Notes that a partition is not read any more, if its stored offset is still this one: from then on nothing of it is
    /// taken in until an operator has set its offset. False: the offset is another by now.
    fn stop_reading(&self, stopped: &StoppedPartition) -> Result<bool>;
    /// The partitions of a topic that are not read any more.
    fn stopped(&self, topic_id: &str) -> Result<Vec<StoppedPartition>>;
    /// Has a topic read from these offsets on, whatever was ingested and whatever was stopped: for an operator.
    fn set_offsets(&self, positions: &Positions) -> Result<()>;
    /// Dead letters that were not published to their topic yet nor submitted again, the oldest first, with their numbers: as many
    /// as fit into memory well, of each no more than one byte beyond [`crate::domain::limits::LETTER_BYTES_MAX`].
    fn unpublished(&self, limit: usize) -> Result<Vec<(i64, DeadLetter)>>;
    /// These dead letters are in their topic.
    fn mark_published(&self, letters: &[i64]) -> Result<()>;
    /// Calls a task off that may still be in the topic: if it is not stored, a tombstone stops it when it comes in, as long
    /// as something before `ends` is not ingested, and for a while. Asked again, it begins anew.
    fn cancel_unseen(&self, id: TaskId, ends: &Positions) -> Result<UnseenCancel>;
    /// Removes the tombstones of a topic that are at least so old and that everything before them has passed.
    fn forget_tombstones(&self, topic_id: &str, age: Duration) -> Result<usize>;

    // Dispatch.

    /// Scheduled tasks after `after` in the order of `(due_at, id)` and due until `until`, at most `limit`.
    fn scheduled(&self, after: Option<(Timestamp, TaskId)>, until: Timestamp, limit: usize) -> Result<Vec<Due>>;
    /// Claims what is still scheduled at the expected `due_at`, under the fence, for generations that are `alive`; nothing if
    /// the pauses are not those any more of which the master knows: `pauses` is their [`Pauses::count`].
    fn claim_under(&self, fence: Fence, pauses: i64, orders: &[Order]) -> Result<Claimed>;
    /// The same for a master that has never heard of a pause.
    fn claim(&self, fence: Fence, orders: &[Order]) -> Result<Claimed> {
        self.claim_under(fence, Pauses::default().count, orders)
    }
    /// Calls off what its misfire policy does not let fire any more, under the same conditions. The ids that were.
    fn expire_under(&self, fence: Fence, pauses: i64, overdue: &[Due]) -> Result<Ruled<Vec<TaskId>>>;
    /// The same for a master that has never heard of a pause.
    fn expire(&self, fence: Fence, overdue: &[Due]) -> Result<Ruled<Vec<TaskId>>> {
        self.expire_under(fence, Pauses::default().count, overdue)
    }
    /// What each living generation can do and holds.
    fn loads(&self) -> Result<Vec<GenerationLoad>>;

    // Pauses.

    /// Pauses everything, or what has this label. From its return on nothing that matches is claimed any more: who
    /// claims goes by the pauses as they are now, and the claim under way was waited for.
    fn pause(&self, label: Option<&(String, String)>, reason: Option<&str>) -> Result<Paused>;
    /// Lets what waits for its end go, so many a second, or all at once; asked again, the new pace counts. `None`: there is no
    /// such pause.
    fn resume(&self, pause: i64, per_second: Option<u32>) -> Result<Option<Pause>>;
    /// All pauses as they stand.
    fn pauses(&self) -> Result<Pauses>;
    /// How many tasks wait for the end of each of these, counted no further than one beyond
    /// [`crate::domain::limits::WAITING_COUNTED_MAX`].
    fn waiting(&self, pauses: &[i64]) -> Result<Vec<u64>>;
    /// Parks what one of these holds back and is still scheduled as expected: it is due at the end of time until it is let go.
    /// The ids of all that are held back: who claims leaves them out, whatever their rows say now. `pauses`: how often they
    /// had been changed when they were read.
    fn park(&self, fence: Fence, pauses: i64, holds: &[Hold<'_>], batch: &[Due]) -> Result<Ruled<Vec<TaskId>>>;
    /// Most tasks of one [`Store::park`].
    fn parks(&self) -> usize;
    /// Lets some go that wait for the end of a pause that is being resumed, the oldest first (and no more than fit into a short
    /// transaction). Each step may go on where the one before it has ended; what is parked later may stand before that place,
    /// so the last step begins anew.
    fn let_go(&self, fence: Fence, pauses: i64, step: &Step) -> Result<Ruled<LetGo>>;

    // Execution.

    /// The claims assigned to `generation` after `after`, with their tasks, in the order of claiming.
    fn assigned(&self, generation: GenerationId, after: i64, limit: usize) -> Result<Vec<Assignment>>;
    /// Writes a start record: the point of no return. `None`: refused, the generation is not `alive`.
    fn start(&self, generation: GenerationId, claims: &[Claim]) -> Result<Option<StartRecord>>;
    /// Applies outcomes to the claims that are still this generation's; `done` assignments and start records go.
    fn settle(&self, generation: GenerationId, batch: &[Settlement], done: &Done) -> Result<Vec<Settled>>;

    // Retention.

    /// Removes what is older than `kept` by the database's clock, the oldest first, at most `limit` of it and few enough to hold
    /// nobody up: finished tasks (never an `unknown` one) with their attempts and tags, and dead letters that were replayed.
    fn remove(&self, kept: Duration, limit: usize) -> Result<Removed> {
        Ok(self.remove_after(None, kept, limit)?.0)
    }
    /// The same, of the tasks only those that ended after `after`: where the last of a batch stood, which is told beside what was
    /// removed (`after` itself where none was). What lies before it is not looked at: outcomes may come late, so that a
    /// sweep begins without it now and then.
    fn remove_after(&self, after: Option<Ended>, kept: Duration, limit: usize) -> Result<(Removed, Option<Ended>)>;

    // What people ask for.

    /// One task, wherever it is.
    fn find(&self, id: TaskId) -> Result<Option<Task>>;
    /// A page of tasks, the newest first, without payloads. One that moves meanwhile is shown as it is then, or left out
    /// if the filter asks for the state it had before.
    fn list(&self, filter: &Filter) -> Result<Page>;
    /// Which tasks a page would show. Every look is bounded: it may give fewer than were asked for, even none, and go on
    /// from [`Matching::next`]; only `None` there is the end.
    fn matching(&self, filter: &Filter) -> Result<Matching>;
    /// The attempts of a task, the first first.
    fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>>;
    /// Calls a scheduled task off.
    fn cancel(&self, id: TaskId) -> Result<Change>;
    /// Settles an unknown task.
    fn resolve(&self, id: TaskId, to: Resolution) -> Result<Change>;
    /// Changes a scheduled task, if it `fits` as it stands: both in one transaction.
    fn patch(&self, id: TaskId, patch: &Patch, fits: &dyn Fn(&Task) -> bool) -> Result<Patched>;
    /// Makes a scheduled task due now.
    fn run(&self, id: TaskId) -> Result<Change>;
    /// Schedules a failed task again, due now.
    fn retry(&self, id: TaskId) -> Result<Change>;
    /// Does this to those of the tasks that stand in its state, in one transaction. Nobody must wait long for it: at most
    /// [`Store::operates_on`] of them.
    fn operate(&self, operation: Operation, ids: &[TaskId]) -> Result<Operated>;
    /// Most tasks of one [`Store::operate`].
    fn operates_on(&self) -> usize;
    /// How many tasks stand in each state, from counters.
    fn counts(&self) -> Result<Vec<(State, u64)>>;
    /// When the oldest task that is still scheduled was due; `None` if none is due.
    fn oldest_due(&self) -> Result<Option<Timestamp>>;
    /// How long ago that was; zero if none is due.
    fn overdue(&self) -> Result<Duration> {
        Ok(match self.oldest_due()? {
            Some(due_at) => self.now()?.since(due_at),
            None => Duration::ZERO,
        })
    }
    /// How many scheduled tasks are due from `from` on and before `to`, counted no further than `most`.
    fn due_between(&self, from: Timestamp, to: Timestamp, most: u64) -> Result<u64>;
    /// How many records could not be read, less those that were replayed.
    fn dead_letters(&self) -> Result<u64>;
    /// Dead letters with numbers below `before`, the newest first.
    fn buried(&self, before: Option<i64>, limit: usize) -> Result<Vec<Buried>>;
    /// One dead letter with its record, of which at most [`LETTER_BYTES_SHOWN`] bytes are read.
    fn buried_record(&self, id: i64) -> Result<Option<(Buried, Vec<u8>)>>;
    /// It was submitted again. False: it had been before, or is gone.
    fn mark_replayed(&self, id: i64) -> Result<bool>;
    /// The epoch of the newest reign; `None` before the first.
    fn epoch(&self) -> Result<Option<Epoch>>;
}

#[cfg(test)]
mod tests {
    /// A program that does not know its own newest step would be refused by it.
    #[test]
    fn the_newest_migration_is_the_schema_that_the_program_knows() {
        for (store, schema) in [("postgres", super::postgres::SCHEMA), ("sqlite", super::sqlite::SCHEMA)] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(store);
            let newest = std::fs::read_dir(folder).unwrap().map(|step| step.unwrap().path()).max().unwrap();
            let sql = std::fs::read_to_string(newest.join("up.sql")).unwrap();
            assert!(sql.contains(&format!("SET version = {schema}")), "{store}: {sql}");
        }
    }
}
