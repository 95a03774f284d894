//! The one stream of a generation's outcomes: gathered, written in batches, repeated until they are in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::ledger::Ledger;
use super::parts::{Parts, blocking};
use crate::domain::{AttemptOutcome, Claim, Due, GenerationId};
use crate::store::{Assignment, Done, Settled, Settlement, StartRecord};

/// Most outcomes in one transaction.
const BATCH_MAX: usize = 1_000;
/// A batch this large is written at once.
const FULL_ENOUGH: usize = 256;
/// A smaller one waits this long for more: one commit for many.
const GATHER: Duration = Duration::from_millis(2);
/// Between tries of a write that must go through.
const PAUSE: Duration = Duration::from_millis(100);

/// Something to write: an outcome, or rows that are needed no more.
#[derive(Debug)]
struct Ended {
    settlement: Option<Settlement>,
    done: Done,
}

/// The claims of one generation that have begun and whose outcome is not written, and the rows they stand in.
pub struct Unsettled {
    parts: Parts,
    generation: GenerationId,
    claims: AtomicUsize,
    empty: Notify,
    ledger: Mutex<Ledger>,
    ended: UnboundedSender<Ended>,
}

impl Unsettled {
    /// None yet. Outcomes are written on the calls' runtime from now on.
    pub fn of(parts: Parts, generation: GenerationId) -> Arc<Self> {
        let (ended, arriving) = unbounded_channel();
        let runtime = parts.calls_runtime.clone();
        let unsettled = Arc::new(Self {
            parts,
            generation,
            claims: AtomicUsize::new(0),
            empty: Notify::new(),
            ledger: Mutex::default(),
            ended,
        });
        runtime.spawn(write_all(Arc::downgrade(&unsettled), arriving));
        unsettled
    }

    /// So many more.
    pub fn add(&self, claims: usize) {
        self.claims.fetch_add(claims, Ordering::SeqCst);
    }

    /// So many less.
    pub fn remove(&self, claims: usize) {
        if self.claims.fetch_sub(claims, Ordering::SeqCst) == claims {
            self.empty.notify_one();
        }
    }

    /// Every outcome is written.
    pub fn is_empty(&self) -> bool {
        self.claims.load(Ordering::SeqCst) == 0
    }

    /// Waits until every outcome is written, but not longer than this.
    pub async fn wait_empty(&self, longest: Duration) {
        let empty = self.empty.notified();
        if !self.is_empty() {
            let _waited = tokio::time::timeout(longest, empty).await;
        }
    }

    /// Notes where claims are assigned; a row without any is removed with the next outcomes.
    pub fn assigned(&self, assignment: &Assignment) {
        let done = self.ledger().assigned(assignment.seq, assignment.tasks.iter().map(|task| task.claim));
        if !done.assignments.is_empty() {
            self.send(Ended { settlement: None, done });
        }
    }

    /// Notes which start record claims stand in.
    pub fn started(&self, record: StartRecord, claims: impl IntoIterator<Item = Claim>) {
        self.ledger().started(record.seq, claims);
    }

    /// The outcome of one of them: written soon, and until it is in.
    pub fn ended(&self, settlement: Settlement) {
        self.send(Ended { settlement: Some(settlement), done: Done::default() });
    }

    fn send(&self, ended: Ended) {
        if self.ended.send(ended).is_err() {
            log::error!("generation {} has no writer of outcomes; its recovery will settle them", self.generation);
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes outcomes until the generation is given up.
async fn write_all(unsettled: Weak<Unsettled>, mut ended: UnboundedReceiver<Ended>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if batch.len() < FULL_ENOUGH {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH_MAX {
                let Ok(more) = ended.try_recv() else { break };
                batch.push(more);
            }
        }
        let Some(unsettled) = unsettled.upgrade() else { return };
        write(&unsettled, std::mem::take(&mut batch)).await;
    }
}

async fn write(unsettled: &Arc<Unsettled>, batch: Vec<Ended>) {
    let mut done = Done::default();
    let mut settlements = Vec::with_capacity(batch.len());
    for ended in batch {
        done.assignments.extend(ended.done.assignments);
        done.start_records.extend(ended.done.start_records);
        settlements.extend(ended.settlement);
    }
    let rows = unsettled.ledger().settled(settlements.iter().map(|settlement| settlement.claim));
    done.assignments.extend(rows.assignments);
    done.start_records.extend(rows.start_records);
    // In the order of their keys, as every write of several rows.
    settlements.sort_by_key(|settlement| settlement.claim);
    let (settlements, done) = (Arc::new(settlements), Arc::new(done));
    loop {
        let (writer, batch, rows) = (Arc::clone(unsettled), Arc::clone(&settlements), Arc::clone(&done));
        match blocking(move || writer.parts.store.settle(writer.generation, &batch, &rows)).await {
            Ok(outcomes) => {
                report(unsettled, &settlements, &outcomes);
                unsettled.remove(settlements.len());
                return;
            }
            // Outcomes are bound to their claims, so that a repeat after an unclear end changes nothing.
            Err(cause) => {
                log::warn!("{} outcomes of generation {} wait: {cause}", settlements.len(), unsettled.generation);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn report(unsettled: &Unsettled, settlements: &[Settlement], outcomes: &[Settled]) {
    let metrics = &unsettled.parts.metrics;
    let mut again: Vec<Due> = Vec::new();
    for (settlement, outcome) in settlements.iter().zip(outcomes) {
        if let Some(attempt) = &settlement.attempt {
            metrics.outcomes.with_label_values(&[word(attempt.outcome)]).inc();
        }
        match outcome {
            Settled::Applied(due) => again.extend(due),
            Settled::Stale => log::warn!(
                "a late outcome of task {} claim {} changed nothing: it was settled before",
                settlement.claim.id,
                settlement.claim.claim_no
            ),
        }
    }
    if !again.is_empty() {
        unsettled.parts.status.hint(again);
    }
    unsettled.parts.status.credited();
}

fn word(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Succeeded => "succeeded",
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::NotSent => "not_sent",
        AttemptOutcome::Ambiguous => "ambiguous",
    }
}
