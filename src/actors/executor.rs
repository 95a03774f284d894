//! Executor: starts this generation's claims at their instants, as many at once as there are slots.
//!
//! In: word of new claims and of free slots (hints), its own tick. Out: start records; calls. Owns: the claims that
//! wait for their instant or a slot. Never: calls without a start record.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::calls::Freed;
use super::parts::{Parts, blocking};
use super::set::Set;
use super::status::Assigned;
use super::vital::{Vital, vital_signs};
use crate::domain::look_ahead::LookAhead;
use crate::domain::recent::Recent;
use crate::domain::time::{Mono, Timestamp};
use crate::domain::{ClaimedTask, Due, TaskId};
use crate::metrics::ActorName;
use crate::store::{Assignment, Result};

/// A start record is written this long before the first of its instants. In a backlog it may also name as many claims
/// more than there are slots as have ended within this time: they get theirs within as long again.
const START_LEAD: Duration = Duration::from_millis(20);
/// After a start record this long is waited for more claims to stand in the next, unless one has less than the rest of
/// the lead until its instant.
const GATHER: Duration = Duration::from_millis(10);
/// Looks for claims and slots this often by itself, in case a hint was lost.
const LOOK: Duration = Duration::from_secs(1);
/// After a failed write.
const PAUSE: Duration = Duration::from_millis(100);
/// Most assignments of one read.
const READ_MAX: usize = 8;
/// A claim this far ahead was moved away by the database's clock: it is given back.
const STEPPED_BACK: Duration = Duration::from_secs(1);

/// See the module.
pub struct Executor {
    parts: Parts,
    set: Set,
    vital: Vital,
    /// The order in which the waiting claims are to start.
    order: LookAhead,
    tasks: HashMap<TaskId, ClaimedTask>,
    /// The last assignment that was read.
    after: i64,
    reading: bool,
    read_again: bool,
    starting: bool,
    /// When the last start record was begun.
    recorded: Option<Mono>,
    ended: Recent,
    timer: Option<SpawnHandle>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Look;

#[derive(Message)]
#[rtype(result = "()")]
struct Start;

/// How a start pass ended.
enum Started {
    /// They are called at their instants.
    Launched,
    /// The generation may start nothing more; what it holds is given back by whoever said so.
    Refused,
    /// Nothing was written, as far as is known.
    Failed(Vec<ClaimedTask>, crate::store::StoreError),
}

impl Executor {
    /// For this set.
    pub fn new(parts: Parts, set: Set) -> Self {
        Self {
            vital: Vital::new(ActorName::Executor, &parts, &set),
            parts,
            set,
            order: LookAhead::new(usize::MAX),
            tasks: HashMap::new(),
            after: 0,
            reading: false,
            read_again: false,
            starting: false,
            recorded: None,
            ended: Recent::over(START_LEAD),
            timer: None,
        }
    }

    fn read(&mut self, ctx: &mut Context<Self>) {
        if self.reading {
            self.read_again = true;
            return;
        }
        (self.reading, self.read_again) = (true, false);
        let begun = self.vital.begin();
        let (store, generation, after) = (Arc::clone(&self.parts.store), self.set.generation, self.after);
        let read = blocking(move || store.assigned(generation, after, READ_MAX));
        ctx.spawn(read.into_actor(self).map(move |result, actor, ctx| {
            drop(begun);
            actor.reading = false;
            actor.take_in(result, ctx);
        }));
    }

    fn take_in(&mut self, result: Result<Vec<Assignment>>, ctx: &mut Context<Self>) {
        match result {
            Ok(assignments) => {
                self.read_again |= assignments.len() == READ_MAX;
                for assignment in assignments {
                    self.after = assignment.seq;
                    self.set.calls.assigned(&assignment);
                    for task in assignment.tasks {
                        self.hold(task);
                    }
                }
                if self.read_again {
                    self.read(ctx);
                }
                self.start(ctx);
            }
            // The next look reads them: `after` has not moved.
            Err(cause) => self.vital.failed("its claims could not be read", &cause),
        }
    }

    fn hold(&mut self, task: ClaimedTask) {
        let due =
            Due { id: task.claim.id, due_at: task.due_at, priority: task.spec.priority, misfire: task.spec.misfire };
        self.order.put_back(&[due]);
        self.tasks.insert(due.id, task);
    }

    /// Starts what is due within the lead, as far as slots are free.
    fn start(&mut self, ctx: &mut Context<Self>) {
        if self.starting {
            return;
        }
        self.set.calls.looked();
        let now = self.parts.database_clock.now();
        if self.gathers(now) {
            self.rest(now, ctx);
            return;
        }
        let limit = self.room();
        let due = self.order.take_due(now.plus(START_LEAD), limit);
        let tasks: Vec<ClaimedTask> = due.iter().filter_map(|due| self.tasks.remove(&due.id)).collect();
        let (late, tasks): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.spec.misfire.is_over(task.due_at, now));
        // The master calls off what is too late; a claim of it goes back first.
        for task in &late {
            self.set.calls.give_back(task);
        }
        if tasks.is_empty() {
            // What was too late left its room to others.
            if late.is_empty() {
                self.rest(now, ctx);
            } else {
                ctx.notify(Start);
            }
            return;
        }
        self.starting = true;
        self.recorded = Some(self.parts.metrics.clock().mono());
        let begun = self.vital.begin();
        ctx.spawn(self.record(tasks).into_actor(self).map(move |started, actor, ctx| {
            drop(begun);
            actor.started_some(started, ctx);
        }));
    }

    /// More claims may come to stand in the next start record: one was begun just now, and nobody has to hurry. (Every call
    /// that ends asks for a start.)
    fn gathers(&self, now: Timestamp) -> bool {
        let calm = |due_at| !hurries_in(due_at, now).is_zero();
        !self.order.has_ready() && self.order.next_due().is_some_and(calm) && !self.gathering().is_zero()
    }

    /// How much longer is waited for more claims.
    fn gathering(&self) -> Duration {
        self.recorded.map_or(Duration::ZERO, |at| at.plus(GATHER).since(self.parts.metrics.clock().mono()))
    }

    /// How many more may start: as many as get a slot at once, or soon by the speed of the last.
    fn room(&mut self) -> usize {
        let (begun, ended) = self.set.calls.progress();
        let soon = self.ended.growth(ended, self.parts.metrics.clock().mono());
        let most = u64::from(self.parts.config.slots).saturating_add(soon);
        usize::try_from(most.saturating_sub(begun.saturating_sub(ended))).unwrap_or(usize::MAX)
    }

    /// Writes the start record and launches the calls on the blocking thread: once it is committed, they are made even
    /// if this actor does not live to see it.
    fn record(&self, tasks: Vec<ClaimedTask>) -> impl Future<Output = Result<Started>> + use<> {
        let (store, calls, generation) =
            (Arc::clone(&self.parts.store), Arc::clone(&self.set.calls), self.set.generation);
        let begun = calls.begin(tasks.len());
        blocking(move || {
            let claims: Vec<_> = tasks.iter().map(|task| task.claim).collect();
            Ok(match store.start(generation, &claims) {
                Ok(Some(record)) => {
                    calls.launch(begun, tasks, record);
                    Started::Launched
                }
                Ok(None) => Started::Refused,
                Err(cause) => Started::Failed(tasks, cause),
            })
        })
    }

    fn started_some(&mut self, started: Result<Started>, ctx: &mut Context<Self>) {
        self.starting = false;
        match started {
            Ok(Started::Launched) => self.start(ctx),
            Ok(Started::Refused) => {
                log::info!("generation {} starts nothing more", self.set.generation);
                self.tasks.clear();
                self.order.clear();
            }
            Ok(Started::Failed(tasks, cause)) => {
                self.vital.failed("a start record was not written and is tried again", &cause);
                for task in tasks {
                    self.hold(task);
                }
                self.wake_in(PAUSE, ctx);
            }
            // The write has panicked: what it held is recovered with this generation.
            Err(cause) => {
                self.vital.failed("a start broke down", &cause);
                ctx.stop();
            }
        }
    }

    /// When the next claim is to start. A full house waits for `Freed`.
    fn rest(&mut self, now: Timestamp, ctx: &mut Context<Self>) {
        if self.order.has_ready() {
            return;
        }
        if let Some(due_at) = self.order.next_due() {
            let ahead = due_at.since(now.plus(START_LEAD));
            self.wake_in(ahead.max(self.gathering().min(hurries_in(due_at, now))), ctx);
        }
    }

    fn wake_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = Some(ctx.notify_later(Start, wait));
    }

    /// What lies far ahead, since the database's clock was set back, is given back, so that it does not wait here.
    fn give_back_moved(&mut self) {
        let latest = self.parts.database_clock.now().plus(STEPPED_BACK);
        let moved: Vec<TaskId> = self.tasks.values().filter(|task| task.due_at > latest).map(|t| t.claim.id).collect();
        for id in moved {
            self.order.cancel(id);
            if let Some(task) = self.tasks.remove(&id) {
                self.set.calls.give_back(&task);
            }
        }
    }
}

/// When a claim cannot wait for others any longer.
fn hurries_in(due_at: Timestamp, now: Timestamp) -> Duration {
    due_at.since(now.plus(START_LEAD.saturating_sub(GATHER)))
}

impl Actor for Executor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.set.calls.tell(ctx.address().recipient());
        ctx.notify(Look);
    }
}

impl Handler<Look> for Executor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.give_back_moved();
        self.read(ctx);
        ctx.notify_later(Look, LOOK);
    }
}

impl Handler<Assigned> for Executor {
    type Result = ();

    fn handle(&mut self, _: Assigned, ctx: &mut Self::Context) {
        self.read(ctx);
    }
}

impl Handler<Freed> for Executor {
    type Result = ();

    fn handle(&mut self, _: Freed, ctx: &mut Self::Context) {
        self.start(ctx);
    }
}

impl Handler<Start> for Executor {
    type Result = ();

    fn handle(&mut self, _: Start, ctx: &mut Self::Context) {
        self.start(ctx);
    }
}

vital_signs!(Executor);
