//! What only an embedded store can promise: one process per folder, and a clock that is its process's own.

use std::time::Duration;

use task_scheduler::domain::{GenerationId, Misfire, State};
use task_scheduler::store::{Beat, DeadLetter, Ingested, OffsetMove, Recovered, Settled, Standing, Stretch};

use crate::fixtures::{Fixture, at_least_once, id, one, retried, sqlite, succeeded, task};

const HOUR_US: i64 = 3_600_000_000;

#[test]
fn a_second_holder_of_a_folder_is_refused_and_told_who_holds_it() {
    let fixture = sqlite();
    let Err(refused) = fixture.open_second() else { panic!("two processes on one folder") };
    let said = refused.to_string();
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    assert!(said.contains(&fixture.folder.path().display().to_string()), "{said}");
    assert!(!refused.is_passing(), "trying again does not help");
    fixture.ingest(&[task(1)]);
}

fn filled(fixture: &Fixture) -> GenerationId {
    let fence = fixture.master();
    fixture.store().beat(fence.generation, Beat { free_slots: 4, clock_offset_us: 0, reads_topic: false }).unwrap();
    let claim = fixture.started(fence, task(1));
    fixture.settle(fence.generation, &succeeded(claim));
    fixture.unknown(fence, task(2));
    fixture.started(fence, task(3));
    fixture.claimed(fence, task(4));
    let tried = fixture.started(fence, task(5));
    fixture.settle(fence.generation, &retried(tried, task(5).run_at));
    let moved = OffsetMove { topic_id: "topic".to_owned(), partition: 0, from: None, to: 9 };
    let letter = DeadLetter { origin: "o".to_owned(), reason: "r".to_owned(), record: vec![1] };
    let records = vec![(8, vec![])];
    let stretch = Stretch { offset: moved, tasks: vec![task(6)], records, letters: vec![letter] };
    fixture.store().ingest_from(&stretch).unwrap().unwrap();
    fixture.store().cancel(id(6)).unwrap();
    fence.generation
}

#[test]
fn a_reopened_store_keeps_everything() {
    let mut fixture = sqlite();
    filled(&fixture);
    let picture = |fixture: &Fixture| {
        let tasks: Vec<_> = (1..=6).map(|number| fixture.find(id(number))).collect();
        let attempts: Vec<_> = (1..=6).map(|number| fixture.store().attempts(id(number)).unwrap()).collect();
        (tasks, attempts, fixture.counts(), fixture.scheduled(), fixture.store().terms(10).unwrap())
    };
    let before = picture(&fixture);
    fixture.reopen();
    assert_eq!(picture(&fixture), before);
    assert_eq!(fixture.store().offsets("topic").unwrap(), [(0, 9)]);
    assert_eq!(fixture.store().dead_letters().unwrap(), 1);
    assert_eq!(fixture.store().ingest(&[task(1), task(6)]).unwrap(), [Ingested::Same; 2]);
}

#[test]
fn a_reopened_store_knows_that_earlier_generations_are_gone() {
    let mut fixture = sqlite();
    let earlier = filled(&fixture);
    fixture.reopen();
    let left = one(fixture.store().generations().unwrap());
    assert_eq!((left.id, left.standing, left.gone), (earlier, Standing::Alive, true));
    assert_eq!(fixture.store().loads().unwrap(), [], "it is given no work");

    let fence = fixture.reign(fixture.generation(2));
    assert_eq!(fence.epoch.0, 2, "epochs are counted on");
    let shown = fixture.store().generations().unwrap();
    assert!(shown.iter().all(|one| one.gone == (one.id == earlier)));
    let recovered = fixture.store().recover(fence, earlier).unwrap().unwrap();
    let again: Vec<_> = recovered.scheduled.iter().map(|due| due.id).collect();
    assert_eq!((again, recovered.unknown), (vec![id(4)], vec![id(3)]));
    assert_eq!(
        fixture.counts(),
        [(State::Scheduled, 2), (State::Succeeded, 1), (State::Unknown, 2), (State::Cancelled, 1)]
    );
}

/// Claims, starts, ends and recoveries across a jump of the wall clock.
fn goes_on_across_a_jump(by_us: i64) {
    let fixture = sqlite();
    let (fence, dead) = (fixture.master(), fixture.generation(2));
    let dues = fixture.ingest(&[task(1), at_least_once(2), task(3), task(4), task(5)]);
    let claims = fixture.claim(fence, dead, &dues[..3]);
    let own = fixture.started(fence, task(9));
    fixture.store().start(dead, &claims[..1]).unwrap().unwrap();
    let then = fixture.store().now().unwrap();
    fixture.clock.shift_wall(by_us);
    let moved = fixture.store().now().unwrap().micros() - then.micros();
    assert!((moved - by_us).abs() < HOUR_US / 2, "the database's clock is this process's wall clock");

    assert!(fixture.store().start(dead, &claims[1..2]).unwrap().is_some());
    assert_eq!(fixture.settle(fence.generation, &succeeded(own)), Settled::Applied(None));
    assert_eq!(fixture.claim(fence, fence.generation, &dues[3..4]).len(), 1, "of this reign still");
    assert!(fixture.store().renew(fence, Duration::from_secs(3)).unwrap());
    let successor = fixture.reign(fixture.generation(3));
    assert_eq!(successor.epoch.0, fence.epoch.0 + 1);
    let recovered = fixture.store().recover(successor, dead).unwrap().unwrap();
    assert_eq!(recovered.unknown, [id(1)]);
    assert_eq!(recovered.scheduled.iter().map(|due| due.id).collect::<Vec<_>>(), [id(2), id(3)]);
    assert_eq!(fixture.store().recover(successor, dead).unwrap(), Some(Recovered::default()));
    assert_eq!(fixture.claim(successor, successor.generation, &recovered.scheduled).len(), 2);
    assert_eq!(fixture.scheduled(), dues[4..], "what is due keeps its instant");
    assert_eq!(
        fixture.counts(),
        [(State::Scheduled, 1), (State::Dispatched, 3), (State::Succeeded, 1), (State::Unknown, 1)]
    );
}

#[test]
fn a_wall_clock_that_jumps_back_stops_nothing() {
    goes_on_across_a_jump(-24 * HOUR_US);
}

#[test]
fn a_wall_clock_that_jumps_ahead_stops_nothing() {
    goes_on_across_a_jump(24 * HOUR_US);
}

#[test]
fn a_misfire_is_judged_by_the_databases_clock() {
    let fixture = sqlite();
    let fence = fixture.master();
    let mut soon = task(1);
    soon.run_at = fixture.store().now().unwrap().plus(Duration::from_mins(1));
    soon.spec.misfire = Misfire::ExpireAfterMs(1_000);
    let dues = fixture.ingest(&[soon]);
    assert_eq!(fixture.expire(fence, &dues), []);
    fixture.clock.shift_wall(HOUR_US);
    assert_eq!(fixture.expire(fence, &dues), [id(1)]);
}
