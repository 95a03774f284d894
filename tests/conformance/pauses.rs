//! Pausing dispatch, what comes due meanwhile, and how it is let go.

use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use task_scheduler::domain::limits::PAUSES_MAX;
use task_scheduler::domain::{Due, Misfire, NewTask, Pause, State, TaskId, Timestamp};
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::{Change, Claimed, Fence, Filter, Ingested, LetGo, Order, Paused, Ruled, Step, Store};

use crate::fixtures::{BASE, Fixture, id, one, task};
use crate::services::postgres::server;
use crate::shared::until;

/// Beyond every real instant, and before the end of time.
const FAR: Timestamp = Timestamp::from_micros(Timestamp::NEVER.micros() - 1);

fn label(number: u64) -> (String, String) {
    ("number".to_owned(), number.to_string())
}

fn pause(store: &dyn Store, label: Option<&(String, String)>) -> Pause {
    match store.pause(label, None).unwrap() {
        Paused::New(pause) | Paused::Known(pause) => pause,
        Paused::Full => panic!("there is room"),
    }
}

/// As a master does it, that has read the pauses just now.
fn claim(fixture: &Fixture, fence: Fence, dues: &[Due]) -> Vec<TaskId> {
    let orders: Vec<Order> = dues.iter().map(|due| Order { due: *due, generation: fence.generation }).collect();
    let pauses = fixture.store().pauses().unwrap().count;
    match fixture.store().claim_under(fence, pauses, &orders).unwrap() {
        Claimed::Done { claims, .. } => {
            claims.into_iter().flat_map(|(_, claims)| claims).map(|claim| claim.id).collect()
        }
        refused => panic!("{refused:?}"),
    }
}

/// The ids that match, in order.
fn park(fixture: &Fixture, fence: Fence, dues: &[Due]) -> Vec<TaskId> {
    let pauses = fixture.store().pauses().unwrap();
    let mut matching = done(fixture.store().park(fence, pauses.count, &pauses.holds(&|_| None), dues).unwrap());
    matching.sort_unstable();
    matching
}

fn let_go(fixture: &Fixture, fence: Fence, pause: &Pause, limit: usize) -> LetGo {
    let_go_after(fixture, fence, Step { pause: pause.id, after: None, reached: None, limit })
}

fn let_go_after(fixture: &Fixture, fence: Fence, step: Step) -> LetGo {
    let count = fixture.store().pauses().unwrap().count;
    let mut gone = done(fixture.store().let_go(fence, count, &step).unwrap());
    gone.tasks.sort_by_key(Due::key);
    gone
}

fn done<T: std::fmt::Debug>(ruled: Ruled<T>) -> T {
    match ruled {
        Ruled::Done(done) => done,
        refused => panic!("{refused:?}"),
    }
}

/// What a look-ahead would find.
fn visible(fixture: &Fixture) -> Vec<TaskId> {
    fixture.store().scheduled(None, FAR, 1_000).unwrap().iter().map(|due| due.id).collect()
}

pub fn a_claim_that_does_not_know_of_a_pause_is_refused(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2)]);
    let before = fixture.store().pauses().unwrap();
    assert_eq!((before.count, before.all.len()), (0, 0));
    let paused = pause(fixture.store(), Some(&label(1)));
    let orders = [Order { due: dues[1], generation: fence.generation }];
    assert_eq!(fixture.store().claim(fence, &orders).unwrap(), Claimed::Outdated, "whatever it is that it claims");
    assert_eq!(fixture.store().park(fence, before.count, &before.holds(&|_| None), &dues).unwrap(), Ruled::Outdated);
    let now = fixture.store().pauses().unwrap();
    assert_eq!(now.all, [paused]);
    assert_eq!(claim(fixture, fence, &dues[1..]), [id(2)]);
    // Each change counts.
    fixture.store().resume(now.all[0].id, None).unwrap().unwrap();
    assert_eq!(fixture.store().claim_under(fence, now.count, &[]).unwrap(), Claimed::Outdated);
    assert_eq!(
        fixture
            .store()
            .let_go(fence, now.count, &Step { pause: now.all[0].id, after: None, reached: None, limit: 9 })
            .unwrap(),
        Ruled::Outdated
    );
}

pub fn a_label_holds_back_what_has_it_and_nothing_else(fixture: &Fixture) {
    let fence = fixture.master();
    let mut other = task(3);
    other.spec.labels = [("number".to_owned(), "10".to_owned()), ("1".to_owned(), "number".to_owned())].into();
    let mut more = task(4);
    more.spec.labels = [("a".to_owned(), "b".to_owned()), ("number".to_owned(), "1".to_owned())].into();
    let mut none = task(5);
    none.spec.labels.clear();
    let dues = fixture.ingest(&[task(1), task(2), other, more, none]);
    pause(fixture.store(), Some(&label(1)));
    assert_eq!(park(fixture, fence, &dues), [id(1), id(4)]);
    assert_eq!(visible(fixture), [id(2), id(3), id(5)]);
    let mut claimed = claim(fixture, fence, &dues);
    claimed.sort_unstable();
    assert_eq!(claimed, [id(2), id(3), id(5)], "what is parked is not due as expected any more");
    assert_eq!(fixture.counts(), [(State::Scheduled, 2), (State::Dispatched, 3)]);
}

pub fn without_a_label_everything_is_held_back(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..700).map(task).collect::<Vec<_>>());
    pause(fixture.store(), Some(&label(3)));
    let whole = pause(fixture.store(), None);
    assert_eq!(park(fixture, fence, &dues).len(), 700);
    assert_eq!((claim(fixture, fence, &dues), visible(fixture)), (vec![], vec![]));
    assert_eq!(fixture.store().waiting(&[999, whole.id]).unwrap(), [0, 700]);
    assert_eq!(fixture.counts(), [(State::Scheduled, 700)]);
}

pub fn what_is_parked_is_shown_as_it_is_really_due(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2)]);
    pause(fixture.store(), Some(&label(1)));
    park(fixture, fence, &dues);
    let (parked, free) = (fixture.find(id(1)), fixture.find(id(2)));
    assert_eq!((parked.due_at, parked.run_at, parked.paused), (dues[0].due_at, dues[0].due_at, true));
    assert_eq!((parked.state, parked.attempt), (State::Scheduled, 0));
    assert_eq!((free.due_at, free.paused), (dues[1].due_at, false));
    let listed = fixture.store().list(&Filter { limit: 9, ..Filter::default() }).unwrap();
    let told: Vec<_> = listed.tasks.iter().map(|task| (task.id, task.due_at, task.paused)).collect();
    assert_eq!(told, [(id(2), dues[1].due_at, false), (id(1), dues[0].due_at, true)]);
    assert_eq!(fixture.store().attempts(id(1)).unwrap(), []);
}

pub fn only_what_is_still_as_expected_is_parked(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2), task(3), task(4)]);
    fixture.claim(fence, fence.generation, &dues[..1]);
    fixture.store().cancel(id(2)).unwrap();
    let moved = Due { due_at: dues[2].due_at.minus(Duration::from_secs(1)), ..dues[2] };
    let whole = pause(fixture.store(), None);
    let batch = [dues[0], dues[1], moved, dues[3], dues[3], Due { id: id(99), ..dues[3] }];
    park(fixture, fence, &batch);
    assert_eq!(fixture.store().waiting(&[whole.id]).unwrap(), [1]);
    assert_eq!((fixture.state(id(1)), fixture.state(id(2))), (State::Dispatched, State::Cancelled));
    assert_eq!((fixture.find(id(3)).paused, fixture.find(id(3)).due_at), (false, dues[2].due_at));
    assert_eq!((fixture.find(id(4)).paused, fixture.find(id(4)).due_at), (true, dues[3].due_at));
}

pub fn the_same_pause_again_is_the_same(fixture: &Fixture) {
    let store = fixture.store();
    let Paused::New(first) = store.pause(Some(&label(1)), Some("they asked")).unwrap() else { panic!("it is new") };
    let expected = (Some(label(1)), Some("they asked"), None, None);
    assert_eq!((first.label.clone(), first.reason.as_deref(), first.resumed_at, first.per_second), expected);
    assert_eq!(store.pause(Some(&label(1)), Some("again")).unwrap(), Paused::Known(first.clone()));
    let Paused::New(whole) = store.pause(None, None).unwrap() else { panic!("another") };
    assert_eq!(store.pause(None, None).unwrap(), Paused::Known(whole.clone()));
    // No label called so is no label.
    let Paused::New(empty) = store.pause(Some(&("number".to_owned(), String::new())), None).unwrap() else {
        panic!("another")
    };
    assert_eq!(store.pauses().unwrap().all, [first, whole, empty]);
}

pub fn only_what_changes_something_is_counted(fixture: &Fixture) {
    let store = fixture.store();
    let count = || store.pauses().unwrap().count;
    let paused = pause(store, Some(&label(1)));
    assert_eq!(count(), 1);
    pause(store, Some(&label(1)));
    assert_eq!(store.resume(paused.id + 1, None).unwrap(), None);
    assert_eq!(count(), 1, "it was paused already");
    for (per_second, expected) in [(Some(7), 2), (Some(7), 2), (None, 3), (None, 3)] {
        let resumed = store.resume(paused.id, per_second).unwrap().unwrap();
        assert_eq!((resumed.per_second, count()), (per_second, expected));
    }
    pause(store, Some(&label(1)));
    assert_eq!(count(), 4, "paused again");
}

pub fn resumed_again_the_new_pace_counts(fixture: &Fixture) {
    let store = fixture.store();
    let paused = pause(store, None);
    let first = store.resume(paused.id, Some(7)).unwrap().unwrap();
    assert!(first.resumed_at.is_some_and(|at| at >= paused.paused_at));
    assert_eq!(first, Pause { resumed_at: first.resumed_at, per_second: Some(7), ..paused.clone() });
    let second = store.resume(paused.id, None).unwrap().unwrap();
    assert_eq!(second, Pause { per_second: None, ..first });
    assert_eq!(store.pauses().unwrap().all, [second]);
    assert_eq!(store.resume(paused.id + 1, Some(7)).unwrap(), None);
}

pub fn the_oldest_is_let_go_first_and_with_the_last_the_pause_is_gone(fixture: &Fixture) {
    let fence = fixture.master();
    // Ids against the order of their instants.
    let turned = |n: u64| NewTask { run_at: BASE.plus(Duration::from_secs(100 - n)), ..task(n) };
    let dues = fixture.ingest(&(0..5).map(turned).collect::<Vec<_>>());
    let paused = pause(fixture.store(), None);
    park(fixture, fence, &dues);
    let resumed = fixture.store().resume(paused.id, Some(2)).unwrap().unwrap();
    let gone = let_go(fixture, fence, &resumed, 2);
    let mut first = gone.tasks.clone();
    first.sort_by_key(Due::key);
    assert_eq!((first, gone.is_over), (vec![dues[4], dues[3]], false));
    assert_eq!(visible(fixture), [id(4), id(3)]);
    assert_eq!((fixture.find(id(4)).paused, fixture.find(id(2)).paused), (false, true));
    assert_eq!(fixture.store().waiting(&[paused.id]).unwrap(), [3]);
    // What is let go is claimed, what waits is not.
    assert_eq!(claim(fixture, fence, &gone.tasks).len(), 2);
    assert_eq!(claim(fixture, fence, &dues), []);
    let gone = let_go(fixture, fence, &resumed, 3);
    assert_eq!((gone.tasks.len(), gone.is_over), (3, false), "perhaps there are more");
    let last = Step { pause: paused.id, after: None, reached: Some(dues[0].key()), limit: 3 };
    assert_eq!(let_go_after(fixture, fence, last), LetGo { tasks: vec![], next: None, is_over: true });
    assert_eq!(fixture.store().pauses().unwrap().all, []);
    assert_eq!(fixture.store().resume(paused.id, None).unwrap(), None);
    assert_eq!(claim(fixture, fence, &dues).len(), 3);
    assert_eq!(fixture.counts(), [(State::Dispatched, 5)]);
}

pub fn a_step_goes_on_where_the_last_has_ended_and_the_last_from_the_oldest_on(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..5).map(task).collect::<Vec<_>>());
    let paused = pause(fixture.store(), None);
    park(fixture, fence, &dues);
    let pause = fixture.store().resume(paused.id, None).unwrap().unwrap().id;
    // As if the first had been missed: it is found in the end.
    let first = Step { pause, after: Some(dues[0].key()), reached: None, limit: 2 };
    let gone = let_go_after(fixture, fence, first);
    assert_eq!((&gone.tasks[..], gone.next, gone.is_over), (&dues[1..3], Some(dues[2].key()), false));
    let gone = let_go_after(fixture, fence, Step { after: gone.next, limit: 3, ..first });
    assert_eq!((&gone.tasks[..], gone.next, gone.is_over), (&dues[3..], None, false));
    assert_eq!(fixture.store().waiting(&[pause]).unwrap(), [1]);
    let gone = let_go_after(fixture, fence, Step { after: None, reached: None, limit: 3, ..first });
    assert_eq!(gone, LetGo { tasks: vec![dues[0]], next: None, is_over: true });
    assert_eq!(fixture.store().pauses().unwrap().all, []);
}

pub fn what_was_due_before_a_paced_resume_takes_its_turn_even_if_it_was_not_parked(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..3).map(task).collect::<Vec<_>>());
    let later = fixture.ingest(&[NewTask { run_at: FAR, ..task(9) }]);
    let paused = pause(fixture.store(), None);
    let resumed = fixture.store().resume(paused.id, Some(1)).unwrap().unwrap();
    let nothing = LetGo { tasks: vec![], next: None, is_over: false };
    assert_eq!(let_go(fixture, fence, &resumed, 9), nothing, "some are to be parked still");
    assert_eq!(park(fixture, fence, &later), [], "it was not due before");
    assert_eq!(park(fixture, fence, &dues), [id(0), id(1), id(2)]);
    assert_eq!((visible(fixture), fixture.store().waiting(&[paused.id]).unwrap()), (vec![id(9)], vec![3]));
    let gone = let_go(fixture, fence, &resumed, 1);
    assert_eq!((&gone.tasks[..], gone.is_over), (&dues[..1], false));
    // It was let go: nobody parks it again, whoever comes upon it.
    let known = fixture.store().pauses().unwrap();
    let holds = known.holds(&|pause| (pause == paused.id).then(|| dues[0].key()));
    assert_eq!(done(fixture.store().park(fence, known.count, &holds, &dues).unwrap()), [id(1), id(2)]);
    assert_eq!(visible(fixture), [id(0), id(9)]);
    // The last go, and with what was let go before them nothing is left that could be parked.
    let last = Step { pause: paused.id, after: None, reached: Some(dues[0].key()), limit: 9 };
    let gone = let_go_after(fixture, fence, last);
    assert_eq!((&gone.tasks[..], gone.is_over), (&dues[1..], true));
    assert_eq!(fixture.store().pauses().unwrap().all, []);
}

pub fn a_paced_pause_waits_for_nobody_elses_backlog(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.ingest(&(0..9).map(task).collect::<Vec<_>>());
    let ended = |number: u64| {
        let paused = pause(fixture.store(), Some(&label(number)));
        let resumed = fixture.store().resume(paused.id, Some(1)).unwrap().unwrap();
        let_go(fixture, fence, &resumed, 9).is_over
    };
    assert!(!ended(5), "one that matches is to be parked still");
    assert!(ended(50), "nobody's");
    // There may be one behind more than are looked at.
    fixture.ingest(&(100..1_100).map(task).collect::<Vec<_>>());
    assert!(!ended(60));
}

pub fn no_more_are_let_go_at_once_than_fit_into_a_short_transaction(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&(0..1_200).map(task).collect::<Vec<_>>());
    let paused = pause(fixture.store(), None);
    park(fixture, fence, &dues);
    let resumed = fixture.store().resume(paused.id, None).unwrap().unwrap();
    let (mut gone, mut steps) = (Vec::new(), 0);
    loop {
        let step = let_go(fixture, fence, &resumed, usize::MAX);
        assert!(step.tasks.len() <= 500, "{}", step.tasks.len());
        gone.extend(step.tasks);
        steps += 1;
        if step.is_over {
            break;
        }
    }
    gone.sort_by_key(Due::key);
    assert_eq!(gone, dues);
    assert!(steps >= 3, "{steps}");
}

pub fn what_matches_another_pause_is_parked_again(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2)]);
    let acme = pause(fixture.store(), Some(&label(1)));
    let whole = pause(fixture.store(), None);
    park(fixture, fence, &dues);
    assert_eq!(fixture.store().waiting(&[acme.id, whole.id]).unwrap(), [0, 2]);
    let whole = fixture.store().resume(whole.id, None).unwrap().unwrap();
    let gone = let_go(fixture, fence, &whole, 9);
    assert!(gone.is_over);
    assert_eq!(park(fixture, fence, &gone.tasks), [id(1)]);
    assert_eq!(claim(fixture, fence, &gone.tasks), [id(2)]);
    assert_eq!(fixture.store().waiting(&[acme.id]).unwrap(), [1]);
    assert_eq!((fixture.find(id(1)).paused, fixture.find(id(1)).due_at), (true, dues[0].due_at));
}

pub fn a_pause_that_is_being_resumed_may_be_paused_again(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2), NewTask { run_at: FAR, ..task(3) }]);
    let store = fixture.store();
    let Paused::New(paused) = store.pause(None, Some("why")).unwrap() else { panic!("it is new") };
    park(fixture, fence, &dues[..2]);
    store.resume(paused.id, Some(5)).unwrap().unwrap();
    assert_eq!(park(fixture, fence, &dues[2..]), [], "what comes due meanwhile is not held back");
    let Paused::Known(again) = store.pause(None, None).unwrap() else { panic!("the same") };
    assert!(again.paused_at >= paused.paused_at);
    assert_eq!(again, Pause { paused_at: again.paused_at, ..paused });
    assert_eq!(park(fixture, fence, &dues[2..]), [id(3)]);
    assert_eq!(store.waiting(&[again.id]).unwrap(), [3]);
}

pub fn a_parked_task_is_cancelled_as_it_was_due(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2)]);
    let paused = pause(fixture.store(), None);
    park(fixture, fence, &dues);
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::Done(None));
    let ended = fixture.find(id(1));
    assert_eq!((ended.state, ended.due_at, ended.paused), (State::Cancelled, dues[0].due_at, false));
    assert_eq!(fixture.store().waiting(&[paused.id]).unwrap(), [1]);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Cancelled, 1)]);
    let resumed = fixture.store().resume(paused.id, None).unwrap().unwrap();
    let gone = let_go(fixture, fence, &resumed, 9);
    assert_eq!((one(gone.tasks), gone.is_over), (dues[1], true));
    assert_eq!(fixture.store().cancel(id(1)).unwrap(), Change::Already);
}

pub fn a_parked_task_submitted_again_is_the_same(fixture: &Fixture) {
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(1)]);
    pause(fixture.store(), None);
    park(fixture, fence, &dues);
    let mut other = task(1);
    other.fingerprint = [9; 32];
    assert_eq!(fixture.store().ingest(&[task(1), other]).unwrap(), [Ingested::Same, Ingested::Conflict]);
    assert_eq!((fixture.find(id(1)).paused, visible(fixture)), (true, vec![]));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn what_is_paused_expires_when_it_is_let_go(fixture: &Fixture) {
    let fence = fixture.master();
    let mut overdue = task(1);
    overdue.spec.misfire = Misfire::ExpireAfterMs(1);
    let dues = fixture.ingest(&[overdue]);
    let store = fixture.store();
    let paused = pause(store, None);
    assert_eq!(store.expire(fence, &dues).unwrap(), Ruled::Outdated, "by a master that does not know of the pause");
    park(fixture, fence, &dues);
    let count = || store.pauses().unwrap().count;
    assert_eq!(done(store.expire_under(fence, count(), &dues).unwrap()), []);
    let parked = Due { due_at: Timestamp::NEVER, ..dues[0] };
    assert_eq!(done(store.expire_under(fence, count(), &[parked]).unwrap()), []);
    let resumed = store.resume(paused.id, None).unwrap().unwrap();
    assert_eq!(let_go(fixture, fence, &resumed, 9).tasks, dues);
    assert_eq!(done(store.expire_under(fence, count(), &dues).unwrap()), [id(1)]);
    assert_eq!((fixture.state(id(1)), fixture.find(id(1)).due_at), (State::Expired, dues[0].due_at));
}

pub fn a_deposed_master_neither_parks_nor_lets_go(fixture: &Fixture) {
    let old = fixture.master();
    let dues = fixture.ingest(&[task(1), task(2)]);
    let whole = pause(fixture.store(), None);
    park(fixture, old, &dues[..1]);
    let new = fixture.reign(fixture.generation(2));
    let pauses = fixture.store().pauses().unwrap();
    assert_eq!(pauses.all, std::slice::from_ref(&whole), "the next master finds them as they are");
    assert_eq!(fixture.store().park(old, pauses.count, &pauses.holds(&|_| None), &dues[1..]).unwrap(), Ruled::Fenced);
    assert_eq!(fixture.store().waiting(&[whole.id]).unwrap(), [1]);
    let resumed = fixture.store().resume(whole.id, None).unwrap().unwrap();
    let count = fixture.store().pauses().unwrap().count;
    assert_eq!(
        fixture.store().let_go(old, count, &Step { pause: whole.id, after: None, reached: None, limit: 9 }).unwrap(),
        Ruled::Fenced
    );
    assert_eq!(let_go(fixture, new, &resumed, 9), LetGo { tasks: vec![dues[0]], next: None, is_over: true });
}

pub fn there_are_only_so_many_pauses(fixture: &Fixture) {
    let most = u64::try_from(PAUSES_MAX).unwrap();
    for number in 0..most {
        pause(fixture.store(), Some(&label(number)));
    }
    assert_eq!(fixture.store().pause(Some(&label(most)), None).unwrap(), Paused::Full);
    assert!(matches!(fixture.store().pause(Some(&label(0)), None).unwrap(), Paused::Known(_)));
    assert_eq!(fixture.store().pauses().unwrap().all.len(), 100);
    let fence = fixture.master();
    let dues = fixture.ingest(&[task(99), task(100)]);
    assert_eq!(park(fixture, fence, &dues), [id(99)]);
}

/// The cancel's statement began before the task was parked, and waits for its row: what it has read of `parked` is too old.
#[test]
fn a_cancel_that_meets_the_parking_tells_when_it_was_due() {
    let Some(server) = server() else { return };
    let url = server.schema();
    let store = PostgresStore::new(&url, 3);
    store.prepare().unwrap();
    let [Ingested::Stored(due)] = store.ingest(&[task(1)]).unwrap()[..] else { panic!("it is new") };
    let (mut parking, mut look) = (PgConnection::establish(&url).unwrap(), PgConnection::establish(&url).unwrap());
    parking
        .batch_execute(
            "BEGIN; UPDATE task SET due_at = 253402300799000000; \
             INSERT INTO parked (id, pause, due_at) SELECT id, 1, run_at FROM task",
        )
        .unwrap();
    std::thread::scope(|scope| {
        let cancel = scope.spawn(|| store.cancel(id(1)).unwrap());
        until("the cancel waits for the row", || {
            let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'WITH gone AS (DELETE FROM task%' \
                AND query NOT LIKE '%pg_stat_activity%'";
            (diesel::RunQueryDsl::execute(diesel::sql_query(waits), &mut look).unwrap() > 0).then_some(())
        });
        parking.batch_execute("COMMIT").unwrap();
        assert_eq!(cancel.join().unwrap(), Change::Done(None));
    });
    let ended = store.find(id(1)).unwrap().unwrap();
    assert_eq!((ended.state, ended.due_at), (State::Cancelled, due.due_at));
    assert_eq!(store.waiting(&[1]).unwrap(), [0]);
}

/// From the answer on: a claim that has begun is waited for, one that begins later is refused.
#[test]
fn a_pause_waits_for_the_claim_under_way() {
    let Some(server) = server() else { return };
    let url = server.schema();
    let store = PostgresStore::new(&url, 3);
    store.prepare().unwrap();
    let (mut claiming, mut look) = (PgConnection::establish(&url).unwrap(), PgConnection::establish(&url).unwrap());
    claiming.batch_execute("BEGIN; SELECT pauses FROM master_fence FOR SHARE").unwrap();
    std::thread::scope(|scope| {
        let pausing = scope.spawn(|| store.pause(None, None).unwrap());
        until("the pause waits", || {
            let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%master_fence FOR NO KEY UPDATE'";
            (diesel::RunQueryDsl::execute(diesel::sql_query(waits), &mut look).unwrap() > 0).then_some(())
        });
        assert!(!pausing.is_finished());
        claiming.batch_execute("COMMIT").unwrap();
        assert!(matches!(pausing.join().unwrap(), Paused::New(_)));
    });
    assert_eq!(store.pauses().unwrap().count, 1);
}
