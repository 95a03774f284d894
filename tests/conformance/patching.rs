//! One task is changed, run, retried.

use std::time::Duration;

use task_scheduler::domain::payload::Payload;
use task_scheduler::domain::{State, Task};
use task_scheduler::store::{Change, Ingested, Patch, Patched};

use crate::fixtures::{BASE, Fixture, failed, id, in_every_state, one, retried, succeeded, task};

const HOUR: Duration = Duration::from_hours(1);

fn as_it_is(_: &Task) -> bool {
    true
}

/// Both must be done; how the task stands then.
fn patched(fixture: &Fixture, number: u128, patch: &Patch) -> Task {
    match fixture.store().patch(id(number), patch, &as_it_is).unwrap() {
        Patched::Done(task, due) => {
            assert_eq!((due.id, due.due_at, due.priority), (task.id, task.due_at, task.spec.priority));
            assert_eq!(*task, fixture.find(id(number)));
            *task
        }
        other => panic!("{other:?}"),
    }
}

pub fn a_patch_changes_what_it_names(fixture: &Fixture) {
    fixture.ingest(&[task(1), task(2)]);
    let (before, other) = (fixture.find(id(1)), fixture.find(id(2)));
    let mut expected = before.clone();
    for (patch, change) in [
        (Patch { priority: Some(7), ..Patch::default() }, (|task| task.spec.priority = 7) as fn(&mut Task)),
        (Patch { run_at: Some(BASE.plus(HOUR)), ..Patch::default() }, |task| {
            (task.run_at, task.due_at) = (BASE.plus(HOUR), BASE.plus(HOUR));
        }),
        (Patch { payload: Some(Payload::Bytes(vec![0, 255])), ..Patch::default() }, |task| {
            task.spec.payload = Payload::Bytes(vec![0, 255]);
        }),
        (Patch { payload: Some(Payload::Json("[1.00]".to_owned())), priority: Some(0), run_at: Some(BASE) }, |task| {
            task.spec.payload = Payload::Json("[1.00]".to_owned());
            (task.spec.priority, task.run_at, task.due_at) = (0, BASE, BASE);
        }),
        (Patch { payload: Some(Payload::Empty), ..Patch::default() }, |task| task.spec.payload = Payload::Empty),
        (Patch::default(), |_| ()),
    ] {
        change(&mut expected);
        assert_eq!(patched(fixture, 1, &patch), expected, "{patch:?}");
    }
    assert_eq!(fixture.find(id(2)), other);
    assert_eq!(fixture.counts(), [(State::Scheduled, 2)]);
}

pub fn a_moved_task_is_claimed_at_its_new_instant_only(fixture: &Fixture) {
    let fence = fixture.master();
    let old = fixture.ingest(&[task(1)]);
    patched(fixture, 1, &Patch { run_at: Some(BASE.plus(HOUR)), ..Patch::default() });
    assert_eq!(fixture.claim(fence, fence.generation, &old), []);
    let new = one(fixture.scheduled());
    assert_eq!(new.due_at, BASE.plus(HOUR));
    assert_eq!(fixture.claim(fence, fence.generation, &[new]).len(), 1);
}

pub fn a_task_that_waits_for_a_retry_is_moved_too(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    fixture.settle(fence.generation, &retried(claim, BASE.plus(HOUR * 2)));
    let moved = patched(fixture, 1, &Patch { run_at: Some(BASE.plus(HOUR)), ..Patch::default() });
    assert_eq!((moved.run_at, moved.due_at, moved.attempt), (BASE.plus(HOUR), BASE.plus(HOUR), 1));
    // What else is changed leaves the instant of the retry as it is.
    let claim = one(fixture.claim(fence, fence.generation, &fixture.scheduled()));
    fixture.settle(fence.generation, &retried(claim, BASE.plus(HOUR * 3)));
    let changed = patched(fixture, 1, &Patch { priority: Some(9), ..Patch::default() });
    assert_eq!((changed.run_at, changed.due_at), (BASE.plus(HOUR), BASE.plus(HOUR * 3)));
}

pub fn only_a_scheduled_task_is_changed(fixture: &Fixture) {
    in_every_state(fixture, fixture.master());
    let counts = fixture.counts();
    let patch = Patch { run_at: Some(BASE), priority: Some(3), payload: Some(Payload::Empty) };
    for (number, state) in (1..).zip(State::ALL) {
        let before = fixture.find(id(number));
        let patched = fixture.store().patch(id(number), &patch, &as_it_is).unwrap();
        if state == State::Scheduled {
            assert!(matches!(patched, Patched::Done(..)), "{patched:?}");
        } else {
            assert_eq!(patched, Patched::Refused(state));
            assert_eq!(fixture.find(id(number)), before);
        }
    }
    assert_eq!(fixture.store().patch(id(99), &patch, &as_it_is).unwrap(), Patched::NotFound);
    assert_eq!(fixture.counts(), counts);
}

pub fn what_does_not_fit_is_left_as_it_is(fixture: &Fixture) {
    in_every_state(fixture, fixture.master());
    let before = fixture.find(id(1));
    let patch = Patch { priority: Some(3), ..Patch::default() };
    let seen = before.clone();
    assert_eq!(fixture.store().patch(id(1), &patch, &|task| *task != seen).unwrap(), Patched::Unfit);
    assert_eq!(fixture.find(id(1)), before);
    // Its state is told first: no precondition could be met.
    assert_eq!(fixture.store().patch(id(2), &patch, &|_| false).unwrap(), Patched::Refused(State::Dispatched));
    assert!(matches!(fixture.store().patch(id(1), &patch, &|task| *task == seen).unwrap(), Patched::Done(..)));
    assert_eq!(fixture.store().patch(id(1), &patch, &|task| *task == seen).unwrap(), Patched::Unfit, "it has changed");
}

pub fn the_same_document_is_the_same_task_after_a_patch(fixture: &Fixture) {
    fixture.ingest(&[task(1)]);
    let patch = Patch { run_at: Some(BASE), priority: Some(3), payload: Some(Payload::Empty) };
    let changed = patched(fixture, 1, &patch);
    assert_eq!(fixture.store().ingest(&[task(1)]).unwrap(), [Ingested::Same]);
    assert_eq!(fixture.find(id(1)), changed);
}

pub fn what_waits_for_a_pause_is_due_when_it_is_said(fixture: &Fixture) {
    fixture.ingest(&[task(1), task(2), task(3)]);
    for number in 1..=3 {
        fixture.park(number);
    }
    let moved = patched(fixture, 1, &Patch { run_at: Some(BASE.plus(HOUR)), ..Patch::default() });
    assert_eq!(moved.due_at, BASE.plus(HOUR));
    assert!(matches!(fixture.store().run(id(2)).unwrap(), Change::Done(Some(_))));
    assert_eq!(fixture.parked(), 1, "the others are due at an instant of their own");
    let dues: Vec<_> = fixture.scheduled().iter().map(|due| due.id).collect();
    assert_eq!(dues, [id(1), id(2), id(3)], "the third at the end of time");
    // What else is changed leaves it where it waits.
    let (before, patch) = (fixture.find(id(3)).due_at, Patch { priority: Some(3), ..Patch::default() });
    assert!(matches!(fixture.store().patch(id(3), &patch, &as_it_is).unwrap(), Patched::Done(..)));
    assert_eq!((fixture.find(id(3)).due_at, fixture.parked()), (before, 1));
}

pub fn a_task_that_is_run_is_due_now(fixture: &Fixture) {
    let fence = fixture.master();
    let mut far = task(1);
    far.run_at = fixture.store().now().unwrap().plus(HOUR);
    let old = fixture.ingest(&[far.clone()]);
    let before = fixture.store().now().unwrap();
    let change = fixture.store().run(id(1)).unwrap();
    let due = one(fixture.scheduled());
    assert_eq!(change, Change::Done(Some(due)));
    assert!(before <= due.due_at && due.due_at <= fixture.store().now().unwrap(), "now");
    assert_eq!((fixture.find(id(1)).run_at, fixture.state(id(1))), (far.run_at, State::Scheduled));
    assert_eq!(fixture.claim(fence, fence.generation, &old), [], "not at the old instant");
    assert_eq!(fixture.claim(fence, fence.generation, &[due]).len(), 1);
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
}

pub fn a_failed_task_is_tried_again(fixture: &Fixture) {
    let fence = fixture.master();
    let old = fixture.started(fence, task(1));
    fixture.settle(fence.generation, &failed(old));
    let before = fixture.store().now().unwrap();
    let change = fixture.store().retry(id(1)).unwrap();
    let due = one(fixture.scheduled());
    assert_eq!(change, Change::Done(Some(due)));
    assert!(before <= due.due_at && due.due_at <= fixture.store().now().unwrap(), "now");
    let again = fixture.find(id(1));
    assert_eq!((again.state, again.attempt, again.finished_at), (State::Scheduled, 1, None));
    assert_eq!((again.run_at, again.spec), (task(1).run_at, task(1).spec));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    let claim = one(fixture.claim(fence, fence.generation, &[due]));
    assert_eq!(claim.claim_no, old.claim_no + 1, "claims are counted on");
    fixture.settle(fence.generation, &succeeded(claim));
    assert_eq!(fixture.store().attempts(id(1)).unwrap().len(), 2);
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
}

pub fn one_task_is_run_or_retried_from_its_state_only(fixture: &Fixture) {
    in_every_state(fixture, fixture.master());
    let counts = fixture.counts();
    for (number, state) in (1..).zip(State::ALL) {
        let before = fixture.find(id(number));
        let (run, retry) = (state == State::Scheduled, state == State::Failed);
        if !run {
            assert_eq!(fixture.store().run(id(number)).unwrap(), Change::Refused(state));
        }
        if !retry {
            assert_eq!(fixture.store().retry(id(number)).unwrap(), Change::Refused(state));
        }
        assert_eq!(fixture.find(id(number)), before);
    }
    assert_eq!(fixture.store().run(id(99)).unwrap(), Change::NotFound);
    assert_eq!(fixture.store().retry(id(99)).unwrap(), Change::NotFound);
    assert_eq!(fixture.counts(), counts);
}
