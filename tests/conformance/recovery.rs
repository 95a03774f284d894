//! What a dead generation leaves, and what becomes of it.

use std::time::Duration;

use task_scheduler::domain::{AttemptOutcome, GenerationId, State};
use task_scheduler::store::{Change, Fence, Recovered, Resolution, Settled, Standing};

use crate::fixtures::{Fixture, at_least_once, id, one, retried, succeeded, task};

/// A master and an executor that is about to die.
fn pair(fixture: &Fixture) -> (Fence, GenerationId) {
    (fixture.master(), fixture.generation(2))
}

fn recover(fixture: &Fixture, fence: Fence, dead: GenerationId) -> Recovered {
    fixture.store().recover(fence, dead).unwrap().expect("the reign holds")
}

pub fn without_a_start_record_it_is_scheduled_again(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let dues = fixture.ingest(&[task(1), at_least_once(2)]);
    fixture.claim(fence, dead, &dues);
    let recovered = recover(fixture, fence, dead);
    assert_eq!((recovered.scheduled, recovered.unknown), (dues.clone(), vec![]));
    assert_eq!(fixture.scheduled(), dues, "at their own instants");
    let back = fixture.find(id(1));
    assert_eq!((back.attempt, back.node, back.epoch, back.last_error), (0, None, None, None));
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 2)]);
    assert_eq!(fixture.store().assigned(dead, 0, 10).unwrap(), []);
}

pub fn a_started_one_is_settled_by_its_delivery(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let mut patient = at_least_once(2);
    patient.spec.retry.initial_ms = 5_000;
    let dues = fixture.ingest(&[task(1), patient, task(3)]);
    let claims = fixture.claim(fence, dead, &dues);
    fixture.store().start(dead, &claims[..2]).unwrap().unwrap();
    let before = fixture.store().now().unwrap();
    let recovered = recover(fixture, fence, dead);
    let after = fixture.store().now().unwrap();
    assert_eq!(recovered.unknown, [id(1)]);
    assert_eq!(recovered.scheduled.len(), 2);

    let unknown = fixture.find(id(1));
    assert_eq!((unknown.state, unknown.attempt, unknown.node.as_deref()), (State::Unknown, 1, Some("node-2")));
    assert!(unknown.started_at.is_some() && unknown.finished_at.is_some_and(|at| before <= at && at <= after));
    assert!(unknown.last_error.is_some());
    let told = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!((told.attempt, told.outcome, told.node.as_deref()), (1, AttemptOutcome::Ambiguous, Some("node-2")));
    assert_eq!(told.started_at, unknown.started_at);

    let again = fixture.find(id(2));
    assert_eq!((again.state, again.attempt), (State::Scheduled, 1), "its start is counted");
    let backoff = Duration::from_secs(5);
    assert!(before.plus(backoff) <= again.due_at && again.due_at <= after.plus(backoff), "{}", again.due_at);
    assert_eq!(one(fixture.store().attempts(id(2)).unwrap()).outcome, AttemptOutcome::Ambiguous);
    assert_eq!((fixture.state(id(3)), fixture.find(id(3)).attempt), (State::Scheduled, 0));
    assert_eq!(fixture.counts(), [(State::Scheduled, 2), (State::Unknown, 1)]);
}

pub fn a_spent_budget_is_unknown_even_at_least_once(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let mut once = at_least_once(1);
    once.spec.retry.max_attempts = 1;
    let dues = fixture.ingest(&[once, at_least_once(2)]);
    let claims = fixture.claim(fence, dead, &dues);
    // The second has used up its first attempt before.
    fixture.settle(dead, &retried(claims[1], dues[1].due_at));
    let second = one(fixture.claim(fence, dead, &dues[1..]));
    fixture.store().start(dead, &[claims[0], second]).unwrap().unwrap();
    let recovered = recover(fixture, fence, dead);
    assert_eq!((recovered.scheduled, recovered.unknown), (vec![], vec![id(1), id(2)]));
    assert_eq!((fixture.find(id(1)).attempt, fixture.find(id(2)).attempt), (1, 2));
    assert_eq!(fixture.store().attempts(id(2)).unwrap().len(), 2);
    assert_eq!(fixture.counts(), [(State::Unknown, 2)], "never failed: nobody may call it a failure");
}

pub fn only_what_is_not_settled_is_recovered(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let dues = fixture.ingest(&[task(1), task(2), task(3)]);
    let claims = fixture.claim(fence, dead, &dues);
    fixture.store().start(dead, &claims).unwrap().unwrap();
    fixture.settle(dead, &succeeded(claims[0]));
    fixture.settle(dead, &retried(claims[1], dues[1].due_at));
    let elsewhere = fixture.claim(fence, fence.generation, &dues[1..2]);
    let recovered = recover(fixture, fence, dead);
    assert_eq!((recovered.scheduled, recovered.unknown), (vec![], vec![id(3)]));
    assert_eq!(fixture.counts(), [(State::Dispatched, 1), (State::Succeeded, 1), (State::Unknown, 1)]);
    assert_eq!(fixture.settle(fence.generation, &succeeded(elsewhere[0])), Settled::Applied(None));
}

pub fn recovering_twice_finds_nothing_more(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let dues = fixture.ingest(&[task(1), at_least_once(2), task(3)]);
    let claims = fixture.claim(fence, dead, &dues);
    fixture.store().start(dead, &claims[..2]).unwrap().unwrap();
    recover(fixture, fence, dead);
    let (counts, scheduled) = (fixture.counts(), fixture.scheduled());
    assert_eq!(recover(fixture, fence, dead), Recovered::default());
    assert_eq!((fixture.counts(), fixture.scheduled()), (counts, scheduled));
    assert_eq!(fixture.store().attempts(id(2)).unwrap().len(), 1);
}

pub fn a_deposed_master_recovers_nothing(fixture: &Fixture) {
    let (old, executor) = pair(fixture);
    let dues = fixture.ingest(&[task(1)]);
    let claim = one(fixture.claim(old, executor, &dues));
    let fence = fixture.reign(fixture.generation(3));
    assert_eq!(fixture.store().recover(old, executor).unwrap(), None);
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
    assert!(fixture.store().start(executor, &[claim]).unwrap().is_some(), "it is alive still");
    assert_eq!(recover(fixture, fence, executor).unknown, [id(1)]);
}

pub fn a_dead_generation_starts_and_gets_nothing(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let dues = fixture.ingest(&[task(1)]);
    let claim = one(fixture.claim(fence, dead, &dues));
    recover(fixture, fence, dead);
    assert_eq!(fixture.store().start(dead, &[claim]).unwrap(), None);
    assert_eq!(fixture.settle(dead, &succeeded(claim)), Settled::Stale, "it was given back, not lost");
    assert!(fixture.store().loads().unwrap().iter().all(|load| load.generation != dead));
    let shown = fixture.store().generations().unwrap();
    assert!(shown.iter().any(|one| one.id == dead && one.standing == Standing::Dead));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn a_draining_generation_is_recovered_too(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let dues = fixture.ingest(&[task(1), task(2)]);
    let claims = fixture.claim(fence, dead, &dues);
    fixture.store().start(dead, &claims[..1]).unwrap().unwrap();
    fixture.store().drain(dead).unwrap();
    let recovered = recover(fixture, fence, dead);
    assert_eq!((recovered.scheduled, recovered.unknown), (vec![], vec![id(1)]));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Unknown, 1)]);
}

pub fn a_recovery_leaves_others_alone(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let own = fixture.started(fence, task(1));
    recover(fixture, fence, dead);
    let stranger = GenerationId(uuid::Uuid::from_u128(999));
    assert_eq!(recover(fixture, fence, stranger), Recovered::default(), "one that never was");
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
    assert_eq!(fixture.settle(fence.generation, &succeeded(own)), Settled::Applied(None));
}

pub fn what_was_recovered_can_be_claimed_again(fixture: &Fixture) {
    let (fence, dead) = pair(fixture);
    let dues = fixture.ingest(&[task(1), at_least_once(2), task(3)]);
    let claims = fixture.claim(fence, dead, &dues);
    fixture.store().start(dead, &claims[1..]).unwrap().unwrap();
    recover(fixture, fence, dead);
    assert!(matches!(fixture.store().resolve(id(3), Resolution::Scheduled).unwrap(), Change::Done(Some(_))));
    let again = fixture.claim(fence, fence.generation, &fixture.scheduled());
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|claim| claim.claim_no == 2), "{again:?}");
    for claim in again {
        assert_eq!(fixture.settle(fence.generation, &succeeded(claim)), Settled::Applied(None));
    }
    let starts: Vec<u32> = (1..=3).map(|number| fixture.find(id(number)).attempt).collect();
    assert_eq!(starts, [1, 2, 2]);
    assert_eq!(fixture.store().attempts(id(2)).unwrap().len(), 2);
    assert_eq!(fixture.counts(), [(State::Succeeded, 3)]);
}
