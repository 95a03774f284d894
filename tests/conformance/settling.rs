//! Outcomes: each changes what is its own, once.

use std::time::Duration;

use task_scheduler::domain::{AttemptOutcome, Claim, State, Task};
use task_scheduler::store::{Done, Settled, Settlement};

use crate::fixtures::{BASE, Fixture, failed, id, lost, not_sent, one, retried, returned, succeeded, task};

const LATER: Duration = Duration::from_secs(77);

fn assert_ended(task: &Task, state: State, error: Option<&str>) {
    assert_eq!((task.state, task.attempt), (state, 1));
    assert_eq!(task.started_at, Some(BASE));
    assert_eq!(task.finished_at, Some(BASE.plus(Duration::from_millis(5))));
    assert_eq!(task.last_error.as_deref(), error);
}

pub fn a_success_ends_the_task(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    assert_eq!(fixture.settle(fence.generation, &succeeded(claim)), Settled::Applied(None));
    let ended = fixture.find(id(1));
    assert_ended(&ended, State::Succeeded, None);
    assert_eq!((ended.node.as_deref(), ended.epoch), (Some("node-1"), Some(fence.epoch)));
    assert!(ended.dispatched_at.is_some());
    assert_eq!(ended.spec, task(1).spec);

    let attempt = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!((attempt.attempt, attempt.outcome, attempt.error), (1, AttemptOutcome::Succeeded, None));
    assert_eq!((attempt.node.as_deref(), attempt.epoch), (Some("node-1"), Some(fence.epoch)));
    assert_eq!((attempt.due_at, attempt.started_at), (task(1).run_at, Some(BASE)));
    assert_eq!(attempt.finished_at, BASE.plus(Duration::from_millis(5)));
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
    assert_eq!(fixture.scheduled(), []);
}

pub fn a_failure_ends_the_task(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    assert_eq!(fixture.settle(fence.generation, &failed(claim)), Settled::Applied(None));
    assert_ended(&fixture.find(id(1)), State::Failed, Some("it ended as Failed"));
    let attempt = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!((attempt.attempt, attempt.outcome), (1, AttemptOutcome::Failed));
    assert_eq!(attempt.error.as_deref(), Some("it ended as Failed"));
    assert_eq!((attempt.node.as_deref(), attempt.epoch), (Some("node-1"), Some(fence.epoch)));
    assert_eq!(fixture.counts(), [(State::Failed, 1)]);
}

pub fn a_loss_makes_it_unknown(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.unknown(fence, task(1));
    assert_ended(&fixture.find(id(1)), State::Unknown, Some("it ended as Ambiguous"));
    let attempt = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!((attempt.attempt, attempt.outcome), (1, AttemptOutcome::Ambiguous));
    assert_eq!(fixture.counts(), [(State::Unknown, 1)]);
}

pub fn a_retry_schedules_it_again_and_counts(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    let due_at = task(1).run_at.plus(LATER);
    let Settled::Applied(Some(due)) = fixture.settle(fence.generation, &retried(claim, due_at)) else {
        panic!("not scheduled again")
    };
    assert_eq!((due.id, due.due_at), (id(1), due_at));
    assert_eq!(fixture.scheduled(), [due]);
    let again = fixture.find(id(1));
    assert_eq!((again.state, again.attempt), (State::Scheduled, 1));
    assert_eq!((again.run_at, again.due_at), (task(1).run_at, due_at));
    assert_eq!((again.node, again.epoch), (None, None), "nobody's any more");
    assert_eq!((again.started_at, again.finished_at), (Some(BASE), None));
    assert_eq!(again.last_error.as_deref(), Some("it ended as Failed"));
    let attempt = one(fixture.store().attempts(id(1)).unwrap());
    assert_eq!((attempt.attempt, attempt.outcome, attempt.due_at), (1, AttemptOutcome::Failed, task(1).run_at));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn what_was_not_sent_goes_back_and_counts_nothing(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    let settled = fixture.settle(fence.generation, &not_sent(claim, task(1).run_at));
    assert_eq!(settled, Settled::Applied(Some(one(fixture.scheduled()))));
    let back = fixture.find(id(1));
    assert_eq!((back.state, back.attempt, back.due_at), (State::Scheduled, 0, task(1).run_at));
    assert_eq!((back.node, back.epoch, back.started_at), (None, None, None));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn what_was_given_back_leaves_no_attempt(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.claimed(fence, task(1));
    let settled = fixture.settle(fence.generation, &returned(claim, task(1).run_at));
    assert_eq!(settled, Settled::Applied(Some(one(fixture.scheduled()))));
    assert_eq!(fixture.find(id(1)).attempt, 0);
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn a_retried_task_tells_every_attempt(fixture: &Fixture) {
    let fence = fixture.master();
    let executor = fixture.generation(2);
    let claim = fixture.started(fence, task(1));
    let due_at = task(1).run_at.plus(LATER);
    fixture.settle(fence.generation, &retried(claim, due_at));
    let next = one(fixture.claim(fence, executor, &fixture.scheduled()));
    let assigned = one(one(fixture.store().assigned(executor, 0, 10).unwrap()).tasks);
    assert_eq!((assigned.attempt, assigned.attempt_no(), assigned.due_at), (1, 2, due_at));
    fixture.settle(executor, &succeeded(next));

    assert_eq!((fixture.state(id(1)), fixture.find(id(1)).attempt), (State::Succeeded, 2));
    let told: Vec<_> = fixture.store().attempts(id(1)).unwrap().into_iter().collect();
    let told: Vec<_> = told.iter().map(|one| (one.attempt, one.outcome, one.node.as_deref(), one.due_at)).collect();
    assert_eq!(
        told,
        [
            (1, AttemptOutcome::Failed, Some("node-1"), task(1).run_at),
            (2, AttemptOutcome::Succeeded, Some("node-2"), due_at)
        ]
    );
}

pub fn settling_twice_changes_nothing(fixture: &Fixture) {
    let fence = fixture.master();
    let due_at = task(1).run_at;
    for number in 1..=5 {
        let claim = fixture.started(fence, task(number));
        let outcome = match number {
            1 => succeeded(claim),
            2 => failed(claim),
            3 => lost(claim),
            4 => retried(claim, due_at),
            _ => not_sent(claim, due_at),
        };
        assert!(matches!(fixture.settle(fence.generation, &outcome), Settled::Applied(_)));
        let (before, told) = (fixture.find(claim.id), fixture.store().attempts(claim.id).unwrap());
        let counts = fixture.counts();
        assert_eq!(fixture.settle(fence.generation, &outcome), Settled::Stale, "{outcome:?}");
        assert_eq!((fixture.find(claim.id), fixture.store().attempts(claim.id).unwrap()), (before, told));
        assert_eq!(fixture.counts(), counts);
    }
}

pub fn of_two_outcomes_in_one_batch_the_first_counts(fixture: &Fixture) {
    let fence = fixture.master();
    let pairs: [fn(Claim) -> [Settlement; 2]; 5] = [
        |claim| [succeeded(claim), succeeded(claim)],
        |claim| [succeeded(claim), failed(claim)],
        |claim| [failed(claim), succeeded(claim)],
        |claim| [retried(claim, BASE), succeeded(claim)],
        |claim| [succeeded(claim), retried(claim, BASE)],
    ];
    for (number, pair) in (1..).zip(pairs) {
        let claim = fixture.started(fence, task(number));
        let settled = fixture.store().settle(fence.generation, &pair(claim), &Done::default()).unwrap();
        assert!(matches!(settled[..], [Settled::Applied(_), Settled::Stale]), "{:?} {settled:?}", pair(claim));
    }
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Succeeded, 3), (State::Failed, 1)]);
}

pub fn an_older_claim_is_stale(fixture: &Fixture) {
    let fence = fixture.master();
    let old = fixture.claimed(fence, task(1));
    fixture.settle(fence.generation, &returned(old, task(1).run_at));
    let new = one(fixture.claim(fence, fence.generation, &fixture.scheduled()));
    assert!(new.claim_no > old.claim_no);
    for outcome in [succeeded(old), failed(old), lost(old), retried(old, BASE), returned(old, BASE)] {
        assert_eq!(fixture.settle(fence.generation, &outcome), Settled::Stale);
    }
    let unborn = Claim { claim_no: new.claim_no + 1, ..new };
    assert_eq!(fixture.settle(fence.generation, &succeeded(unborn)), Settled::Stale);
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
    assert_eq!(fixture.settle(fence.generation, &succeeded(new)), Settled::Applied(None));
}

pub fn an_older_claim_is_stale_beside_the_current_one(fixture: &Fixture) {
    let fence = fixture.master();
    let old = fixture.claimed(fence, task(1));
    fixture.settle(fence.generation, &returned(old, task(1).run_at));
    let new = one(fixture.claim(fence, fence.generation, &fixture.scheduled()));
    let batch = [failed(old), succeeded(old), succeeded(new), succeeded(old)];
    let settled = fixture.store().settle(fence.generation, &batch, &Done::default()).unwrap();
    assert_eq!(settled, [Settled::Stale, Settled::Stale, Settled::Applied(None), Settled::Stale]);
    assert_eq!(fixture.counts(), [(State::Succeeded, 1)]);
    let load = one(fixture.store().loads().unwrap()).load;
    assert_eq!((load.assigned, load.settled), (2, 2), "each claim is settled once");
}

pub fn another_generations_outcome_is_stale(fixture: &Fixture) {
    let fence = fixture.master();
    let other = fixture.generation(2);
    let claim = fixture.started(fence, task(1));
    for outcome in [succeeded(claim), failed(claim), lost(claim), retried(claim, BASE)] {
        assert_eq!(fixture.settle(other, &outcome), Settled::Stale);
    }
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
}

pub fn a_batch_is_answered_in_its_order(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2), task(3)]);
    let claims = fixture.claim(fence, fence.generation, &dues);
    let gone = Claim { claim_no: 9, ..claims[0] };
    let batch = [lost(claims[2]), succeeded(gone), retried(claims[0], BASE), succeeded(claims[1])];
    let settled = fixture.store().settle(fence.generation, &batch, &Done::default()).unwrap();
    assert!(
        matches!(
            settled[..],
            [Settled::Applied(None), Settled::Stale, Settled::Applied(Some(due)), Settled::Applied(None)]
                if due.id == id(1) && due.due_at == BASE
        ),
        "{settled:?}"
    );
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Succeeded, 1), (State::Unknown, 1)]);
}

pub fn a_large_batch_settles_just_what_is_its_own(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..100).map(task).collect::<Vec<_>>());
    let claims = fixture.claim(fence, fence.generation, &dues);
    let of = |number: u128| *claims.iter().find(|claim| claim.id == id(number)).unwrap();
    fixture.settle(fence.generation, &failed(of(10)));
    fixture.settle(fence.generation, &lost(of(50)));
    let mut batch: Vec<Settlement> = (0..100).map(|number| succeeded(of(number))).collect();
    batch[20] = succeeded(Claim { claim_no: 7, ..of(20) });
    batch[31] = succeeded(of(30));
    batch[70] = retried(of(70), BASE);
    let settled = fixture.store().settle(fence.generation, &batch, &Done::default()).unwrap();
    for (number, outcome) in settled.iter().enumerate() {
        match number {
            10 | 20 | 31 => assert_eq!(*outcome, Settled::Stale, "{number}"),
            70 => assert!(matches!(outcome, Settled::Applied(Some(due)) if due.id == id(70)), "{outcome:?}"),
            _ => assert_eq!(*outcome, Settled::Applied(None), "{number}"),
        }
    }
    let left = [(State::Scheduled, 1), (State::Dispatched, 2), (State::Succeeded, 96), (State::Failed, 1)];
    assert_eq!(fixture.counts(), left);
    assert_eq!((fixture.state(id(20)), fixture.state(id(31))), (State::Dispatched, State::Dispatched));
    let ended = fixture.find(id(99));
    assert_eq!((ended.state, ended.attempt), (State::Succeeded, 1));
    assert_eq!((ended.started_at, ended.finished_at), (Some(BASE), Some(BASE.plus(Duration::from_millis(5)))));
}

pub fn two_claims_of_one_task_in_a_large_batch_settle_once(fixture: &Fixture) {
    let fence = fixture.master();
    let old = fixture.claimed(fence, task(5));
    fixture.settle(fence.generation, &returned(old, task(5).run_at));
    let dues = fixture.ingest(&(10..50).map(task).collect::<Vec<_>>());
    let mut claims = fixture.claim(fence, fence.generation, &[fixture.scheduled(), dues].concat());
    claims.push(old);
    claims.sort_unstable();
    let batch: Vec<Settlement> = claims.iter().map(|claim| succeeded(*claim)).collect();
    let settled = fixture.store().settle(fence.generation, &batch, &Done::default()).unwrap();
    for (claim, outcome) in claims.iter().zip(settled) {
        assert_eq!(outcome == Settled::Stale, *claim == old, "{claim:?}");
    }
    assert_eq!(fixture.counts(), [(State::Succeeded, 41)]);
}

pub fn a_batch_that_cannot_be_applied_changes_nothing(fixture: &Fixture) {
    let fence = fixture.master();
    let (one, other) = (fixture.started(fence, task(1)), fixture.started(fence, task(2)));
    let endless = Settlement { attempt: None, ..failed(other) };
    assert!(fixture.store().settle(fence.generation, &[succeeded(one), endless], &Done::default()).is_err());
    assert_eq!(fixture.counts(), [(State::Dispatched, 2)]);
    let both = [succeeded(one), failed(other)];
    let settled = fixture.store().settle(fence.generation, &both, &Done::default()).unwrap();
    assert_eq!(settled, [Settled::Applied(None); 2]);
}

pub fn an_unknown_task_id_is_stale(fixture: &Fixture) {
    let fence = fixture.master();
    let nothing = Claim { id: id(404), claim_no: 1 };
    assert_eq!(fixture.settle(fence.generation, &succeeded(nothing)), Settled::Stale);
    assert_eq!(fixture.settle(fence.generation, &retried(nothing, BASE)), Settled::Stale);
    assert_eq!(fixture.store().attempts(id(404)).unwrap(), []);
    assert_eq!(fixture.counts(), []);
}

pub fn a_master_may_be_deposed_before_the_outcome(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    fixture.reign(fixture.generation(2));
    assert_eq!(fixture.settle(fence.generation, &succeeded(claim)), Settled::Applied(None));
    assert_eq!(fixture.find(id(1)).epoch, Some(fence.epoch), "the epoch of its claim, not the current one");
}
