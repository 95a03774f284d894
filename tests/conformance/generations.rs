//! Lives of actor sets: known, beating, draining, dead.

use std::time::Duration;

use task_scheduler::domain::{GenerationId, State};
use task_scheduler::store::{Beat, Generation, Settled, Standing};

use crate::fixtures::{Fixture, id, lost, one, succeeded, task};

fn shown(fixture: &Fixture, id: GenerationId) -> Generation {
    one(fixture.store().generations().unwrap().into_iter().filter(|one| one.id == id).collect())
}

pub fn a_generation_is_shown_as_it_was_registered(fixture: &Fixture) {
    assert_eq!(fixture.store().generations().unwrap(), []);
    let id = fixture.generation(3);
    let one = shown(fixture, id);
    assert_eq!((one.node.as_str(), one.address.as_str()), ("node-3", "127.0.0.3:8080"));
    assert_eq!((one.version.as_str(), one.standing, one.slots), ("1.2.3", Standing::Alive, 4));
    assert!(!one.gone);
    assert!(one.heartbeat_age < Duration::from_mins(1));
}

pub fn a_heartbeat_moves_the_counter(fixture: &Fixture) {
    let (id, other) = (fixture.generation(1), fixture.generation(2));
    let (before, others) = (shown(fixture, id).counter, shown(fixture, other).counter);
    fixture.store().beat(id, Beat { free_slots: 3, clock_offset_us: -42, reads_topic: true }).unwrap();
    let once = shown(fixture, id);
    assert!(once.counter > before);
    assert_eq!((once.free_slots, once.clock_offset_us), (3, -42));
    fixture.store().beat(id, Beat { free_slots: 4, clock_offset_us: 0, reads_topic: false }).unwrap();
    assert!(shown(fixture, id).counter > once.counter);
    assert_eq!(shown(fixture, other).counter, others, "another's stands still");
}

pub fn a_farewell_marks_it_gone(fixture: &Fixture) {
    let (id, other) = (fixture.generation(1), fixture.generation(2));
    fixture.store().drain(id).unwrap();
    fixture.store().farewell(id).unwrap();
    assert!(shown(fixture, id).gone);
    assert!(!shown(fixture, other).gone);
}

pub fn draining_gives_back_the_unstarted_only(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    let dues = fixture.ingest(&[task(1), task(2), task(3), task(4)]);
    let claims = fixture.claim(fence, executor, &dues[..3]);
    let others = fixture.claim(fence, fence.generation, &dues[3..]);
    fixture.store().start(executor, &claims[1..2]).unwrap().unwrap();

    let mut back = fixture.store().drain(executor).unwrap();
    back.sort_by_key(task_scheduler::domain::Due::key);
    assert_eq!(back, [dues[0], dues[2]], "at their own instants");
    assert_eq!(fixture.scheduled(), back);
    assert_eq!(fixture.state(id(2)), State::Dispatched);
    assert_eq!((fixture.state(others[0].id), fixture.find(id(1)).attempt), (State::Dispatched, 0));
    assert_eq!(fixture.find(id(1)).node, None);
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 2), (State::Dispatched, 2)]);
    assert_eq!(fixture.settle(executor, &succeeded(claims[0])), Settled::Stale, "given back is given back");
    assert_eq!(fixture.claim(fence, fence.generation, &back).len(), 2, "another may have it at once");
}

pub fn draining_twice_gives_back_nothing_more(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.claimed(fence, task(1));
    assert_eq!(fixture.store().drain(fence.generation).unwrap().len(), 1);
    assert_eq!(fixture.store().drain(fence.generation).unwrap(), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn what_is_started_is_settled_while_draining(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    let other = fixture.started(fence, task(2));
    fixture.store().drain(fence.generation).unwrap();
    fixture.store().farewell(fence.generation).unwrap();
    assert_eq!(fixture.settle(fence.generation, &succeeded(claim)), Settled::Applied(None));
    assert_eq!(fixture.settle(fence.generation, &lost(other)), Settled::Applied(None));
    assert_eq!(fixture.counts(), [(State::Succeeded, 1), (State::Unknown, 1)]);
}

pub fn standing_only_goes_forward(fixture: &Fixture) {
    let fence = fixture.master();
    let id = fixture.generation(2);
    fixture.store().drain(id).unwrap();
    assert_eq!((shown(fixture, id).standing, shown(fixture, id).slots), (Standing::Draining, 0));
    fixture.store().recover(fence, id).unwrap().unwrap();
    assert_eq!((shown(fixture, id).standing, shown(fixture, id).slots), (Standing::Dead, 0));
    fixture.store().drain(id).unwrap();
    assert_eq!(shown(fixture, id).standing, Standing::Dead);
    assert_eq!(shown(fixture, fence.generation).standing, Standing::Alive);
}

pub fn loads_tell_what_was_assigned_and_settled(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    let load = |of: GenerationId| {
        let found = fixture.store().loads().unwrap().into_iter().find(|one| one.generation == of);
        found.map(|one| (one.load.slots, one.load.assigned, one.load.settled))
    };
    assert_eq!(load(executor), Some((4, 0, 0)));
    let dues = fixture.ingest(&[task(1), task(2), task(3)]);
    let claims = fixture.claim(fence, executor, &dues);
    assert_eq!(load(executor), Some((4, 3, 0)));
    fixture.settle(executor, &succeeded(claims[0]));
    fixture.settle(executor, &succeeded(claims[0]));
    assert_eq!(load(executor), Some((4, 3, 1)), "a repeat settles nothing more");
    assert_eq!(load(fence.generation), Some((4, 0, 0)));
    fixture.store().drain(executor).unwrap();
    assert_eq!(load(executor), None, "only the living are given work");
}

pub fn a_dead_one_is_told_by_its_heartbeat(fixture: &Fixture) {
    let fence = fixture.master();
    let id = fixture.generation(2);
    assert!(fixture.store().beat(id, Beat::default()).unwrap());
    fixture.store().drain(id).unwrap();
    assert!(fixture.store().beat(id, Beat::default()).unwrap(), "its calls go on");
    fixture.store().recover(fence, id).unwrap().unwrap();
    assert!(!fixture.store().beat(id, Beat::default()).unwrap());
}
