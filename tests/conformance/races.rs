//! What people do to a task against the task's own claim: whoever comes first, the row decides, and each of both knows.

use std::collections::{HashMap, HashSet};
use std::sync::Barrier;

use task_scheduler::domain::{Due, State, TaskId, Timestamp};
use task_scheduler::store::{Change, Claimed, Fence, Operation, Order, Patch, Patched, Store};

use crate::fixtures::{BASE, Fixture, id, one, task};

const RACES: u64 = 2_000;

/// What two have said of one task, each on a thread of its own.
struct Raced<T> {
    due: Due,
    /// Claimed at the instant it was stored with.
    claimed: bool,
    said: T,
}

fn claims(store: &dyn Store, fence: Fence, dues: &[Due]) -> usize {
    let orders: Vec<_> = dues.iter().map(|due| Order { due: *due, generation: fence.generation }).collect();
    match store.claim(fence, &orders).unwrap() {
        Claimed::Fenced => panic!("fenced by another reign"),
        Claimed::Outdated => panic!("there are pauses, which this claim does not know"),
        Claimed::Done { claims, .. } => claims.iter().map(|(_, claims)| claims.len()).sum(),
    }
}

/// Stores tasks, and has each claimed at its instant while `other` is done to it, both let go at once. Every third claim
/// and every third of the others is held back by an instant that nothing announces, so that each is first at times.
fn race<T: Send>(fixture: &Fixture, fence: Fence, other: impl Fn(&dyn Store, TaskId) -> T + Sync) -> Vec<Raced<T>> {
    let batch: Vec<_> = (0..RACES).map(task).collect();
    let dues: Vec<Due> = batch.chunks(500).flat_map(|some| fixture.ingest(some)).collect();
    let (store, barrier, other) = (fixture.store(), Barrier::new(2), &other);
    std::thread::scope(|scope| {
        let (barrier, dues) = (&barrier, &dues);
        let others = scope.spawn(move || {
            let one = |(n, due): (usize, &Due)| {
                barrier.wait();
                hold_back(n % 3 == 1);
                other(store, due.id)
            };
            dues.iter().enumerate().map(one).collect::<Vec<_>>()
        });
        let claim = |(n, due): (usize, &Due)| {
            barrier.wait();
            hold_back(n % 3 == 2);
            claims(store, fence, &[*due]) == 1
        };
        let claimed: Vec<bool> = dues.iter().enumerate().map(claim).collect();
        let said = others.join().unwrap();
        let both = dues.iter().zip(claimed).zip(said);
        both.map(|((due, claimed), said)| Raced { due: *due, claimed, said }).collect()
    })
}

fn hold_back(really: bool) {
    if really {
        (0..rand::random_range(0..200)).for_each(|_| std::thread::yield_now());
    }
}

/// Both have been first.
fn met(row: &str, first: usize) {
    println!("{row}: the claim was first {first} times of {RACES}");
    assert!((1..RACES as usize).contains(&first), "{row}: {first}");
}

pub fn a_claim_and_a_patch(fixture: &Fixture) {
    let fence = fixture.master();
    let new = BASE.plus(std::time::Duration::from_hours(9));
    let patch = Patch { run_at: Some(new), ..Patch::default() };
    let raced = race(fixture, fence, |store, id| store.patch(id, &patch, &|_| true).unwrap());
    for one in &raced {
        match &one.said {
            Patched::Done(task, due) => {
                assert!(!one.claimed, "{}: claimed at its old instant in spite of an answered patch", one.due.id);
                assert_eq!((task.state, task.due_at, due.due_at), (State::Scheduled, new, new));
            }
            Patched::Refused(State::Dispatched) => assert!(one.claimed, "{}: nobody has claimed it", one.due.id),
            other => panic!("{}: {other:?}", one.due.id),
        }
    }
    let first = raced.iter().filter(|one| one.claimed).count();
    // What was patched is claimed at its new instant, once.
    let moved: Vec<Due> = fixture.store().scheduled(None, Timestamp::from_micros(i64::MAX), 10_000).unwrap();
    assert!(moved.iter().all(|due| due.due_at == new));
    assert_eq!((claims(fixture.store(), fence, &moved), first), (RACES as usize - first, first));
    assert_eq!(fixture.counts(), [(State::Dispatched, RACES)]);
    met("patch and claim", first);
}

pub fn a_claim_and_a_run(fixture: &Fixture) {
    let fence = fixture.master();
    // As the master does: claimed at the new instant too, as soon as it is told of it.
    let raced = race(fixture, fence, |store, id| {
        let change = store.run(id).unwrap();
        let again = if let Change::Done(Some(due)) = change { claims(store, fence, &[due]) } else { 0 };
        (change, again)
    });
    for one in &raced {
        match one.said {
            (Change::Done(Some(due)), again) => {
                assert!(due.due_at > one.due.due_at);
                assert_eq!((one.claimed, again), (false, 1), "{}: once, at its new instant", one.due.id);
            }
            (Change::Refused(State::Dispatched), 0) => assert!(one.claimed),
            other => panic!("{}: {other:?}", one.due.id),
        }
    }
    let assigned = assigned(fixture, fence);
    assert_eq!(assigned.len(), RACES as usize);
    assert!(assigned.values().all(|times| *times == 1), "each is an executor's once");
    assert_eq!(fixture.counts(), [(State::Dispatched, RACES)]);
    met("run and claim", raced.iter().filter(|one| one.claimed).count());
}

/// How often each task was assigned.
fn assigned(fixture: &Fixture, fence: Fence) -> HashMap<TaskId, usize> {
    let (mut times, mut after) = (HashMap::new(), 0);
    loop {
        let read = fixture.store().assigned(fence.generation, after, 500).unwrap();
        let Some(last) = read.last() else { return times };
        after = last.seq;
        for task in read.iter().flat_map(|one| &one.tasks) {
            *times.entry(task.claim.id).or_default() += 1;
        }
    }
}

/// Operations on overlapping sets, each on a thread of its own, while the tasks are claimed: nothing waits in a circle, and
/// every task has one end.
pub fn a_claim_and_a_mixture_of_operations(fixture: &Fixture) {
    const TASKS: u64 = 600;
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..TASKS).map(task).collect::<Vec<_>>());
    let store = fixture.store();
    let ids: Vec<TaskId> = dues.iter().map(|due| due.id).collect();
    let (cancelled, claimed) = std::thread::scope(|scope| {
        let cancels = scope.spawn(|| {
            ids.chunks(90).map(|some| store.operate(Operation::Cancel, some).unwrap().changed).sum::<usize>()
        });
        scope.spawn(|| {
            let backwards: Vec<TaskId> = ids.iter().rev().copied().collect();
            for some in backwards.chunks(70) {
                store.operate(Operation::Run, some).unwrap();
            }
        });
        let claims = scope.spawn(|| dues.rchunks(40).map(|some| claims(store, fence, some)).sum::<usize>());
        (cancels.join().unwrap(), claims.join().unwrap())
    });
    let rest = fixture.scheduled();
    assert_eq!(cancelled + claimed + rest.len(), TASKS as usize);
    let left: HashSet<TaskId> = rest.iter().map(|due| due.id).collect();
    assert_eq!(left.len(), rest.len());
    let rest = claims(store, fence, &rest);
    let counts = fixture.counts();
    let count = |state| counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, tasks)| *tasks as usize);
    assert_eq!((count(State::Cancelled), count(State::Dispatched)), (cancelled, claimed + rest));
    assert_eq!(one(fixture.store().list(&filter_of(id(0))).unwrap().tasks).id, id(0));
}

fn filter_of(task: TaskId) -> task_scheduler::store::Filter {
    let label = ("number".to_owned(), task.0.as_u128().to_string());
    task_scheduler::store::Filter { labels: vec![label], limit: 9, ..Default::default() }
}
