//! What the master reads, claims and calls off.

use std::time::Duration;

use task_scheduler::domain::{Claim, Due, Misfire, NewTask, State, TaskId, Timestamp};
use task_scheduler::store::{Claimed, Order, Ruled, Settled};

use crate::fixtures::{BASE, Fixture, id, one, returned, task};

fn ids(dues: &[Due]) -> Vec<TaskId> {
    dues.iter().map(|due| due.id).collect()
}

fn at(number: u64, seconds: u64) -> NewTask {
    NewTask { run_at: BASE.plus(Duration::from_secs(seconds)), ..task(number) }
}

pub fn scheduled_ones_come_in_the_order_of_instant_and_id(fixture: &Fixture) {
    let mut urgent = at(4, 30);
    urgent.spec.priority = 9;
    urgent.spec.misfire = Misfire::ExpireAfterMs(77);
    fixture.ingest(&[at(5, 20), urgent, at(2, 20), at(9, 10)]);
    let dues = fixture.scheduled();
    assert_eq!(ids(&dues), [id(9), id(2), id(5), id(4)]);
    assert_eq!((dues[3].priority, dues[3].misfire), (9, Misfire::ExpireAfterMs(77)));
    assert_eq!(ids(&fixture.store().scheduled(None, BASE.plus(Duration::from_secs(99)), 2).unwrap()), [id(9), id(2)]);
    assert_eq!(fixture.store().scheduled(None, BASE.plus(Duration::from_secs(99)), 0).unwrap(), []);
}

pub fn a_cursor_goes_through_many_tasks_of_one_instant(fixture: &Fixture) {
    let batch: Vec<NewTask> = (0..50).rev().map(|number| at(number, 5)).collect();
    fixture.ingest(&batch);
    fixture.ingest(&[at(100, 1), at(101, 9)]);
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let piece = fixture.store().scheduled(after, BASE.plus(Duration::from_secs(9)), 7).unwrap();
        let Some(last) = piece.last() else { break };
        after = Some(last.key());
        read.extend(ids(&piece));
    }
    let expected: Vec<TaskId> = std::iter::once(100).chain(0..50).chain(std::iter::once(101)).map(id).collect();
    assert_eq!(read, expected);
}

pub fn only_what_is_due_until_then_and_scheduled_is_read(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.claimed(fence, at(1, 1));
    fixture.ingest(&[at(2, 2), at(3, 3), at(4, 4)]);
    fixture.store().cancel(id(2)).unwrap();
    let until = BASE.plus(Duration::from_secs(3));
    assert_eq!(ids(&fixture.store().scheduled(None, until, 10).unwrap()), [id(3)], "due exactly then counts");
    let before = Timestamp::from_micros(until.micros() - 1);
    assert_eq!(fixture.store().scheduled(None, before, 10).unwrap(), []);
}

pub fn the_oldest_due_task_tells_how_far_behind_all_is(fixture: &Fixture) {
    let seconds = |seconds: u64| Duration::from_secs(seconds);
    let overdue = || fixture.store().overdue().unwrap();
    let fence = fixture.master();
    assert_eq!(overdue(), Duration::ZERO, "there is none");
    let now = fixture.store().now().unwrap();
    let due = |number: u64, run_at: Timestamp| NewTask { run_at, ..task(number) };
    fixture.ingest(&[due(1, now.plus(seconds(1_000)))]);
    assert_eq!(overdue(), Duration::ZERO, "it is not due");
    fixture.claimed(fence, due(2, now.minus(seconds(5_000))));
    assert_eq!(overdue(), Duration::ZERO, "it is claimed");
    fixture.ingest(&[due(3, now.minus(seconds(100))), due(4, now.minus(seconds(300)))]);
    assert!((seconds(300)..seconds(360)).contains(&overdue()), "{:?}", overdue());
    fixture.store().cancel(id(4)).unwrap();
    assert!((seconds(100)..seconds(160)).contains(&overdue()), "{:?}", overdue());
}

pub fn what_is_due_in_between_is_counted_no_further_than_asked(fixture: &Fixture) {
    let fence = fixture.master();
    let at = |number: u64| BASE.plus(Duration::from_secs(number));
    fixture.ingest(&(0..10).map(task).collect::<Vec<_>>());
    let counted = |from, to, most| fixture.store().due_between(at(from), at(to), most).unwrap();
    assert_eq!((counted(2, 5, 99), counted(0, 60, 99), counted(20, 60, 99)), (3, 10, 0), "the end is not included");
    assert_eq!((counted(0, 60, 4), counted(0, 60, 0)), (4, 0));
    fixture.claimed(fence, NewTask { run_at: at(3), ..task(50) });
    fixture.store().cancel(id(4)).unwrap();
    assert_eq!(counted(2, 5, 99), 2, "only what is scheduled");
}

pub fn a_claim_assigns_and_counts(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    let before = fixture.store().now().unwrap();
    let dues = fixture.ingest(&[task(1), task(2)]);
    let claims = fixture.claim(fence, executor, &dues);
    assert_eq!(claims, [Claim { id: id(1), claim_no: 1 }, Claim { id: id(2), claim_no: 1 }]);
    let claimed = fixture.find(id(1));
    assert_eq!((claimed.state, claimed.attempt), (State::Dispatched, 0));
    assert_eq!((claimed.node.as_deref(), claimed.epoch), (Some("node-2"), Some(fence.epoch)));
    assert!(claimed.dispatched_at.is_some_and(|at| before <= at));
    assert_eq!((claimed.started_at, claimed.finished_at), (None, None));
    assert_eq!(fixture.counts(), [(State::Dispatched, 2)]);
    assert_eq!(fixture.scheduled(), []);
}

pub fn a_large_claim_takes_each_of_its_orders_once_and_for_its_own_generation(fixture: &Fixture) {
    let fence = fixture.master();
    let other = fixture.generation(2);
    let dues = fixture.ingest(&(0..100).map(task).collect::<Vec<_>>());
    for number in [3, 40, 41, 97] {
        fixture.store().cancel(id(number)).unwrap();
    }
    let mut orders: Vec<Order> = (0..)
        .zip(&dues)
        .map(|(n, due)| Order { due: *due, generation: if n % 2 == 0 { fence.generation } else { other } })
        .collect();
    orders[60].due.due_at = BASE;
    orders.extend_from_within(10..50);
    let Claimed::Done { claims, refused } = fixture.store().claim(fence, &orders).unwrap() else { panic!("fenced") };
    assert_eq!(refused, []);
    for (generation, expected) in [(fence.generation, 48), (other, 47)] {
        let (_, claims) = claims.iter().find(|(owner, _)| *owner == generation).unwrap();
        let assigned = one(fixture.store().assigned(generation, 0, 10).unwrap());
        assert_eq!((claims.len(), assigned.tasks.len()), (expected, expected));
        let (mut claims, mut told) = (claims.clone(), assigned.tasks.iter().map(|task| task.claim).collect::<Vec<_>>());
        claims.sort_unstable();
        told.sort_unstable();
        assert_eq!(claims, told);
    }
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Dispatched, 95), (State::Cancelled, 4)]);
    assert_eq!(fixture.state(id(60)), State::Scheduled);
}

pub fn a_claim_needs_the_expected_instant(fixture: &Fixture) {
    let fence = fixture.master();
    let due = one(fixture.ingest(&[task(1)]));
    let moved = |by: i64| Due { due_at: Timestamp::from_micros(due.due_at.micros() + by), ..due };
    assert_eq!(fixture.claim(fence, fence.generation, &[moved(1), moved(-1)]), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    assert_eq!(fixture.store().assigned(fence.generation, 0, 10).unwrap(), [], "nothing claimed, nothing assigned");
    assert_eq!(fixture.claim(fence, fence.generation, &[moved(0)]).len(), 1);
}

pub fn a_task_is_claimed_once(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    let dues = fixture.ingest(&[task(1)]);
    let twice = [dues[0], dues[0]];
    assert_eq!(fixture.claim(fence, executor, &twice).len(), 1, "not even twice in one claim");
    assert_eq!(fixture.claim(fence, executor, &dues), []);
    assert_eq!(fixture.claim(fence, fence.generation, &dues), [], "nor for another");
    let nobody = Due { id: id(99), ..dues[0] };
    assert_eq!(fixture.claim(fence, executor, &[nobody]), []);
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
}

pub fn one_claim_may_name_several_generations(fixture: &Fixture) {
    let fence = fixture.master();
    let (second, third) = (fixture.generation(2), fixture.generation(3));
    let dues = fixture.ingest(&[task(1), task(2), task(3)]);
    let orders: Vec<Order> =
        dues.iter().zip([second, third, second]).map(|(due, generation)| Order { due: *due, generation }).collect();
    let Claimed::Done { mut claims, refused } = fixture.store().claim(fence, &orders).unwrap() else {
        panic!("fenced")
    };
    claims.sort();
    let claim = |number| Claim { id: id(number), claim_no: 1 };
    assert_eq!(claims, [(second, vec![claim(1), claim(3)]), (third, vec![claim(2)])]);
    assert_eq!(refused, []);
}

pub fn a_deposed_master_claims_nothing(fixture: &Fixture) {
    let old = fixture.master();
    let new = fixture.reign(fixture.generation(2));
    let due = one(fixture.ingest(&[task(1)]));
    let orders = [Order { due, generation: old.generation }];
    assert_eq!(fixture.store().claim(old, &orders).unwrap(), Claimed::Fenced);
    let again = fixture.reign(old.generation);
    assert_eq!(fixture.store().claim(old, &orders).unwrap(), Claimed::Fenced, "an older reign of the same one");
    assert_eq!(fixture.store().claim(new, &orders).unwrap(), Claimed::Fenced);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    assert_eq!(fixture.claim(again, old.generation, &[due]).len(), 1);
}

pub fn a_claim_for_a_generation_that_is_not_alive_is_refused(fixture: &Fixture) {
    let fence = fixture.master();
    let (draining, dead) = (fixture.generation(2), fixture.generation(3));
    fixture.store().drain(draining).unwrap();
    fixture.store().recover(fence, dead).unwrap().unwrap();
    let dues = fixture.ingest(&[task(1), task(2), task(3)]);
    let orders: Vec<Order> = dues
        .iter()
        .zip([draining, dead, fence.generation])
        .map(|(due, generation)| Order { due: *due, generation })
        .collect();
    let Claimed::Done { claims, mut refused } = fixture.store().claim(fence, &orders).unwrap() else {
        panic!("fenced")
    };
    refused.sort_unstable();
    assert_eq!(claims, [(fence.generation, vec![Claim { id: id(3), claim_no: 1 }])]);
    assert_eq!(refused, [draining, dead]);
    assert_eq!(fixture.counts(), [(State::Scheduled, 2), (State::Dispatched, 1)]);
}

pub fn claims_of_one_task_are_numbered(fixture: &Fixture) {
    let fence = fixture.master();
    let mut due = one(fixture.ingest(&[task(1)]));
    for claim_no in 1..=4 {
        let claim = one(fixture.claim(fence, fence.generation, &[due]));
        assert_eq!(claim, Claim { id: id(1), claim_no });
        let back = returned(claim, due.due_at.plus(Duration::from_millis(1)));
        let Settled::Applied(Some(next)) = fixture.settle(fence.generation, &back) else { panic!("not given back") };
        due = next;
    }
}

pub fn only_the_overdue_expires(fixture: &Fixture) {
    let fence = fixture.master();
    let hour_ms = 3_600_000;
    let now = fixture.store().now().unwrap();
    let mut overdue = task(1);
    overdue.spec.misfire = Misfire::ExpireAfterMs(hour_ms);
    let mut late = overdue.clone();
    (late.id, late.run_at) = (id(2), now.minus(Duration::from_mins(1)));
    let dues = fixture.ingest(&[overdue, late, task(3)]);
    assert_eq!(fixture.expire(fence, &dues), [id(1)]);

    let ended = fixture.find(id(1));
    assert_eq!((ended.state, ended.attempt, ended.started_at), (State::Expired, 0, None));
    assert!(ended.finished_at.is_some_and(|at| now <= at));
    assert!(ended.last_error.is_some_and(|error| error.contains("misfire")));
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 2), (State::Expired, 1)]);
    assert_eq!(fixture.expire(fence, &dues), [], "once");
}

pub fn expiring_needs_the_expected_instant_and_the_fence(fixture: &Fixture) {
    let old = fixture.master();
    let fence = fixture.reign(fixture.generation(2));
    let mut overdue = task(1);
    overdue.spec.misfire = Misfire::ExpireAfterMs(0);
    let due = one(fixture.ingest(&[overdue.clone()]));
    let moved = Due { due_at: due.due_at.minus(Duration::from_secs(1)), ..due };
    assert_eq!(fixture.expire(fence, &[moved]), []);
    assert_eq!(fixture.store().expire(old, &[due]).unwrap(), Ruled::Fenced, "deposed");
    let claim = one(fixture.claim(fence, fence.generation, &[due]));
    assert_eq!(fixture.expire(fence, &[due]), [], "dispatched");
    fixture.settle(fence.generation, &returned(claim, due.due_at));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    assert_eq!(fixture.expire(fence, &[due]), [id(1)]);
}
