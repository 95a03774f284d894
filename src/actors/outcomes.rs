//! The one stream of a generation's outcomes: gathered, written in batches, repeated until they are in.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::calls::Calls;
use super::parts::blocking;
use crate::domain::{AttemptOutcome, Due};
use crate::store::{Done, Settled, Settlement};

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
pub struct Ended {
    /// The outcome.
    pub settlement: Option<Settlement>,
    /// Rows to remove with it.
    pub done: Done,
}

/// Writes outcomes until the generation is given up.
pub async fn write_outcomes(calls: Weak<Calls>, mut ended: UnboundedReceiver<Ended>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if batch.len() < FULL_ENOUGH {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH_MAX {
                let Ok(more) = ended.try_recv() else { break };
                batch.push(more);
            }
        }
        let Some(calls) = calls.upgrade() else { return };
        write(&calls, std::mem::take(&mut batch)).await;
    }
}

async fn write(calls: &Arc<Calls>, batch: Vec<Ended>) {
    let mut done = Done::default();
    let mut settlements = Vec::with_capacity(batch.len());
    for ended in batch {
        done.assignments.extend(ended.done.assignments);
        done.start_records.extend(ended.done.start_records);
        settlements.extend(ended.settlement);
    }
    let rows = calls.done(settlements.iter().map(|settlement| settlement.claim));
    done.assignments.extend(rows.assignments);
    done.start_records.extend(rows.start_records);
    // In the order of their keys, as every write of several rows.
    settlements.sort_by_key(|settlement| settlement.claim);
    let (settlements, done) = (Arc::new(settlements), Arc::new(done));
    loop {
        let (writer, batch, rows) = (Arc::clone(calls), Arc::clone(&settlements), Arc::clone(&done));
        match blocking(move || writer.parts.store.settle(writer.generation, &batch, &rows)).await {
            Ok(outcomes) => {
                report(calls, &settlements, &outcomes);
                calls.settled(settlements.len());
                return;
            }
            // Outcomes are bound to their claims, so that a repeat after an unclear end changes nothing.
            Err(cause) => {
                log::warn!("{} outcomes of generation {} wait: {cause}", settlements.len(), calls.generation);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn report(calls: &Calls, settlements: &[Settlement], outcomes: &[Settled]) {
    let metrics = &calls.parts.metrics;
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
        calls.parts.status.hint(again);
    }
    calls.parts.status.credited();
}

fn word(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Succeeded => "succeeded",
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::NotSent => "not_sent",
        AttemptOutcome::Ambiguous => "ambiguous",
    }
}
