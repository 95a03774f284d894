//! What a person may do to a task.

use task_scheduler::domain::{AttemptOutcome, State};
use task_scheduler::store::{Change, Resolution};

use crate::fixtures::{Fixture, failed, id, one, succeeded, task};

const RESOLUTIONS: [Resolution; 3] = [Resolution::Succeeded, Resolution::Failed, Resolution::Scheduled];

pub fn a_scheduled_task_is_cancelled_once(fixture: &Fixture) {
    fixture.ingest(&[task(1), task(2)]);
    let before = fixture.store().now().unwrap();
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::Done(None));
    let ended = fixture.find(id(1));
    assert_eq!((ended.state, ended.attempt, ended.started_at), (State::Cancelled, 0, None));
    assert!(ended.finished_at.is_some_and(|at| before <= at));
    assert_eq!(ended.spec, task(1).spec);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Cancelled, 1)]);
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::Already);
    assert_eq!(fixture.find(id(1)), ended);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Cancelled, 1)]);
}

pub fn a_cancelled_task_is_not_claimed(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1)]);
    fixture.store().cancel(id(1)).unwrap();
    assert_eq!(fixture.scheduled(), []);
    assert_eq!(fixture.claim(fence, fence.generation, &dues), []);
    assert_eq!(fixture.counts(), [(State::Cancelled, 1)]);
}

pub fn what_is_dispatched_or_has_ended_is_not_cancelled(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.claimed(fence, task(1));
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::Refused(State::Dispatched));
    fixture.settle(fence.generation, &succeeded(claim));
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::Refused(State::Succeeded));
    let second = fixture.claimed(fence, task(2));
    fixture.settle(fence.generation, &failed(second));
    assert_eq!(fixture.store().cancel(id(2)).unwrap(), Change::Refused(State::Failed));
    fixture.unknown(fence, task(3));
    assert_eq!(fixture.store().cancel(id(3)).unwrap(), Change::Refused(State::Unknown));
    assert_eq!(fixture.counts(), [(State::Succeeded, 1), (State::Failed, 1), (State::Unknown, 1)]);
}

pub fn an_id_that_is_not_there_is_not_found(fixture: &Fixture) {
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::NotFound);
    for to in RESOLUTIONS {
        assert_eq!(fixture.store().resolve(id(1), to).unwrap(), Change::NotFound);
    }
    assert!(fixture.store().find(id(1)).unwrap().is_none());
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
    assert_eq!(fixture.counts(), []);
}

pub fn an_unknown_task_is_resolved_as_succeeded(fixture: &Fixture) {
    fixture.unknown(fixture.master(), task(1));
    assert_eq!(fixture.store().resolve(id(1), Resolution::Succeeded).unwrap(), Change::Done(None));
    assert_eq!((fixture.state(id(1)), fixture.find(id(1)).attempt), (State::Succeeded, 1));
    let attempt = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!(attempt.outcome, AttemptOutcome::Ambiguous, "what was known of the attempt stays");
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
    assert_eq!(fixture.store().resolve(id(1), Resolution::Succeeded).unwrap(), Change::Already);
    assert_eq!(fixture.store().resolve(id(1), Resolution::Failed).unwrap(), Change::Refused(State::Succeeded));
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
}

pub fn an_unknown_task_is_resolved_as_failed(fixture: &Fixture) {
    fixture.unknown(fixture.master(), task(1));
    assert_eq!(fixture.store().resolve(id(1), Resolution::Failed).unwrap(), Change::Done(None));
    assert_eq!(fixture.counts(), [(State::Failed, 1)]);
    assert_eq!(fixture.store().resolve(id(1), Resolution::Failed).unwrap(), Change::Already);
    assert_eq!(fixture.store().resolve(id(1), Resolution::Scheduled).unwrap(), Change::Refused(State::Failed));
    assert_eq!(fixture.counts(), [(State::Failed, 1)]);
}

pub fn an_unknown_task_is_fired_again(fixture: &Fixture) {
    let fence = fixture.master();
    let old = fixture.unknown(fence, task(1));
    let before = fixture.store().now().unwrap();
    let change = fixture.store().resolve(id(1), Resolution::Scheduled).unwrap();
    let due = one(fixture.scheduled());
    assert_eq!(change, Change::Done(Some(due)));
    assert!(before <= due.due_at && due.due_at <= fixture.store().now().unwrap(), "now");
    let again = fixture.find(id(1));
    assert_eq!((again.state, again.attempt, again.finished_at), (State::Scheduled, 1, None));
    assert_eq!((again.node, again.epoch, again.run_at), (None, None, task(1).run_at));
    assert_eq!(again.spec, task(1).spec);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    let claim = one(fixture.claim(fence, fence.generation, &[due]));
    assert_eq!(claim.claim_no, old.claim_no + 1, "claims are counted on");
    fixture.settle(fence.generation, &succeeded(claim));
    let told: Vec<_> = fixture.store().attempts(id(1)).unwrap().iter().map(|one| (one.attempt, one.outcome)).collect();
    assert_eq!(told, [(1, AttemptOutcome::Ambiguous), (2, AttemptOutcome::Succeeded)]);
}

pub fn only_an_unknown_task_is_resolved(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.ingest(&[task(1), task(2)]);
    fixture.store().cancel(id(2)).unwrap();
    fixture.claimed(fence, task(3));
    let finished = fixture.claimed(fence, task(4));
    fixture.settle(fence.generation, &failed(finished));
    let counts = fixture.counts();
    for number in 1..=4 {
        let (state, before) = (fixture.state(id(number)), fixture.find(id(number)));
        for to in RESOLUTIONS {
            let change = fixture.store().resolve(id(number), to).unwrap();
            // Where it stands as asked for already, nothing is to be done.
            let stands =
                matches!((state, to), (State::Scheduled, Resolution::Scheduled) | (State::Failed, Resolution::Failed));
            assert_eq!(change, if stands { Change::Already } else { Change::Refused(state) }, "{state:?} {to:?}");
        }
        assert_eq!(fixture.find(id(number)), before);
    }
    assert_eq!(fixture.counts(), counts);
}
