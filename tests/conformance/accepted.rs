//! When a task was accepted: told beside when it was stored, and kept as long as the task.

use std::time::Duration;

use task_scheduler::domain::{NewTask, State, Task, Timestamp};
use task_scheduler::store::{Change, Ingested, Operation, Patch, Patched, Resolution};

use crate::fixtures::{BASE, Fixture, failed, id, succeeded, task};

/// Of task `number`: long before it is stored.
fn accepted_at(number: u64) -> Timestamp {
    BASE.plus(Duration::from_micros(number))
}

fn accepted(number: u64) -> NewTask {
    NewTask { accepted_at: Some(accepted_at(number)), ..task(number) }
}

fn stands(fixture: &Fixture, number: u64, state: State) {
    let found = fixture.find(id(u128::from(number)));
    assert_eq!((found.state, found.accepted_at), (state, Some(accepted_at(number))), "{number}");
}

fn as_it_is(_: &Task) -> bool {
    true
}

pub fn it_is_kept_wherever_the_task_goes(fixture: &Fixture) {
    let (fence, store) = (fixture.master(), fixture.store());
    fixture.ingest(&[accepted(1)]);
    let patch = Patch { priority: Some(3), ..Patch::default() };
    assert!(matches!(store.patch(id(1), &patch, &as_it_is).unwrap(), Patched::Done(..)));
    assert!(matches!(store.run(id(1)).unwrap(), Change::Done(Some(_))));
    stands(fixture, 1, State::Scheduled);
    assert_eq!(store.cancel(id(1)).unwrap(), Change::Done(None));
    stands(fixture, 1, State::Cancelled);

    for number in 2..=3 {
        let claim = fixture.started(fence, accepted(number));
        stands(fixture, number, State::Dispatched);
        fixture.settle(fence.generation, &failed(claim));
        stands(fixture, number, State::Failed);
    }
    fixture.unknown(fence, accepted(4));
    stands(fixture, 4, State::Unknown);
    assert!(matches!(store.retry(id(2)).unwrap(), Change::Done(Some(_))));
    assert_eq!(store.operate(Operation::Retry, &[id(3)]).unwrap().changed, 1);
    assert!(matches!(store.resolve(id(4), Resolution::Scheduled).unwrap(), Change::Done(Some(_))));
    for number in 2..=4 {
        stands(fixture, number, State::Scheduled);
    }

    for claim in fixture.claim(fence, fence.generation, &fixture.scheduled()) {
        fixture.settle(fence.generation, &succeeded(claim));
    }
    for number in 2..=4 {
        stands(fixture, number, State::Succeeded);
    }
}

pub fn the_first_submission_says_when(fixture: &Fixture) {
    fixture.ingest(&[accepted(1), task(2)]);
    let again = |number| NewTask { accepted_at: Some(BASE.plus(Duration::from_hours(1))), ..task(number) };
    assert_eq!(fixture.store().ingest(&[again(1), again(2)]).unwrap(), [Ingested::Same; 2]);
    stands(fixture, 1, State::Scheduled);
    assert_eq!(fixture.find(id(2)).accepted_at, None, "nobody knows");
}

/// Clocks of others may be ahead of the database's.
pub fn it_is_never_later_than_the_task_was_stored(fixture: &Fixture) {
    let later = fixture.store().now().unwrap().plus(Duration::from_hours(1));
    for (number, at) in [(1, later), (2, Timestamp::from_micros(i64::MAX))] {
        fixture.ingest(&[NewTask { accepted_at: Some(at), ..task(number) }]);
        let found = fixture.find(id(u128::from(number)));
        assert_eq!(found.accepted_at, Some(found.created_at));
    }
}
