//! The cluster's store: PostgreSQL (or what speaks as it does), shared by all nodes.
//!
//! Every call is one transaction or one statement. What must not be done by a deposed master or by a generation that was
//! given up holds a fence's row first, by a statement of its own. Several rows of a kind are written in the order of
//! their keys; master fence, generation fences, offsets, tasks, the rest.

mod changes;
mod columns;
mod connection;
mod counts;
mod dead_letters;
mod dispatch;
mod execution;
mod generations;
mod ingest;
mod late;
mod listen;
mod mastership;
mod matching;
mod migrate;
mod moves;
mod offsets;
mod operations;
mod parking;
mod patching;
mod pauses;
mod reading;
mod recovery;
mod reports;
mod retention;
mod settling;
mod tombstones;
mod topic;
mod value;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connection::Connections;
use counts::{Stream, Writer};
use listen::{Listener, tell};
pub use migrate::migrate;
use uuid::Uuid;

use super::changing::{Operated, Operation, Patch, Patched};
use super::counts::Deltas;
use super::filter::{Filter, Matching, Page};
use super::key::Key;
use super::records::{
    Assignment, Beat, Change, Claimed, DeadLetter, Done, Fence, Generation, GenerationLoad, Hint, Ingested, LetGo,
    NewGeneration, Order, Paused, Positions, Recovered, Report, Reported, Resolution, Ruled, Settled, Settlement,
    StartRecord, Step, StoppedPartition, Stretch, TakeOver, Term, UnseenCancel,
};
use super::{Buried, Ended, Hear, Removed, Result, Store, StoreError, limit_of};
use crate::domain::figures::Minute;
use crate::domain::pause::Hold;
use crate::domain::{Attempt, Claim, Due, Epoch, GenerationId, NewTask, Pause, Pauses, State, Task, TaskId, Timestamp};

/// The schema this program knows; see `schema_version` in the migrations.
pub const SCHEMA: i32 = 9;

/// The cluster's store.
pub struct PostgresStore {
    connections: Connections,
    /// Whose rows of deltas this process writes.
    process: Key,
    /// This process's generations, and whether the lease's connection holds their life locks.
    living: Mutex<Vec<(GenerationId, bool)>>,
    /// Gone with this store: who listens for it ends then.
    alive: Arc<()>,
}

impl PostgresStore {
    /// Over at most `connections` connections, besides the lease's own. None is made yet.
    pub fn new(url: &str, connections: u32) -> Self {
        Self {
            connections: Connections::new(url, connections),
            process: Key(Uuid::now_v7()),
            living: Mutex::default(),
            alive: Arc::default(),
        }
    }

    fn writer(&self, stream: Stream) -> Writer {
        Writer { process: self.process, stream }
    }

    /// Tells other processes of what was stored.
    fn tell_stored(&self, c: &mut diesel::PgConnection, outcomes: &[Ingested]) -> Result<()> {
        self.tell_scheduled(
            c,
            outcomes.iter().filter_map(|outcome| match outcome {
                Ingested::Stored(due) => Some(due),
                Ingested::Same | Ingested::Conflict | Ingested::Cancelled => None,
            }),
        )
    }

    /// Tells other processes of what is scheduled now.
    fn tell_scheduled<'a>(&self, c: &mut diesel::PgConnection, dues: impl IntoIterator<Item = &'a Due>) -> Result<()> {
        match dues.into_iter().map(|due| due.due_at).min() {
            Some(first) => tell(c, self.process, &Hint::Scheduled(first)),
            None => Ok(()),
        }
    }

    /// A person's change of one task, told to other processes if it is scheduled then.
    fn change(&self, work: impl FnOnce(&mut diesel::PgConnection) -> Result<Change>) -> Result<Change> {
        self.connections.change(|c| {
            let change = work(c)?;
            if let Change::Done(due) = &change {
                self.tell_scheduled(c, due)?;
            }
            Ok(change)
        })
    }

    fn living(&self) -> MutexGuard<'_, Vec<(GenerationId, bool)>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its life lock is not asked for any more.
    fn forget_life(&self, generation: GenerationId) {
        self.living().retain(|(living, _)| *living != generation);
    }

    /// On the lease's connection. A new one holds no life lock yet, and the session that it replaces may still hold one for a
    /// while: what is not held is asked for each time.
    fn on_lease<T>(&self, work: impl FnOnce(&mut connection::Link) -> Result<T>) -> Result<T> {
        let anew = |_: &mut diesel::PgConnection| {
            self.living().iter_mut().for_each(|(_, held)| *held = false);
            Ok(())
        };
        self.connections.on_lease(anew, |link| {
            link.run(|c| self.living().iter_mut().try_for_each(|one| mastership::hold_life_lock(c, one)))?;
            work(link)
        })
    }
}

impl Store for PostgresStore {
    fn prepare(&self) -> Result<()> {
        for step in migrate::apply(&self.connections)? {
            log::info!("applied migration {step}");
        }
        Ok(())
    }

    fn listen(&self, hear: Hear) {
        let listener = Listener::new(self.connections.url(), self.process, Arc::downgrade(&self.alive), hear);
        if let Err(cause) = std::thread::Builder::new().name("listen".to_owned()).spawn(move || listener.run()) {
            log::error!("nothing is heard of other nodes, their work is found by looking: {cause}");
        }
    }

    fn tell_readers(&self) -> Result<()> {
        self.connections.run(|c| tell(c, self.process, &Hint::Readers))
    }

    fn now(&self) -> Result<Timestamp> {
        self.connections.run(generations::now)
    }

    fn take_over(&self, generation: GenerationId, lease: Duration) -> Result<TakeOver> {
        let taken = self.on_lease(|link| link.transaction(|c| mastership::take_over(c, generation, lease)));
        match taken {
            Err(StoreError::Statement(diesel::result::Error::RollbackTransaction)) => Ok(TakeOver::Lost),
            taken => taken,
        }
    }

    fn renew(&self, fence: Fence, lease: Duration) -> Result<bool> {
        self.on_lease(|link| link.run(|c| mastership::renew(c, fence, lease)))
    }

    fn resign(&self, fence: Fence, reason: &str) -> Result<()> {
        self.on_lease(|link| {
            link.transaction(|c| {
                mastership::resign(c, fence, reason)?;
                tell(c, self.process, &Hint::Resigned)
            })
        })
    }

    fn terms(&self, limit: usize) -> Result<Vec<Term>> {
        self.connections.visit(|c| mastership::terms(c, limit))
    }

    fn epoch(&self) -> Result<Option<Epoch>> {
        self.connections.run(mastership::epoch)
    }

    fn register(&self, generation: &NewGeneration) -> Result<()> {
        self.connections.write(|c| generations::register(c, generation))?;
        self.connections.write(|c| counts::fold(c, self.process))?;
        self.living().push((generation.id, false));
        self.on_lease(|_| Ok(())).inspect_err(|_| self.forget_life(generation.id))
    }

    fn beat(&self, generation: GenerationId, beat: Beat) -> Result<bool> {
        self.connections.run(|c| generations::beat(c, generation, beat))
    }

    fn generations(&self) -> Result<Vec<Generation>> {
        self.connections.run(generations::all)
    }

    fn report(&self, generation: GenerationId, report: &Report) -> Result<()> {
        self.connections.write(|c| reports::keep(c, generation, report))
    }

    fn reports(&self) -> Result<Vec<Reported>> {
        self.connections.visit(reports::all)
    }

    fn minutes(&self, since: Timestamp) -> Result<Vec<Minute>> {
        self.connections.visit(|c| reports::minutes(c, since))
    }

    fn drain(&self, generation: GenerationId) -> Result<Vec<Due>> {
        self.connections.write(|c| {
            let back = recovery::drain(c, self.writer(Stream::Other), generation)?;
            self.tell_scheduled(c, &back)?;
            tell(c, self.process, &Hint::Readers)?;
            Ok(back)
        })
    }

    fn farewell(&self, generation: GenerationId) -> Result<()> {
        self.forget_life(generation);
        self.connections.run(|c| generations::farewell(c, generation))
    }

    fn recover(&self, fence: Fence, dead: GenerationId) -> Result<Option<Recovered>> {
        self.connections.write(|c| recovery::recover(c, self.writer(Stream::Other), fence, dead))
    }

    fn ingest(&self, batch: &[NewTask]) -> Result<Vec<Ingested>> {
        self.connections.write(|c| {
            let outcomes = ingest::ingest(c, self.writer(Stream::Ingest), batch)?;
            self.tell_stored(c, &outcomes)?;
            Ok(outcomes)
        })
    }

    fn fingerprints(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Vec<u8>)>> {
        let ids = ids.iter().copied().map(Key::from).collect();
        let known = self.connections.visit(|c| ingest::known(c, ids))?;
        Ok(known.into_iter().map(|(id, fingerprint)| (id.task(), fingerprint)).collect())
    }

    fn ingest_from(&self, stretch: &Stretch) -> Result<Option<Vec<Ingested>>> {
        self.connections.write(|c| {
            let outcomes = topic::ingest_from(c, self.writer(Stream::Ingest), stretch)?;
            self.tell_stored(c, outcomes.as_deref().unwrap_or_default())?;
            Ok(outcomes)
        })
    }

    fn offsets(&self, topic_id: &str) -> Result<Vec<(i32, i64)>> {
        self.connections.run(|c| offsets::offsets(c, topic_id))
    }

    fn set_offsets(&self, positions: &Positions) -> Result<()> {
        self.connections.run(|c| offsets::set_offsets(c, positions))
    }

    fn stop_reading(&self, stopped: &StoppedPartition) -> Result<bool> {
        self.connections.run(|c| offsets::stop_reading(c, stopped))
    }

    fn stopped(&self, topic_id: &str) -> Result<Vec<StoppedPartition>> {
        self.connections.run(|c| offsets::stopped(c, topic_id))
    }

    fn unpublished(&self, limit: usize) -> Result<Vec<(i64, DeadLetter)>> {
        self.connections.run(|c| topic::unpublished(c, limit_of(limit)))
    }

    fn mark_published(&self, letters: &[i64]) -> Result<()> {
        self.connections.run(|c| topic::mark_published(c, letters))
    }

    fn cancel_unseen(&self, id: TaskId, ends: &Positions) -> Result<UnseenCancel> {
        self.connections.change(|c| tombstones::cancel_unseen(c, self.writer(Stream::Other), id, ends))
    }

    fn forget_tombstones(&self, topic_id: &str, age: Duration) -> Result<usize> {
        self.connections.write(|c| tombstones::forget(c, topic_id, age))
    }

    fn scheduled(&self, after: Option<(Timestamp, TaskId)>, until: Timestamp, limit: usize) -> Result<Vec<Due>> {
        self.connections.run(|c| dispatch::scheduled(c, after, until, limit))
    }

    fn claim_under(&self, fence: Fence, pauses: i64, orders: &[Order]) -> Result<Claimed> {
        self.connections.write(|c| {
            let claimed = dispatch::claim(c, self.writer(Stream::Claim), fence, pauses, orders)?;
            if let Claimed::Done { claims, .. } = &claimed {
                // The master's own node is told by the master.
                let others: Vec<_> = claims.iter().map(|(id, _)| *id).filter(|id| *id != fence.generation).collect();
                for some in others.chunks(listen::GENERATIONS_MAX) {
                    tell(c, self.process, &Hint::Assigned(some.to_vec()))?;
                }
            }
            Ok(claimed)
        })
    }

    fn expire_under(&self, fence: Fence, pauses: i64, overdue: &[Due]) -> Result<Ruled<Vec<TaskId>>> {
        self.connections.write(|c| dispatch::expire(c, self.writer(Stream::Claim), fence, pauses, overdue))
    }

    fn pause(&self, label: Option<&(String, String)>, reason: Option<&str>) -> Result<Paused> {
        self.connections.change(|c| pauses::pause(c, label, reason))
    }

    fn resume(&self, pause: i64, per_second: Option<u32>) -> Result<Option<Pause>> {
        self.connections.change(|c| pauses::resume(c, pause, per_second))
    }

    fn pauses(&self) -> Result<Pauses> {
        self.connections.run(pauses::all)
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
        self.connections.run(generations::loads)
    }

    fn assigned(&self, generation: GenerationId, after: i64, limit: usize) -> Result<Vec<Assignment>> {
        self.connections.run(|c| execution::assigned(c, generation, after, limit))
    }

    fn start(&self, generation: GenerationId, claims: &[Claim]) -> Result<Option<StartRecord>> {
        self.connections.run(|c| execution::start(c, generation, claims))
    }

    fn settle(&self, generation: GenerationId, batch: &[Settlement], done: &Done) -> Result<Vec<Settled>> {
        self.connections.write(|c| {
            let mut deltas = Deltas::default();
            let settled = settling::settle(c, generation, batch, &mut deltas)?;
            execution::remove(c, generation, done)?;
            let applied = settled.iter().filter(|one| matches!(one, Settled::Applied(_))).count();
            generations::add_settled(c, generation, applied)?;
            counts::write(c, self.writer(Stream::Settle), &deltas)?;
            self.tell_scheduled(
                c,
                settled.iter().filter_map(|one| match one {
                    Settled::Applied(due) => due.as_ref(),
                    Settled::Stale => None,
                }),
            )?;
            Ok(settled)
        })
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
        self.connections.change(|c| changes::cancel(c, self.writer(Stream::Other), id))
    }

    fn resolve(&self, id: TaskId, to: Resolution) -> Result<Change> {
        self.change(|c| changes::resolve(c, self.writer(Stream::Other), id, to))
    }

    fn patch(&self, id: TaskId, patch: &Patch, fits: &dyn Fn(&Task) -> bool) -> Result<Patched> {
        self.connections.change(|c| {
            let patched = patching::patch(c, id, patch, fits)?;
            if let Patched::Done(_, due) = &patched {
                self.tell_scheduled(c, [due])?;
            }
            Ok(patched)
        })
    }

    fn run(&self, id: TaskId) -> Result<Change> {
        self.change(|c| changes::run(c, id))
    }

    fn retry(&self, id: TaskId) -> Result<Change> {
        self.change(|c| changes::retry(c, self.writer(Stream::Other), id))
    }

    fn operate(&self, operation: Operation, ids: &[TaskId]) -> Result<Operated> {
        self.connections.change(|c| {
            let operated = operations::operate(c, self.writer(Stream::Other), operation, ids)?;
            self.tell_scheduled(c, &operated.due)?;
            Ok(operated)
        })
    }

    fn operates_on(&self) -> usize {
        operations::TASKS_MAX
    }

    fn counts(&self) -> Result<Vec<(State, u64)>> {
        self.connections.visit(counts::read)
    }

    fn oldest_due(&self) -> Result<Option<Timestamp>> {
        self.connections.visit(|c| {
            let now = generations::now(c)?;
            Ok(dispatch::scheduled(c, None, now, 1)?.first().map(|oldest| oldest.due_at))
        })
    }

    fn due_between(&self, from: Timestamp, to: Timestamp, most: u64) -> Result<u64> {
        self.connections.visit(|c| dispatch::due_between(c, (from, to), most))
    }

    fn dead_letters(&self) -> Result<u64> {
        self.connections.visit(dead_letters::count)
    }

    fn buried(&self, before: Option<i64>, limit: usize) -> Result<Vec<Buried>> {
        self.connections.visit(|c| dead_letters::page(c, before, limit_of(limit)))
    }

    fn buried_record(&self, id: i64) -> Result<Option<(Buried, Vec<u8>)>> {
        self.connections.visit(|c| dead_letters::whole(c, id))
    }

    fn mark_replayed(&self, id: i64) -> Result<bool> {
        self.connections.visit(|c| dead_letters::mark_replayed(c, id))
    }

    fn remove_after(&self, after: Option<Ended>, kept: Duration, limit: usize) -> Result<(Removed, Option<Ended>)> {
        // Not from the actors' pool: they never wait for it.
        self.connections.change(|c| retention::remove(c, self.writer(Stream::Retention), after, kept, limit_of(limit)))
    }
}
