//! One pass of the master: read ahead, call off, claim. It runs on a blocking thread and is all the Dispatcher's work.

use std::collections::HashSet;
use std::time::Duration;

use super::parts::Parts;
use super::pauses::KnownPauses;
use crate::domain::credit::{CreditMeter, shares};
use crate::domain::liveness::Liveness;
use crate::domain::look_ahead::{Key, LookAhead};
use crate::domain::sweep::Sweep;
use crate::domain::time::Timestamp;
use crate::domain::{Due, GenerationId, TaskId};
use crate::store::{Claimed, Fence, Order, Result, Ruled};

/// How far ahead the look-ahead reads.
const WINDOW: Duration = Duration::from_secs(5);
/// It reads on when less than this is left of it.
const READ_ON: Duration = Duration::from_secs(3);
/// Most tasks in memory.
const CAPACITY: usize = 20_000;
/// Most rows of one read.
const READ_MAX: usize = 2_000;
/// Most reads of one pass.
const READS_MAX: usize = 4;
/// Most claims in one transaction.
const CLAIM_MAX: usize = 1_000;
/// Most rows of a sweep: it begins with the oldest, so what it does not reach is reached when those are claimed.
const SWEEP_MAX: usize = 500;
/// A generation whose heartbeat counter has stood still this long gets nothing.
const SILENT: Duration = Duration::from_millis(1_500);
/// Behind every other id of an instant.
const LAST_ID: TaskId = TaskId(uuid::Uuid::max());
/// Without credit: the Executor says when there is some, and this is how long to wait for its word.
const CREDIT_WAIT: Duration = Duration::from_millis(20);

/// What the Dispatcher owns: a picture of the near future, and what it knows of the executors.
pub struct Dispatch {
    parts: Parts,
    ahead: LookAhead,
    meter: CreditMeter,
    liveness: Liveness,
    sweep: Sweep,
    pauses: KnownPauses,
}

/// How a pass ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// When the next pass is due, from now.
    pub next: Duration,
    /// Claims were made for these generations.
    pub assigned: Vec<GenerationId>,
    /// The fence has refused: this node is not master any more.
    pub deposed: bool,
    /// Something is ripe and waits for credit.
    pub starved: bool,
}

impl Dispatch {
    /// With nothing in memory yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            ahead: LookAhead::new(CAPACITY),
            meter: CreditMeter::default(),
            liveness: Liveness::default(),
            sweep: Sweep::default(),
            pauses: KnownPauses::default(),
        }
    }

    /// Forgets everything: another node may have changed it.
    pub fn clear(&mut self) {
        self.ahead.clear();
        self.sweep.clear();
        self.pauses = KnownPauses::default();
        self.parts.metrics.pauses.set(0);
    }

    /// Takes in hints.
    pub fn hint(&mut self, tasks: &[Due]) {
        self.ahead.insert(tasks);
    }

    /// Other processes have scheduled tasks from `first` on.
    pub fn wake(&mut self, first: Timestamp) {
        self.ahead.doubt(first);
    }

    /// One pass under `fence`.
    pub fn pass(&mut self, fence: Fence) -> Result<Passed> {
        let now = self.parts.database_clock.now();
        self.pauses.look(&self.parts)?;
        self.read_on(now)?;
        self.sweep(now)?;
        let credits = self.credits(fence.generation)?;
        let total = credits.iter().map(|(_, credit)| *credit).fold(0, u64::saturating_add);
        let limit = usize::try_from(total).unwrap_or(usize::MAX).min(CLAIM_MAX);
        let mut passed = Passed { next: Duration::ZERO, assigned: Vec::new(), deposed: false, starved: false };
        let until = now.plus(self.parts.config.claim_lead);
        let (batch, held) = if self.pauses.may_hold() {
            self.take_free(fence, until, limit, &mut passed)?
        } else {
            (self.ahead.take_due(until, limit), 0)
        };
        let fitting = self.call_off(fence, &batch, now, &mut passed)?;
        if !fitting.is_empty() {
            self.claim(fence, &fitting, &credits, &mut passed)?;
        }
        // As long as all that is ripe is parked, older ones may be among what is next: they would be let go out of turn.
        if held < self.parts.store.parks() {
            self.let_go(fence, &mut passed)?;
        }
        passed.next = self.next(total > 0 || held > 0);
        passed.starved = self.ahead.has_ready();
        Ok(passed)
    }

    /// Takes out what is due and not paused, at most `limit`, and how many were that are paused. They are parked with and
    /// without credit: nothing else gets past it in memory.
    fn take_free(
        &mut self,
        fence: Fence,
        until: Timestamp,
        limit: usize,
        passed: &mut Passed,
    ) -> Result<(Vec<Due>, usize)> {
        let mut batch = self.ahead.take_due(until, self.parts.store.parks());
        let parked = self.pauses.park(&self.parts, fence, &batch).inspect_err(|_| self.ahead.put_back(&batch))?;
        let Some(held) = self.ruled(parked, &batch, passed) else { return Ok((Vec::new(), 0)) };
        let held: HashSet<TaskId> = held.into_iter().collect();
        batch.retain(|due| !held.contains(&due.id));
        let rest = batch.split_off(limit.min(batch.len()));
        self.ahead.put_back(&rest);
        // They wait for credit, not for their instant.
        self.ahead.ripen(until);
        self.pauses.put_back(&rest);
        Ok((batch, held.len()))
    }

    /// Lets some go that were paused, if it is time: they are due, so that they are claimed by the next pass.
    fn let_go(&mut self, fence: Fence, passed: &mut Passed) -> Result<()> {
        let Some(step) = self.pauses.turn(self.parts.metrics.clock().mono()) else { return Ok(()) };
        // An error may have come after the commit: they are found by a sweep from the beginning.
        let let_go = self.parts.store.let_go(fence, self.pauses.count(), &step);
        let let_go = let_go.inspect_err(|_| {
            self.sweep.clear();
            self.pauses.lost_track();
        })?;
        if let Some(gone) = self.ruled(let_go, &[], passed) {
            self.pauses.let_go(step.pause, &gone, self.parts.metrics.clock().mono());
            self.ahead.insert(&gone.tasks);
        }
        Ok(())
    }

    /// What was done with a batch, if it was not refused.
    fn ruled<T>(&mut self, ruled: Ruled<T>, batch: &[Due], passed: &mut Passed) -> Option<T> {
        match ruled {
            Ruled::Done(done) => return Some(done),
            Ruled::Outdated => self.outdated(batch),
            Ruled::Fenced => self.deposed(passed),
        }
        None
    }

    /// Somebody has paused or resumed: the same again, as soon as the pauses are read anew.
    fn outdated(&mut self, batch: &[Due]) {
        self.pauses.forget();
        self.ahead.put_back(batch);
    }

    /// Whatever another master has done meanwhile, what is in memory is no picture of it.
    fn deposed(&mut self, passed: &mut Passed) {
        self.clear();
        passed.deposed = true;
    }

    fn read_on(&mut self, now: Timestamp) -> Result<()> {
        for _ in 0..READS_MAX {
            if self.is_read(now) {
                break;
            }
            let until = now.plus(WINDOW);
            let read = self.parts.store.scheduled(self.ahead.horizon(), until, READ_MAX)?;
            // A short read has seen everything until `until`; a full one only until its last row.
            let end: Key = (until, LAST_ID);
            let reached = read.last().filter(|_| read.len() >= READ_MAX).map_or(end, Due::key);
            self.ahead.extend(&read, reached);
        }
        Ok(())
    }

    /// It has read far enough, or has no room for more.
    fn is_read(&self, now: Timestamp) -> bool {
        self.ahead.horizon().is_some_and(|(at, _)| at >= now.plus(READ_ON)) || !self.ahead.has_room()
    }

    fn sweep(&mut self, now: Timestamp) -> Result<()> {
        let mono = self.parts.metrics.clock().mono();
        let Some((horizon, _)) = self.ahead.horizon().filter(|_| self.sweep.wait(mono).is_zero()) else {
            return Ok(());
        };
        let after = self.sweep.begin(mono);
        let oldest = self.parts.store.scheduled(after, horizon, SWEEP_MAX)?;
        let first = oldest.first().map(|first| first.due_at);
        self.sweep.found(first, now);
        // More than a sweep takes, and no hint has told of it: the index is read again from there.
        if let Some(first) = first.filter(|_| oldest.len() >= SWEEP_MAX && !self.ahead.knows(&oldest)) {
            self.ahead.doubt(first);
        }
        self.ahead.insert(&oldest);
        Ok(())
    }

    /// A row may be all that is left of a generation (after a take-over, say): whoever else gets work was seen to live.
    fn credits(&mut self, own: GenerationId) -> Result<Vec<(GenerationId, u64)>> {
        let loads = self.parts.store.loads()?;
        let now = self.parts.metrics.clock().mono();
        let counters: Vec<_> = loads.iter().map(|load| (load.generation, load.counter)).collect();
        self.liveness.observe(&counters, now);
        let living: Vec<_> = loads.iter().map(|load| load.generation).collect();
        self.meter.keep(&living);
        let buffer = self.parts.config.claim_buffer;
        Ok(loads
            .iter()
            .filter(|load| load.generation == own || self.liveness.is_alive(load.generation, now, SILENT))
            .map(|load| (load.generation, self.meter.credit(load.generation, load.load, buffer, now)))
            .collect())
    }

    /// Calls off what is overdue; the rest of the batch, or nothing if that was refused.
    fn call_off(&mut self, fence: Fence, batch: &[Due], now: Timestamp, passed: &mut Passed) -> Result<Vec<Due>> {
        let (overdue, rest): (Vec<Due>, Vec<Due>) = batch.iter().partition(|due| due.misfire.is_over(due.due_at, now));
        if overdue.is_empty() {
            return Ok(rest);
        }
        let expired = self.parts.store.expire_under(fence, self.pauses.count(), &overdue);
        let expired = expired.inspect_err(|_| self.ahead.put_back(batch))?;
        let Some(expired) = self.ruled(expired, batch, passed) else { return Ok(Vec::new()) };
        for id in expired {
            log::info!("task {id} has expired: it was due longer ago than its misfire policy allows");
        }
        Ok(rest)
    }

    fn claim(
        &mut self,
        fence: Fence,
        batch: &[Due],
        credits: &[(GenerationId, u64)],
        passed: &mut Passed,
    ) -> Result<()> {
        let generations = shares(credits, batch.len());
        let orders: Vec<Order> =
            batch.iter().zip(generations).map(|(due, generation)| Order { due: *due, generation }).collect();
        let timer = self.parts.metrics.claim.start_timer();
        // An error may have come after the commit: what was claimed is then refused the next time, being dispatched.
        let claimed = self.parts.store.claim_under(fence, self.pauses.count(), &orders);
        let claimed = claimed.inspect_err(|_| self.ahead.put_back(batch))?;
        timer.observe_duration();
        match claimed {
            Claimed::Fenced => self.deposed(passed),
            Claimed::Outdated => self.outdated(batch),
            Claimed::Done { claims, refused } => {
                let back: Vec<Due> =
                    orders.iter().filter(|order| refused.contains(&order.generation)).map(|order| order.due).collect();
                self.ahead.put_back(&back);
                let made: usize = claims.iter().map(|(_, claims)| claims.len()).sum();
                self.parts.metrics.claims.inc_by(u64::try_from(made).unwrap_or(0));
                passed.assigned = claims.into_iter().map(|(generation, _)| generation).collect();
            }
        }
        Ok(())
    }

    /// When there is something to do again.
    fn next(&self, has_credit: bool) -> Duration {
        let now = self.parts.metrics.clock().mono();
        let sweep = self.sweep.wait(now);
        let sweep = self.pauses.wait(now).map_or(sweep, |wait| wait.min(sweep));
        if self.pauses.is_unknown() {
            return Duration::ZERO;
        }
        if self.ahead.has_ready() {
            return if has_credit { Duration::ZERO } else { CREDIT_WAIT.min(sweep) };
        }
        if !self.is_read(self.parts.database_clock.now()) {
            return Duration::ZERO;
        }
        let lead = self.parts.config.claim_lead;
        let ripe = self.ahead.next_due().map(|due_at| {
            let at = self.parts.database_clock.fire_at(due_at).minus(lead);
            // A fifth of the lead is waited for more to claim with it: one commit for many.
            at.since(now).max(lead / 5)
        });
        ripe.map_or(sweep, |ripe| ripe.min(sweep))
    }
}
