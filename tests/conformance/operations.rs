//! The same done to many tasks.

use std::time::Duration;

use task_scheduler::domain::{Due, State, TaskId};
use task_scheduler::store::{Filter, Operation, Resolution};

use crate::fixtures::{BASE, Fixture, failed, id, in_every_state, task};

pub const OPERATIONS: [Operation; 7] = [
    Operation::Cancel,
    Operation::Run,
    Operation::Retry,
    Operation::Resolve(Resolution::Succeeded),
    Operation::Resolve(Resolution::Failed),
    Operation::Resolve(Resolution::Scheduled),
    Operation::Reschedule(BASE),
];

/// One of each state, one that is not there, and one more that can be changed.
pub fn every_state_and_every_operation(fixture: &Fixture) {
    for operation in OPERATIONS {
        let fresh = fixture.another();
        let fence = fresh.master();
        in_every_state(&fresh, fence);
        let ids: Vec<TaskId> = (1..=8).map(id).collect();
        let before: Vec<_> = (1..=7).map(|number| fresh.find(id(number))).collect();
        let operated = fresh.store().operate(operation, &ids).unwrap();
        assert_eq!(operated.changed, 1, "{operation:?}");
        for before in before {
            let after = fresh.find(before.id);
            if before.state == operation.acts_on() {
                assert_eq!((after.state, after.attempt), (operation.leads_to(), before.attempt), "{operation:?}");
                assert_eq!((after.spec, after.created_at), (before.spec, before.created_at));
                assert_eq!(after.finished_at.is_some(), !operation.leads_to().is_live());
            } else {
                assert_eq!(after, before, "{operation:?}");
            }
        }
        // The counters against the list.
        let counts = fresh.counts();
        assert_eq!(counts.iter().map(|(_, tasks)| tasks).sum::<u64>(), 7, "{operation:?}");
        let nothing = fresh.store().operate(operation, &[id(99)]).unwrap();
        assert_eq!((nothing.changed, nothing.due), (0, vec![]));
        assert_eq!(fresh.store().operate(operation, &[]).unwrap().changed, 0);
        assert_eq!(fresh.counts(), counts);
    }
}

pub fn an_operation_tells_when_what_it_scheduled_is_due(fixture: &Fixture) {
    let later = BASE.plus(Duration::from_hours(1));
    for operation in
        [Operation::Run, Operation::Retry, Operation::Resolve(Resolution::Scheduled), Operation::Reschedule(later)]
    {
        let fresh = fixture.another();
        let fence = fresh.master();
        in_every_state(&fresh, fence);
        let before = fresh.store().now().unwrap();
        let operated = fresh.store().operate(operation, &(1..=7).map(id).collect::<Vec<_>>()).unwrap();
        let [due] = operated.due[..] else { panic!("{operation:?}: {operated:?}") };
        let stands = fresh.find(due.id);
        assert_eq!((stands.state, stands.due_at), (State::Scheduled, due.due_at));
        if let Operation::Reschedule(run_at) = operation {
            assert_eq!((due.due_at, stands.run_at), (run_at, run_at));
        } else {
            assert!(before <= due.due_at && due.due_at <= fresh.store().now().unwrap(), "{operation:?}: now");
            assert_ne!(stands.run_at, due.due_at);
        }
        let dues: Vec<Due> = fresh.scheduled();
        assert!(dues.contains(&due), "{dues:?}");
        assert_eq!(fresh.claim(fence, fence.generation, &[due]).len(), 1);
    }
}

pub fn an_operation_takes_each_of_its_tasks_once(fixture: &Fixture) {
    let batch: Vec<_> = (1..=40).map(task).collect();
    fixture.ingest(&batch);
    // Neither in order nor each once.
    let ids: Vec<TaskId> = (1..=40).rev().chain(1..=40).map(id).collect();
    assert_eq!(fixture.store().operate(Operation::Run, &ids).unwrap().changed, 40);
    assert_eq!(fixture.store().operate(Operation::Cancel, &ids).unwrap().changed, 40);
    assert_eq!(fixture.store().operate(Operation::Cancel, &ids).unwrap().changed, 0);
    assert_eq!(fixture.counts(), [(State::Cancelled, 40)]);
}

pub fn what_an_operation_ends_leaves_no_pause_behind(fixture: &Fixture) {
    fixture.ingest(&(1..=4).map(task).collect::<Vec<_>>());
    for number in 1..=3 {
        fixture.park(number);
    }
    fixture.store().operate(Operation::Cancel, &[id(1), id(4)]).unwrap();
    assert_eq!(fixture.find(id(1)).due_at, task(1).run_at, "when it really was due");
    fixture.store().operate(Operation::Run, &[id(2)]).unwrap();
    fixture.store().operate(Operation::Reschedule(BASE), &[id(3)]).unwrap();
    assert_eq!(fixture.find(id(3)).due_at, BASE);
    assert_eq!(fixture.parked(), 0);
    let far = BASE.plus(Duration::from_hours(24 * 365 * 100));
    assert!(fixture.scheduled().iter().all(|due| due.due_at < far));
}

/// All ids of a filter, page by page.
pub fn ids(fixture: &Fixture, mut filter: Filter) -> Vec<TaskId> {
    let mut ids = Vec::new();
    loop {
        let page = fixture.store().matching(&filter).unwrap();
        assert!(page.tasks.len() <= filter.limit);
        ids.extend(page.ids());
        filter.after = page.next;
        if filter.after.is_none() {
            return ids;
        }
    }
}

pub fn ids_are_paged_as_a_list_is(fixture: &Fixture) {
    let fence = fixture.master();
    in_every_state(fixture, fence);
    fixture.ingest(&(8..=20).map(task).collect::<Vec<_>>());
    let label = vec![("number".to_owned(), "9".to_owned())];
    let now = fixture.store().now().unwrap();
    let filters = [
        Filter::default(),
        Filter { state: Some(State::Scheduled), ..Filter::default() },
        Filter { state: Some(State::Failed), ..Filter::default() },
        Filter { state: Some(State::Succeeded), to: Some(now), ..Filter::default() },
        Filter { labels: label, ..Filter::default() },
        Filter { from: Some(now), ..Filter::default() },
        Filter { to: Some(now), ..Filter::default() },
    ];
    for filter in filters {
        let listed = fixture.store().list(&Filter { limit: 1_000, ..filter.clone() }).unwrap();
        let listed: Vec<TaskId> = listed.tasks.iter().map(|task| task.id).collect();
        for limit in [1, 3, 5, 1_000] {
            assert_eq!(ids(fixture, Filter { limit, ..filter.clone() }), listed, "{filter:?}");
        }
    }
}

pub fn many_failed_ones_are_tried_again_batch_by_batch(fixture: &Fixture) {
    const TASKS: u64 = 1_000;
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..TASKS).map(task).collect::<Vec<_>>());
    let claims = fixture.claim(fence, fence.generation, &dues);
    let outcomes: Vec<_> = claims.iter().map(|claim| failed(*claim)).collect();
    fixture.store().settle(fence.generation, &outcomes, &task_scheduler::store::Done::default()).unwrap();
    let most = fixture.store().operates_on();
    let filter = Filter { state: Some(State::Failed), limit: most, ..Filter::default() };
    let (mut after, mut changed, mut longest) = (None, 0, Duration::ZERO);
    loop {
        let page = fixture.store().matching(&Filter { after, ..filter.clone() }).unwrap();
        let began = std::time::Instant::now();
        let operated = fixture.store().operate(Operation::Retry, &page.ids()).unwrap();
        longest = longest.max(began.elapsed());
        assert_eq!(operated.due.len(), operated.changed);
        changed += operated.changed;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    println!("{TASKS} retried by {most}, the slowest batch within {longest:?}");
    assert_eq!(u64::try_from(changed).unwrap(), TASKS);
    assert_eq!(fixture.counts(), [(State::Scheduled, TASKS)]);
}
