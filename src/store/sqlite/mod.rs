//! The embedded store: one `SQLite` file, one process, chosen by its lock file.
//!
//! One writer at a time (`BEGIN IMMEDIATE`) makes the fences' row locks needless: what a transaction has read stays
//! true until it commits. The database's clock is this process's wall clock, read inside the transaction.

mod changes;
mod checkpoint;
mod columns;
mod connection;
mod counts;
mod dead_letters;
mod dispatch;
mod execution;
mod generations;
mod ingest;
mod lock_file;
mod mastership;
mod matching;
mod migrate;
mod moves;
mod offsets;
mod operations;
mod packed;
mod parking;
mod patching;
mod pauses;
mod presence;
mod reading;
mod recovery;
mod reports;
mod retention;
mod schema;
mod settling;
mod tombstones;
mod topic;
mod value;

use std::path::Path;
use std::time::Duration;

use connection::Connections;
use lock_file::LockFile;
pub use migrate::migrate;
use presence::Presence;

use super::changing::{Operated, Operation, Patch, Patched};
use super::filter::{Filter, Matching, Page};
use super::records::{
    Assignment, Beat, Change, Claimed, DeadLetter, Done, Fence, Generation, GenerationLoad, Ingested, LetGo,
    NewGeneration, Order, Paused, Positions, Recovered, Report, Reported, Resolution, Ruled, Settled, Settlement,
    Standing, StartRecord, Step, StoppedPartition, Stretch, TakeOver, Term, UnseenCancel,
};
use super::{Buried, Ended, Hear, Removed, Result, Store, limit_of, removal};
use crate::clock::Clock;
use crate::domain::figures::Minute;
use crate::domain::pause::Hold;
use crate::domain::{Attempt, Claim, Due, Epoch, GenerationId, NewTask, Pause, Pauses, State, Task, TaskId, Timestamp};

/// The schema this program knows; see `schema_version` in the migrations.
pub const SCHEMA: i32 = 9;

/// The database's name in its folder.
pub const DATABASE_FILE: &str = "task-scheduler.db";

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    connections: Connections,
    presence: Presence,
    clock: Clock,
    _lock: LockFile,
}

impl SqliteStore {
    /// Opens the database in `folder`, made and brought up to date if need be, and holds it alone.
    ///
    /// # Errors
    /// Another process holds it, it cannot be written, or it was made by a newer program.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self> {
        let lock = LockFile::take(folder)?;
        let connections = Connections::open(&folder.join(DATABASE_FILE))?;
        for step in migrate::apply(&connections)? {
            log::info!("applied migration {step}");
        }
        Ok(Self { connections, presence: Presence::default(), clock, _lock: lock })
    }
}

impl Store for SqliteStore {
    fn prepare(&self) -> Result<()> {
        // Done when it was opened: the file is this process's alone.
        Ok(())
    }

    fn listen(&self, _: Hear) {
        // There is no other process.
    }

    fn tell_readers(&self) -> Result<()> {
        Ok(())
    }

    fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.wall())
    }

    fn take_over(&self, generation: GenerationId, lease: Duration) -> Result<TakeOver> {
        self.connections.write(|c| mastership::take_over(c, generation, self.clock.wall(), lease))
    }

    fn renew(&self, fence: Fence, _lease: Duration) -> Result<bool> {
        // The lock file is the lease: as long as this process lives, only a newer set of its own can have deposed it.
        self.connections.read(|c| mastership::holds(c, fence))
    }

    fn resign(&self, fence: Fence, reason: &str) -> Result<()> {
        self.connections.write(|c| mastership::resign(c, fence, reason, self.clock.wall()))
    }

    fn terms(&self, limit: usize) -> Result<Vec<Term>> {
        self.connections.read(|c| mastership::terms(c, limit))
    }

    fn epoch(&self) -> Result<Option<Epoch>> {
        self.connections.read(mastership::epoch)
    }

    fn register(&self, generation: &NewGeneration) -> Result<()> {
        // First, so that nobody ever sees it without a sign of life.
        self.presence.register(generation.id, self.clock.mono());
        self.connections.write(|c| generations::register(c, generation, self.clock.wall()))
    }

    fn beat(&self, generation: GenerationId, beat: Beat) -> Result<bool> {
        self.presence.beat(generation, beat, self.clock.mono());
        let standing = self.connections.read(|c| generations::standing(c, generation))?;
        Ok(standing.is_some_and(|standing| standing != Standing::Dead))
    }

    fn generations(&self) -> Result<Vec<Generation>> {
        self.connections.read(|c| generations::all(c, &self.presence, &self.clock))
    }

    fn report(&self, generation: GenerationId, report: &Report) -> Result<()> {
        self.presence.report(generation, report, self.clock.mono());
        match &report.ended {
            Some(ended) => self.connections.write(|c| reports::end_minute(c, generation, ended, self.clock.wall())),
            None => Ok(()),
        }
    }

    fn reports(&self) -> Result<Vec<Reported>> {
        Ok(self.presence.reports(self.clock.mono()))
    }

    fn minutes(&self, since: Timestamp) -> Result<Vec<Minute>> {
        self.connections.read(|c| reports::minutes(c, since))
    }

    fn drain(&self, generation: GenerationId) -> Result<Vec<Due>> {
        let back = self.connections.write(|c| recovery::drain(c, generation))?;
        self.presence.settled(generation, back.len());
        Ok(back)
    }

    fn farewell(&self, generation: GenerationId) -> Result<()> {
        match self.presence.farewell(generation) {
            Some(last) => self.connections.write(|c| reports::end_minute(c, generation, &last, self.clock.wall())),
            None => Ok(()),
        }
    }

    fn recover(&self, fence: Fence, dead: GenerationId) -> Result<Option<Recovered>> {
        self.connections.write(|c| recovery::recover(c, fence, dead, self.clock.wall()))
    }

    fn ingest(&self, batch: &[NewTask]) -> Result<Vec<Ingested>> {
        self.connections.write(|c| ingest::ingest(c, batch, self.clock.wall()))
    }

    fn fingerprints(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Vec<u8>)>> {
        self.connections.visit(|c| ingest::known(c, ids))
    }

    fn ingest_from(&self, stretch: &Stretch) -> Result<Option<Vec<Ingested>>> {
        self.connections.write(|c| topic::ingest_from(c, stretch, self.clock.wall()))
    }

    fn offsets(&self, topic_id: &str) -> Result<Vec<(i32, i64)>> {
        self.connections.read(|c| offsets::offsets(c, topic_id))
    }

    fn set_offsets(&self, positions: &Positions) -> Result<()> {
        self.connections.write(|c| offsets::set_offsets(c, positions))
    }

    fn stop_reading(&self, stopped: &StoppedPartition) -> Result<bool> {
        self.connections.write(|c| offsets::stop_reading(c, stopped))
    }

    fn stopped(&self, topic_id: &str) -> Result<Vec<StoppedPartition>> {
        self.connections.read(|c| offsets::stopped(c, topic_id))
    }

    fn unpublished(&self, limit: usize) -> Result<Vec<(i64, DeadLetter)>> {
        self.connections.read(|c| topic::unpublished(c, limit_of(limit)))
    }

    fn mark_published(&self, letters: &[i64]) -> Result<()> {
        self.connections.write(|c| topic::mark_published(c, letters))
    }

    fn cancel_unseen(&self, id: TaskId, ends: &Positions) -> Result<UnseenCancel> {
        self.connections.write(|c| tombstones::cancel_unseen(c, id, ends, self.clock.wall()))
    }

    fn forget_tombstones(&self, topic_id: &str, age: Duration) -> Result<usize> {
        self.connections.write(|c| tombstones::forget(c, topic_id, self.clock.wall().minus(age)))
    }

    fn scheduled(&self, after: Option<(Timestamp, TaskId)>, until: Timestamp, limit: usize) -> Result<Vec<Due>> {
        self.connections.read(|c| dispatch::scheduled(c, after, until, limit))
    }

    fn claim_under(&self, fence: Fence, pauses: i64, orders: &[Order]) -> Result<Claimed> {
        let claimed = self.connections.write(|c| dispatch::claim(c, fence, pauses, orders, self.clock.wall()))?;
        if let Claimed::Done { claims, .. } = &claimed {
            for (generation, claims) in claims {
                self.presence.assigned(*generation, claims.len());
            }
        }
        Ok(claimed)
    }

    fn expire_under(&self, fence: Fence, pauses: i64, overdue: &[Due]) -> Result<Ruled<Vec<TaskId>>> {
        self.connections.write(|c| dispatch::expire(c, fence, pauses, overdue, self.clock.wall()))
    }

    fn pause(&self, label: Option<&(String, String)>, reason: Option<&str>) -> Result<Paused> {
        self.connections.write(|c| pauses::pause(c, label, reason, self.clock.wall()))
    }

    fn resume(&self, pause: i64, per_second: Option<u32>) -> Result<Option<Pause>> {
        self.connections.write(|c| pauses::resume(c, pause, per_second, self.clock.wall()))
    }

    fn pauses(&self) -> Result<Pauses> {
        self.connections.read(pauses::all)
    }

    fn waiting(&self, pauses: &[i64]) -> Result<Vec<u64>> {
        self.connections.visit(|c| pauses::waiting(c, pauses))
    }

    fn park(&self, fence: Fence, pauses: i64, holds: &[Hold<'_>], batch: &[Due]) -> Result<Ruled<Vec<TaskId>>> {
        self.connections.write(|c| parking::park(c, fence, pauses, holds, batch))
    }

    fn parks(&self) -> usize {
        parking::PARK_MAX
    }

    fn let_go(&self, fence: Fence, pauses: i64, step: &Step) -> Result<Ruled<LetGo>> {
        self.connections.write(|c| parking::let_go(c, fence, pauses, step))
    }

    fn loads(&self) -> Result<Vec<GenerationLoad>> {
        self.connections.read(|c| generations::loads(c, &self.presence))
    }

    fn assigned(&self, generation: GenerationId, after: i64, limit: usize) -> Result<Vec<Assignment>> {
        self.connections.read(|c| execution::assigned(c, generation, after, limit))
    }

    fn start(&self, generation: GenerationId, claims: &[Claim]) -> Result<Option<StartRecord>> {
        self.connections.write(|c| execution::start(c, generation, claims, self.clock.wall()))
    }

    fn settle(&self, generation: GenerationId, batch: &[Settlement], done: &Done) -> Result<Vec<Settled>> {
        let settled = self.connections.write(|c| {
            let settled = settling::settle(c, generation, batch)?;
            execution::remove(c, generation, done)?;
            Ok(settled)
        })?;
        let applied = settled.iter().filter(|one| matches!(one, Settled::Applied(_))).count();
        self.presence.settled(generation, applied);
        Ok(settled)
    }

    fn find(&self, id: TaskId) -> Result<Option<Task>> {
        self.connections.visit(|c| reading::find(c, id))
    }

    fn list(&self, filter: &Filter) -> Result<Page> {
        self.connections.visit(|c| reading::list(c, filter))
    }

    fn matching(&self, filter: &Filter) -> Result<Matching> {
        self.connections.visit(|c| matching::matching(c, filter))
    }

    fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>> {
        self.connections.visit(|c| reading::attempts(c, id))
    }

    fn cancel(&self, id: TaskId) -> Result<Change> {
        self.connections.write(|c| changes::cancel(c, id, self.clock.wall()))
    }

    fn resolve(&self, id: TaskId, to: Resolution) -> Result<Change> {
        self.connections.write(|c| changes::resolve(c, id, to, self.clock.wall()))
    }

    fn patch(&self, id: TaskId, patch: &Patch, fits: &dyn Fn(&Task) -> bool) -> Result<Patched> {
        self.connections.write(|c| patching::patch(c, id, patch, fits))
    }

    fn run(&self, id: TaskId) -> Result<Change> {
        self.connections.write(|c| changes::operate_on_one(c, id, Operation::Run, self.clock.wall()))
    }

    fn retry(&self, id: TaskId) -> Result<Change> {
        self.connections.write(|c| changes::operate_on_one(c, id, Operation::Retry, self.clock.wall()))
    }

    fn operate(&self, operation: Operation, ids: &[TaskId]) -> Result<Operated> {
        self.connections.write(|c| operations::operate(c, operation, ids, self.clock.wall()))
    }

    fn operates_on(&self) -> usize {
        operations::TASKS_MAX
    }

    fn counts(&self) -> Result<Vec<(State, u64)>> {
        self.connections.read(counts::read)
    }

    fn oldest_due(&self) -> Result<Option<Timestamp>> {
        let now = self.clock.wall();
        let oldest = self.connections.read(|c| dispatch::scheduled(c, None, now, 1))?;
        Ok(oldest.first().map(|oldest| oldest.due_at))
    }

    fn due_between(&self, from: Timestamp, to: Timestamp, most: u64) -> Result<u64> {
        self.connections.visit(|c| dispatch::due_between(c, (from, to), most))
    }

    fn dead_letters(&self) -> Result<u64> {
        self.connections.read(dead_letters::count)
    }

    fn buried(&self, before: Option<i64>, limit: usize) -> Result<Vec<Buried>> {
        self.connections.visit(|c| dead_letters::page(c, before, limit_of(limit)))
    }

    fn buried_record(&self, id: i64) -> Result<Option<(Buried, Vec<u8>)>> {
        self.connections.visit(|c| dead_letters::whole(c, id))
    }

    fn mark_replayed(&self, id: i64) -> Result<bool> {
        self.connections.write(|c| dead_letters::mark_replayed(c, id, self.clock.wall()))
    }

    fn remove_after(&self, after: Option<Ended>, kept: Duration, limit: usize) -> Result<(Removed, Option<Ended>)> {
        let until = self.clock.wall().minus(kept);
        let (limit, letters) = (limit_of(limit).min(retention::TASKS_MAX), limit_of(limit).min(removal::LETTERS_MAX));
        let (old, old_letters) = self
            .connections
            .visit(|c| Ok((retention::old(c, after, until, limit)?, retention::old_letters(c, until, letters)?)))?;
        if old.is_empty() && old_letters.is_empty() {
            return Ok((Removed::default(), after));
        }
        let more = limit_of(old.len()) >= limit || limit_of(old_letters.len()) >= letters;
        let reached = removal::last(&old).or(after);
        self.connections.write(|c| {
            let tasks = retention::remove(c, old, until)?;
            Ok((Removed { tasks, dead_letters: retention::remove_letters(c, &old_letters)?, more }, reached))
        })
    }
}
