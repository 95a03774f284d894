//! Calls under way and their outcomes: everything of a generation that must outlive its actors.
//!
//! From the start record on a call is here, on a runtime of its own. A set that dies takes no call with it: the calls
//! end under the old generation, their outcomes are written, and only then is that generation given up.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Message, Recipient};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::outcomes::Unsettled;
use super::parts::{Parts, blocking};
use super::reporting::report;
use super::timer::Timer;
use crate::domain::settlement::Judge;
use crate::domain::state::Step;
use crate::domain::{ClaimedTask, GenerationId, Outcome, Timestamp, Verdict};
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
    parts: Parts,
    generation: GenerationId,
    timer: Timer,
    /// One for each call that can be under way.
    slots: Semaphore,
    /// Claims of a start record that is being written or written.
    begun: AtomicU64,
    /// Those of them that have ended, or were not started after all.
    ended: AtomicU64,
    unsettled: Arc<Unsettled>,
    executor: Mutex<Option<Recipient<Freed>>>,
    /// The Executor was told of free slots and has not looked yet.
    told: AtomicBool,
}

impl Calls {
    /// None yet. Outcomes are written on the calls' runtime from now on.
    pub fn start(parts: Parts, generation: GenerationId, timer: Timer) -> Arc<Self> {
        let slots = usize::try_from(parts.config.slots).unwrap_or(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            unsettled: Unsettled::of(parts.clone(), generation),
            parts,
            generation,
            timer,
            slots: Semaphore::new(slots),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            executor: Mutex::default(),
            told: AtomicBool::new(false),
        })
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

    /// These claims are about to start: before their start record is written. They have not begun after all unless
    /// they are launched with what this returns, whatever becomes of the writing.
    pub fn begin(self: &Arc<Self>, claims: usize) -> Begun {
        self.begun.fetch_add(count(claims), Ordering::SeqCst);
        self.unsettled.add(claims);
        Begun { calls: Arc::clone(self), claims }
    }

    /// Notes an assignment; one without a task is removed with the next outcomes.
    pub fn assigned(&self, assignment: &Assignment) {
        self.unsettled.assigned(assignment);
    }

    /// Their start record is written: each is called at its instant.
    pub fn launch(self: &Arc<Self>, begun: Begun, tasks: Vec<ClaimedTask>, record: StartRecord) {
        begun.kept();
        self.unsettled.started(record, tasks.iter().map(|task| task.claim));
        for task in tasks {
            self.wait_for(task);
        }
    }

    /// Gives a claim back that was not started.
    pub fn give_back(&self, task: &ClaimedTask) {
        self.unsettled.add(1);
        let verdict = Verdict { step: Step::Return, due_at: Some(task.due_at), counts: false };
        self.unsettled.ended(Settlement { claim: task.claim, verdict, attempt: None });
    }

    /// Every outcome is written, and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.unsettled.is_empty()
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
            self.beat().await;
            tokio::time::sleep(PAUSE).await;
        }
        while !self.is_idle() {
            self.beat().await;
            self.unsettled.wait_empty(self.parts.config.heartbeat).await;
        }
        let (parts, generation) = (self.parts.clone(), self.generation);
        let gone = blocking(move || {
            // Where another set goes on, that one reports.
            if parts.status.is_stopping()
                && let Err(cause) = report(&parts, generation)
            {
                log::debug!("no last report of generation {generation}: {cause}");
            }
            parts.store.farewell(generation)
        });
        if let Err(cause) = gone.await {
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
        let now = self.parts.metrics.clock().mono();
        if at <= now {
            self.call(task);
            return;
        }
        if at.since(now) > STEPPED_BACK {
            self.not_sent(&task);
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
            self.not_sent(&task);
            return None;
        }
        *waiting = Some(task);
        Some(at)
    }

    fn not_sent(&self, task: &ClaimedTask) {
        let error = "the database's clock was set back before the call".to_owned();
        self.ended(task, self.parts.database_clock.now(), &Outcome::NotSent { error });
    }

    fn call(self: &Arc<Self>, task: ClaimedTask) {
        let calls = Arc::clone(self);
        self.parts.calls_runtime.spawn(async move {
            // A start record may name a few more than there are slots: they wait here. (It is never closed.)
            let slot = calls.slots.acquire().await;
            // The clock's estimate is a lower bound, and the call is never early: the later of both is the closer one.
            let started_at = calls.parts.database_clock.now().max(task.due_at);
            let metrics = &calls.parts.metrics;
            metrics.started(task.due_at, started_at);
            metrics.calls.inc();
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
        self.unsettled.ended(Settlement { claim: task.claim, verdict, attempt: Some(attempt) });
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
}

/// Claims that have begun, until their start record stands.
pub struct Begun {
    calls: Arc<Calls>,
    claims: usize,
}

impl Begun {
    fn kept(mut self) {
        self.claims = 0;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.claims > 0 {
            self.calls.free(self.claims);
            self.calls.unsettled.remove(self.claims);
        }
    }
}

/// An error's text as it is kept: a part of it may be the target's.
fn shortened(error: &str) -> String {
    crate::domain::invalid::legible(error, crate::domain::limits::ERROR_CHARS_MAX)
}

fn count(claims: usize) -> u64 {
    u64::try_from(claims).unwrap_or(u64::MAX)
}
