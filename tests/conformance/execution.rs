//! What an executor reads and writes before a call.

use task_scheduler::domain::{Claim, State};
use task_scheduler::store::{Done, Recovered};

use crate::fixtures::{Fixture, id, one, succeeded, task};

pub fn assignments_come_once_in_order_with_whole_tasks(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    let dues = fixture.ingest(&[task(1), task(2), task(3), task(4)]);
    for batch in [&dues[2..], &dues[..1], &dues[1..2]] {
        fixture.claim(fence, executor, batch);
    }
    let (mut after, mut read) = (0, Vec::new());
    loop {
        let piece = fixture.store().assigned(executor, after, 1).unwrap();
        let Some(assignment) = piece.into_iter().next() else { break };
        assert!(assignment.seq > after, "only forward");
        after = assignment.seq;
        read.push(assignment.tasks);
    }
    let claimed: Vec<Vec<u128>> =
        read.iter().map(|tasks| tasks.iter().map(|task| task.claim.id.0.as_u128()).collect()).collect();
    assert_eq!(claimed, [vec![3, 4], vec![1], vec![2]]);
    let (asked, got) = (task(3), &read[0][0]);
    assert_eq!(got.claim, Claim { id: id(3), claim_no: 1 });
    assert_eq!((got.epoch, got.attempt), (fence.epoch, 0));
    assert_eq!((got.run_at, got.due_at), (asked.run_at, asked.run_at));
    assert_eq!(got.spec, asked.spec);
    assert_eq!(fixture.store().assigned(executor, 0, 10).unwrap().len(), 3, "all of them with a higher limit");
    let seqs: Vec<i64> = fixture.store().assigned(executor, 0, 10).unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(fixture.store().assigned(executor, seqs[0], 10).unwrap().len(), 2);
}

pub fn assignments_of_others_are_not_shown(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    fixture.claimed(fence, task(1));
    assert_eq!(fixture.store().assigned(executor, 0, 10).unwrap(), []);
    assert_eq!(one(fixture.store().assigned(fence.generation, 0, 10).unwrap()).tasks.len(), 1);
}

pub fn what_was_settled_is_not_assigned_any_more(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2)]);
    let claims = fixture.claim(fence, fence.generation, &dues);
    fixture.settle(fence.generation, &succeeded(claims[0]));
    let left = one(fixture.store().assigned(fence.generation, 0, 10).unwrap()).tasks;
    assert_eq!(one(left).claim, claims[1]);
}

pub fn done_rows_go_and_only_their_owners(fixture: &Fixture) {
    let fence = fixture.master();
    let other = fixture.generation(2);
    let claim = fixture.claimed(fence, task(1));
    let assignment = one(fixture.store().assigned(fence.generation, 0, 10).unwrap());
    let record = fixture.store().start(fence.generation, &[claim]).unwrap().unwrap();
    let done = Done { assignments: vec![assignment.seq], start_records: vec![record.seq] };

    fixture.store().settle(other, &[], &done).unwrap();
    assert_eq!(fixture.store().assigned(fence.generation, 0, 10).unwrap().len(), 1, "another's rows stay");
    fixture.store().settle(fence.generation, &[succeeded(claim)], &done).unwrap();
    assert_eq!(fixture.store().assigned(fence.generation, 0, 10).unwrap(), []);

    let next = fixture.claimed(fence, task(2));
    let newer = one(fixture.store().assigned(fence.generation, 0, 10).unwrap());
    assert!(newer.seq > assignment.seq, "a number is never used again, or a reader would miss the row");
    let next_record = fixture.store().start(fence.generation, &[next]).unwrap().unwrap();
    assert!(next_record.seq > record.seq);
}

pub fn only_an_alive_generation_starts(fixture: &Fixture) {
    let fence = fixture.master();
    let (draining, dead) = (fixture.generation(2), fixture.generation(3));
    let dues = fixture.ingest(&[task(1), task(2)]);
    let of_draining = one(fixture.claim(fence, draining, &dues[..1]));
    let of_dead = one(fixture.claim(fence, dead, &dues[1..]));
    assert_eq!(fixture.store().drain(draining).unwrap(), dues[..1]);
    assert_eq!(
        fixture.store().recover(fence, dead).unwrap(),
        Some(Recovered { scheduled: dues[1..].to_vec(), unknown: vec![] })
    );
    assert_eq!(fixture.store().start(draining, &[of_draining]).unwrap(), None);
    assert_eq!(fixture.store().start(dead, &[of_dead]).unwrap(), None);
    let stranger = task_scheduler::domain::GenerationId(uuid::Uuid::from_u128(999));
    assert_eq!(fixture.store().start(stranger, &[of_dead]).unwrap(), None, "one that never was");
    assert_eq!(fixture.counts(), [(State::Scheduled, 2)]);
}

pub fn a_start_shows_in_the_task(fixture: &Fixture) {
    let fence = fixture.master();
    let before = fixture.store().now().unwrap();
    let claim = fixture.started(fence, task(1));
    let running = fixture.find(claim.id);
    assert_eq!(running.state, State::Dispatched);
    assert!(running.started_at.is_some_and(|at| before <= at && at <= fixture.store().now().unwrap()));
}
