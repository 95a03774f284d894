//! Outcomes that come when the task was recovered already.

use std::time::Duration;

use task_scheduler::domain::{AttemptOutcome, Claim, State};
use task_scheduler::store::{Change, Fence, Recovered, Resolution, Settled};

use crate::fixtures::{BASE, Fixture, at_least_once, failed, id, lost, not_sent, one, retried, succeeded, task};

/// A started task whose executor was declared dead, though it lives.
fn recovered_as_unknown(fixture: &Fixture) -> (Fence, Claim) {
    let executor = fixture.master();
    let claim = fixture.started(executor, task(1));
    let fence = fixture.reign(fixture.generation(2));
    let recovered = fixture.store().recover(fence, executor.generation).unwrap();
    assert_eq!(recovered, Some(Recovered { scheduled: vec![], unknown: vec![claim.id] }));
    assert_eq!(fixture.counts(), [(State::Unknown, 1)]);
    (executor, claim)
}

pub fn its_own_late_success_settles_an_unknown(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    assert_eq!(fixture.settle(executor.generation, &succeeded(claim)), Settled::Applied(None));
    let ended = fixture.find(id(1));
    assert_eq!((ended.state, ended.attempt), (State::Succeeded, 1));
    assert_eq!(ended.finished_at, Some(BASE.plus(Duration::from_millis(5))), "when it truly ended");
    let attempt = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!((attempt.attempt, attempt.outcome, attempt.error), (1, AttemptOutcome::Succeeded, None));
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
    assert_eq!(fixture.settle(executor.generation, &succeeded(claim)), Settled::Stale, "once");
    assert_eq!(fixture.settle(executor.generation, &failed(claim)), Settled::Stale);
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
}

pub fn its_own_late_failure_settles_an_unknown(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    assert_eq!(fixture.settle(executor.generation, &failed(claim)), Settled::Applied(None));
    let ended = fixture.find(id(1));
    assert_eq!((ended.state, ended.attempt), (State::Failed, 1));
    assert_eq!(ended.last_error.as_deref(), Some("it ended as Failed"));
    assert_eq!(one(fixture.store().attempts(id(1)).unwrap()).outcome, AttemptOutcome::Failed);
    assert_eq!(fixture.counts(), [(State::Failed, 1)]);
}

pub fn its_own_late_retry_schedules_an_unknown_again(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    let settled = fixture.settle(executor.generation, &retried(claim, BASE));
    let due = one(fixture.scheduled());
    assert_eq!((settled, due.due_at), (Settled::Applied(Some(due)), BASE));
    let again = fixture.find(id(1));
    assert_eq!((again.state, again.attempt, again.finished_at), (State::Scheduled, 1, None), "counted once");
    assert_eq!((again.node, again.epoch), (None, None));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    assert_eq!(fixture.settle(executor.generation, &retried(claim, BASE)), Settled::Stale);
}

pub fn a_late_not_sent_gives_the_start_back(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    assert_eq!(fixture.find(id(1)).attempt, 1);
    assert!(matches!(fixture.settle(executor.generation, &not_sent(claim, BASE)), Settled::Applied(Some(_))));
    assert_eq!((fixture.state(id(1)), fixture.find(id(1)).attempt), (State::Scheduled, 0));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn a_late_loss_says_nothing_new(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    let before = fixture.find(id(1));
    assert_eq!(fixture.settle(executor.generation, &lost(claim)), Settled::Stale);
    assert_eq!(fixture.find(id(1)), before);
    assert_eq!(fixture.counts(), [(State::Unknown, 1)]);
}

pub fn another_claims_outcome_settles_no_unknown(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    let stranger = fixture.generation(3);
    assert_eq!(fixture.settle(stranger, &succeeded(claim)), Settled::Stale);
    for claim_no in [claim.claim_no - 1, claim.claim_no + 1] {
        let other = Claim { claim_no, ..claim };
        assert_eq!(fixture.settle(executor.generation, &succeeded(other)), Settled::Stale);
        assert_eq!(fixture.settle(executor.generation, &retried(other, BASE)), Settled::Stale);
    }
    assert_eq!(fixture.counts(), [(State::Unknown, 1)]);
    assert_eq!(one(fixture.store().attempts(id(1)).unwrap()).outcome, AttemptOutcome::Ambiguous);
}

pub fn a_late_outcome_does_not_overwrite_a_resolution(fixture: &Fixture) {
    let (executor, claim) = recovered_as_unknown(fixture);
    assert_eq!(fixture.store().resolve(id(1), Resolution::Failed).unwrap(), Change::Done(None));
    assert_eq!(fixture.settle(executor.generation, &succeeded(claim)), Settled::Stale);
    assert_eq!(fixture.settle(executor.generation, &retried(claim, BASE)), Settled::Stale);
    assert_eq!(fixture.counts(), [(State::Failed, 1)]);
    let told = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!(told.outcome, AttemptOutcome::Succeeded, "but what the call came to is told");
}

pub fn a_late_outcome_does_not_disturb_a_re_fire(fixture: &Fixture) {
    let executor = fixture.master();
    let claim = fixture.started(executor, at_least_once(1));
    let fence = fixture.reign(fixture.generation(2));
    fixture.store().recover(fence, executor.generation).unwrap().unwrap();
    assert_eq!(fixture.settle(executor.generation, &succeeded(claim)), Settled::Stale, "scheduled again");
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    let second = one(fixture.claim(fence, fence.generation, &fixture.scheduled()));
    assert_eq!(fixture.settle(executor.generation, &failed(claim)), Settled::Stale, "claimed again");
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
    assert_eq!(fixture.settle(fence.generation, &lost(second)), Settled::Applied(None));
    assert_eq!(fixture.settle(executor.generation, &succeeded(claim)), Settled::Stale, "unknown by the second claim");
    assert_eq!(fixture.counts(), [(State::Unknown, 1)]);
}
