//! Calls under way and their outcomes: everything of a generation that must outlive its actors.
//!
//! From the start record on a call is here, on a runtime of its own. A set that dies takes no call with it: the calls
//! end under the old generation, their outcomes are written, and only then is that generation given up.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Message, Recipient};
use futures_util::FutureExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};

use super::ledger::Ledger;
use super::outcomes::{Ended, write_outcomes};
use super::parts::{Parts, blocking};
use super::timer::Timer;
use crate::domain::settlement::Judge;
use crate::domain::state::Step;
use crate::domain::{Claim, ClaimedTask, GenerationId, Outcome, Timestamp, Verdict};
use crate::store::{Assignment, Beat, EndedAttempt, Settlement, StartRecord};

/// Slots are free again. A hint.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Freed;

/// A started claim whose instant lies further ahead than this was moved away by the database's clock: it is given back.
const STEPPED_BACK: Duration = Duration::from_secs(1);
/// Between tries of a write that must go through.
const PAUSE: Duration = Duration::from_millis(100);

/// The calls of one generation.
pub struct Calls {
    pub(super) parts: Parts,
    pub(super) generation: GenerationId,
    timer: Timer,
    /// One for each call that can be under way.
    slots: Semaphore,
    /// Claims of a start record that is being written or written.
    begun: AtomicU64,
    /// Those of them that have ended, or were not started after all.
    ended: AtomicU64,
    /// Claims that have begun and whose outcome is not written.
    open: AtomicUsize,
    pub(super) idle: Notify,
    outcomes: UnboundedSender<Ended>,
    ledger: Mutex<Ledger>,
    executor: Mutex<Option<Recipient<Freed>>>,
    /// The Executor was told of free slots and has not looked yet.
    told: AtomicBool,
}

impl Calls {
    /// None yet. Outcomes are written on the calls' runtime from now on.
    pub fn start(parts: Parts, generation: GenerationId, timer: Timer) -> Arc<Self> {
        let (outcomes, ended): (_, UnboundedReceiver<Ended>) = unbounded_channel();
        let runtime = parts.calls_runtime.clone();
        let slots = usize::try_from(parts.config.slots).unwrap_or(Semaphore::MAX_PERMITS);
        let calls = Arc::new(Self {
            parts,
            generation,
            timer,
            slots: Semaphore::new(slots),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            idle: Notify::new(),
            outcomes,
            ledger: Mutex::default(),
            executor: Mutex::default(),
            told: AtomicBool::new(false),
        });
        runtime.spawn(write_outcomes(Arc::downgrade(&calls), ended));
        calls
    }

    /// Who is told of free slots.
    pub fn tell(&self, executor: Recipient<Freed>) {
        *self.executor.lock().unwrap_or_else(PoisonError::into_inner) = Some(executor);
    }

    /// The Executor looks: it wants to be told again.
    pub fn looked(&self) {
        self.told.store(false, Ordering::SeqCst);
    }

    /// Slots without a call.
    pub fn free_slots(&self) -> u32 {
        u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX)
    }

    /// What the Executor goes by to start more: how many claims have begun so far, and how many of them have ended.
    pub fn progress(&self) -> (u64, u64) {
        // The ended ones first: what ends in between must not look like one that never began.
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst), ended)
    }

    /// These claims are about to start: before their start record is written.
    pub fn begin(&self, claims: usize) {
        self.begun.fetch_add(count(claims), Ordering::SeqCst);
        self.open.fetch_add(claims, Ordering::SeqCst);
    }

    /// Their start record was refused or failed.
    pub fn not_begun(&self, claims: usize) {
        self.free(claims);
        self.settled(claims);
    }

    /// Notes an assignment; one without a task is removed with the next outcomes.
    pub fn assigned(&self, assignment: &Assignment) {
        let done = self.ledger().assigned(assignment.seq, assignment.tasks.iter().map(|task| task.claim));
        if !done.assignments.is_empty() {
            self.send(Ended { settlement: None, done });
        }
    }

    /// Their start record is written: each is called at its instant.
    pub fn launch(self: &Arc<Self>, tasks: Vec<ClaimedTask>, record: StartRecord) {
        self.ledger().started(record.seq, tasks.iter().map(|task| task.claim));
        for task in tasks {
            self.wait_for(task);
        }
    }

    /// Gives a claim back that was not started.
    pub fn give_back(&self, task: &ClaimedTask) {
        self.open.fetch_add(1, Ordering::SeqCst);
        let verdict = Verdict { step: Step::Return, due_at: Some(task.due_at), counts: false };
        self.settle(Settlement { claim: task.claim, verdict, attempt: None });
    }

    /// Every outcome is written, and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.open.load(Ordering::SeqCst) == 0
    }

    /// Ends a generation whose actors are gone: it starts nothing more, what was not started goes back, what is under
    /// way ends. It keeps its heartbeat until then, so that nobody takes its calls for lost.
    pub async fn retire(self: Arc<Self>) {
        loop {
            let (store, generation) = (Arc::clone(&self.parts.store), self.generation);
            match blocking(move || store.drain(generation)).await {
                Ok(back) => break self.parts.status.hint(back),
                Err(cause) => log::warn!("generation {generation} cannot give its claims back yet: {cause}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        while !self.is_idle() {
            self.beat().await;
            let idle = self.idle.notified();
            if !self.is_idle() {
                let _waited = tokio::time::timeout(self.parts.config.heartbeat, idle).await;
            }
        }
        let (store, generation) = (Arc::clone(&self.parts.store), self.generation);
        if let Err(cause) = blocking(move || store.farewell(generation)).await {
            log::warn!("generation {generation} could not say farewell: {cause}");
        }
    }

    async fn beat(&self) {
        let (store, generation) = (Arc::clone(&self.parts.store), self.generation);
        if let Err(cause) = blocking(move || store.beat(generation, Beat::default())).await {
            log::warn!("no heartbeat of the draining generation {generation}: {cause}");
        }
    }

    fn wait_for(self: &Arc<Self>, task: ClaimedTask) {
        let at = self.parts.database_clock.fire_at(task.due_at);
        if at <= self.parts.metrics.clock().mono() {
            self.call(task);
            return;
        }
        let (calls, mut task) = (Arc::clone(self), Some(task));
        self.timer.at(at, Box::new(move || calls.fire(&mut task)));
    }

    /// On the timer's thread. The mapping may have moved since: never early, and not for long in a slot either.
    fn fire(self: &Arc<Self>, waiting: &mut Option<ClaimedTask>) -> Option<crate::domain::Mono> {
        let task = waiting.take()?;
        let (at, now) = (self.parts.database_clock.fire_at(task.due_at), self.parts.metrics.clock().mono());
        if at <= now {
            self.call(task);
            return None;
        }
        if at.since(now) > STEPPED_BACK {
            let error = "the database's clock was set back before the call".to_owned();
            self.ended(&task, self.parts.database_clock.now(), &Outcome::NotSent { error });
            return None;
        }
        *waiting = Some(task);
        Some(at)
    }

    fn call(self: &Arc<Self>, task: ClaimedTask) {
        let calls = Arc::clone(self);
        self.parts.calls_runtime.spawn(async move {
            // A start record may name a few more than there are slots: they wait here. (It is never closed.)
            let slot = calls.slots.acquire().await;
            // The clock's estimate is a lower bound, and the call is never early: the later of both is the closer one.
            let started_at = calls.parts.database_clock.now().max(task.due_at);
            let metrics = &calls.parts.metrics;
            metrics.starts.inc();
            metrics.calls.inc();
            metrics.lateness.observe(started_at.since(task.due_at).as_secs_f64());
            let timer = metrics.execution.start_timer();
            let outcome = AssertUnwindSafe(calls.parts.target.call(&task)).catch_unwind().await;
            timer.observe_duration();
            metrics.calls.dec();
            drop(slot);
            let broken = |_| Outcome::Ambiguous { error: "the call broke down inside the scheduler".to_owned() };
            calls.ended(&task, started_at, &outcome.unwrap_or_else(broken));
        });
    }

    fn ended(&self, task: &ClaimedTask, started_at: Timestamp, outcome: &Outcome) {
        self.free(1);
        let now = self.parts.database_clock.now();
        let judge = Judge::of(&task.spec, task.attempt_no(), task.due_at);
        let verdict = judge.verdict(outcome, now, rand::random());
        if let Some(error) = outcome.error() {
            log::info!(
                "task {} attempt {} in epoch {}: {error}; next: {:?}",
                task.claim.id,
                task.attempt_no(),
                task.epoch,
                verdict.step
            );
        }
        let attempt = EndedAttempt {
            started_at,
            finished_at: now.max(started_at),
            outcome: outcome.recorded(),
            error: outcome.error().map(shortened),
        };
        self.settle(Settlement { claim: task.claim, verdict, attempt: Some(attempt) });
    }

    fn settle(&self, settlement: Settlement) {
        self.send(Ended { settlement: Some(settlement), done: crate::store::Done::default() });
    }

    fn send(&self, ended: Ended) {
        if self.outcomes.send(ended).is_err() {
            log::error!("generation {} has no writer of outcomes; its recovery will settle them", self.generation);
        }
    }

    /// These leave room for others: the Executor is told, once until it looks.
    fn free(&self, claims: usize) {
        self.ended.fetch_add(count(claims), Ordering::SeqCst);
        if !self.told.swap(true, Ordering::SeqCst)
            && let Some(executor) = &*self.executor.lock().unwrap_or_else(PoisonError::into_inner)
            && executor.try_send(Freed).is_err()
        {
            log::debug!("the executor could not be told of free slots; it looks for them by itself");
        }
    }

    /// Outcomes are written.
    pub(super) fn settled(&self, claims: usize) {
        if self.open.fetch_sub(claims, Ordering::SeqCst) == claims {
            self.idle.notify_one();
        }
    }

    /// Rows that the settling of these claims makes needless.
    pub(super) fn done(&self, claims: impl IntoIterator<Item = Claim>) -> crate::store::Done {
        self.ledger().settled(claims)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error's text as it is kept.
fn shortened(error: &str) -> String {
    error.chars().take(crate::domain::limits::ERROR_CHARS_MAX).collect()
}

fn count(claims: usize) -> u64 {
    u64::try_from(claims).unwrap_or(u64::MAX)
}
