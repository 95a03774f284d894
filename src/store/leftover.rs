//! How the claims of a generation that is gone are settled: the rule is the same in every database.

use crate::domain::settlement::Judge;
use crate::domain::state::Step;
use crate::domain::{AttemptOutcome, ClaimedTask, Outcome, Timestamp, Verdict};
use crate::store::{EndedAttempt, Settlement};

/// Never started: back to its own instant, no attempt counted.
pub fn returned(task: &ClaimedTask) -> Settlement {
    let verdict = Verdict { step: Step::Return, due_at: Some(task.due_at), counts: false };
    Settlement { claim: task.claim, verdict, attempt: None }
}

/// Started, and nobody can know how far it came: its `delivery` decides.
pub fn lost(task: &ClaimedTask, started_at: Timestamp, now: Timestamp) -> Settlement {
    let error = "its executor died after the start record and before the outcome".to_owned();
    let outcome = Outcome::Ambiguous { error: error.clone() };
    // No chance at hand in a transaction, and none needed: what one crash spread out comes back by its own start.
    let verdict = Judge::of(&task.spec, task.attempt_no(), task.due_at).verdict(&outcome, now, 0.0);
    let attempt = EndedAttempt { started_at, finished_at: now, outcome: AttemptOutcome::Ambiguous, error: Some(error) };
    Settlement { claim: task.claim, verdict, attempt: Some(attempt) }
}
