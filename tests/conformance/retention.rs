//! What has been finished long enough goes, with all that belongs to it; nothing else does.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};
use task_scheduler::clock::Clock;
use task_scheduler::domain::State;
use task_scheduler::domain::tags::tags;
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::sqlite::SqliteStore;
use task_scheduler::store::{Change, Done, Ingested, Removed, Resolution, Settled, Settlement, Store};

use crate::fixtures::{BASE, Fixture, failed, id, one, retried, succeeded, task};
use crate::services::postgres::server;
use crate::shared::{LONG, living, reign};

const HOUR: Duration = Duration::from_hours(1);

fn removed(tasks: usize, more: bool) -> Removed {
    Removed { tasks, dead_letters: 0, more }
}

/// Tasks that ended one after another, `step` apart, the first of these numbers at [`BASE`].
fn ended(fixture: &Fixture, numbers: std::ops::Range<u64>, step: Duration) {
    let fence = fixture.master();
    let dues = fixture.ingest(&numbers.clone().map(task).collect::<Vec<_>>());
    let claims = fixture.claim(fence, fence.generation, &dues);
    fixture.store().start(fence.generation, &claims).unwrap().unwrap();
    let settled_at = |(claim, n): (_, u32)| -> Settlement {
        let mut settlement = succeeded(claim);
        settlement.attempt.as_mut().unwrap().finished_at = BASE.plus(step * n);
        settlement
    };
    let outcomes: Vec<Settlement> = claims.into_iter().zip(0..).map(settled_at).collect();
    let settled = fixture.store().settle(fence.generation, &outcomes, &Done::default()).unwrap();
    assert!(settled.iter().all(|one| *one == Settled::Applied(None)));
}

pub fn only_what_has_been_finished_long_enough_is_removed(fixture: &Fixture) {
    let (store, fence) = (fixture.store(), fixture.master());
    fixture.unknown(fence, task(3));
    let success = fixture.started(fence, task(1));
    fixture.settle(fence.generation, &succeeded(success));
    // Tried twice, so that it has attempts.
    let failure = fixture.started(fence, task(2));
    fixture.settle(fence.generation, &retried(failure, BASE));
    let due = one(fixture.scheduled());
    let again = one(fixture.claim(fence, fence.generation, &[due]));
    store.start(fence.generation, &[again]).unwrap().unwrap();
    fixture.settle(fence.generation, &failed(again));
    fixture.ingest(&[task(4), task(5)]);
    assert_eq!(store.cancel(id(4)).unwrap(), Change::Done(None));
    fixture.claimed(fence, task(6));
    assert_eq!(store.attempts(id(2)).unwrap().len(), 2);

    assert_eq!(store.remove(HOUR, 100).unwrap(), removed(2, false));
    for gone in [1, 2] {
        assert!(store.find(id(gone)).unwrap().is_none(), "{gone}");
        assert_eq!(store.attempts(id(gone)).unwrap(), []);
    }
    assert!(!store.attempts(id(3)).unwrap().is_empty(), "another's attempts stay");
    let left = [(State::Scheduled, 1), (State::Dispatched, 1), (State::Unknown, 1), (State::Cancelled, 1)];
    assert_eq!(fixture.counts(), left);
    assert_eq!(store.remove(HOUR, 100).unwrap(), removed(0, false));

    assert_eq!(store.remove(Duration::ZERO, 100).unwrap(), removed(1, false), "the cancel is old by now");
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Dispatched, 1), (State::Unknown, 1)]);
}

pub fn the_oldest_goes_first_and_no_more_than_asked_for(fixture: &Fixture) {
    ended(fixture, 0..5, Duration::from_secs(1));
    let store = fixture.store();
    let left = || (0..5).filter(|n| store.find(id(*n)).unwrap().is_some()).collect::<Vec<_>>();
    assert_eq!(store.remove(HOUR, 2).unwrap(), removed(2, true));
    assert_eq!(left(), [2, 3, 4]);
    assert_eq!(store.remove(HOUR, 2).unwrap(), removed(2, true));
    assert_eq!(store.remove(HOUR, 2).unwrap(), removed(1, false));
    assert_eq!((left(), fixture.counts()), (vec![], vec![]));
}

pub fn a_batch_goes_on_where_the_last_has_ended(fixture: &Fixture) {
    ended(fixture, 0..5, Duration::from_secs(1));
    let store = fixture.store();
    let left = || (0..5).filter(|n| store.find(id(*n)).unwrap().is_some()).collect::<Vec<_>>();
    let place = |n: u64| Some((BASE.plus(Duration::from_secs(n)), id(u128::from(n))));
    // As if the first two had been settled late.
    assert_eq!(store.remove_after(place(1), HOUR, 2).unwrap(), (removed(2, true), place(3)));
    assert_eq!(left(), [0, 1, 4]);
    assert_eq!(store.remove_after(place(3), HOUR, 2).unwrap(), (removed(1, false), place(4)));
    assert_eq!(store.remove_after(place(4), HOUR, 2).unwrap(), (removed(0, false), place(4)), "it has got so far");
    assert_eq!(store.remove_after(None, HOUR, 3).unwrap(), (removed(2, false), place(1)));
    assert_eq!((left(), fixture.counts()), (vec![], vec![]));
}

pub fn one_that_cannot_be_read_goes_with_the_others(fixture: &Fixture) {
    ended(fixture, 0..4, Duration::from_secs(1));
    let broken = |column: &str, n: u64| {
        let at = BASE.plus(Duration::from_secs(n)).micros();
        format!("UPDATE task_history SET {column} = '{{\"broken\"' WHERE finished_at = {at}")
    };
    let count = "SELECT count(*) AS number FROM task_history".to_owned();
    assert_eq!(fixture.sql(&[broken("target", 0), broken("labels", 2), count]), Some(4));
    assert_eq!(fixture.store().remove(HOUR, 9).unwrap(), removed(4, false));
    assert_eq!(fixture.counts(), []);
}

pub fn a_batch_is_bounded_whatever_is_asked_for(fixture: &Fixture) {
    ended(fixture, 0..700, Duration::ZERO);
    let (mut rounds, mut all) = (0, 0);
    loop {
        let Removed { tasks, more, .. } = fixture.store().remove(HOUR, usize::MAX).unwrap();
        assert!(tasks <= 500);
        (rounds, all) = (rounds + 1, all + tasks);
        if !more {
            break;
        }
    }
    assert!(rounds > 1, "{rounds}");
    assert_eq!((all, fixture.counts()), (700, vec![]));
}

pub fn an_id_is_free_again_when_its_task_is_removed(fixture: &Fixture) {
    ended(fixture, 1..2, Duration::ZERO);
    let store = fixture.store();
    let mut other = task(1);
    other.spec.priority = 7;
    other.fingerprint = [9; 32];
    assert_eq!(store.ingest(&[task(1), other.clone()]).unwrap(), [Ingested::Same, Ingested::Conflict]);
    store.remove(HOUR, 9).unwrap();
    assert!(matches!(store.ingest(&[other]).unwrap()[..], [Ingested::Stored(_)]), "a new task of this id");
    assert_eq!((fixture.find(id(1)).spec.priority, fixture.counts()), (7, vec![(State::Scheduled, 1)]));
    assert_eq!(store.remove(Duration::ZERO, 9).unwrap(), removed(0, false), "and it is not finished");
}

pub fn what_is_revived_is_not_removed(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.unknown(fence, task(1));
    let store = fixture.store();
    assert!(matches!(store.resolve(id(1), Resolution::Scheduled).unwrap(), Change::Done(Some(_))));
    assert_eq!(store.remove(Duration::ZERO, 9).unwrap(), removed(0, false));
    assert_eq!(fixture.state(id(1)), State::Scheduled);
}

/// As a deposed master may that does not know it yet.
pub fn removing_at_once_removes_each_once(fixture: &Fixture) {
    ended(fixture, 0..300, Duration::ZERO);
    let store = fixture.store();
    let sweep = move || {
        let mut tasks = 0;
        while let batch = store.remove(HOUR, 7).unwrap()
            && (batch.more || batch.tasks > 0)
        {
            tasks += batch.tasks;
        }
        tasks
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(sweep);
        (sweep(), other.join().unwrap())
    });
    // What one holds the other passes over, and looks again later.
    assert_eq!((one + other + sweep(), fixture.counts()), (300, vec![]));
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The tables behind a store.
struct Tables<'a> {
    look: &'a mut dyn FnMut(&str) -> i64,
    run: &'a mut dyn FnMut(&str),
    /// How a task's id is written in SQL.
    id_of: fn(u64) -> String,
}

impl Tables<'_> {
    /// Writes the tags of a task as they are written when one comes in.
    fn tag(&mut self, store: &dyn Store, n: u64) {
        let found = store.find(id(u128::from(n))).unwrap().unwrap();
        let (created_at, id) = (found.created_at.micros(), (self.id_of)(n));
        for tag in tags(&found.spec) {
            let values = format!("('{tag}', {created_at}, {id})");
            (self.run)(&format!("INSERT INTO task_tag (tag, created_at, id) VALUES {values} ON CONFLICT DO NOTHING"));
        }
    }

    /// Tags of all tasks, and of this one.
    fn tags(&mut self, n: u64) -> (i64, i64) {
        const ALL: &str = "SELECT count(*) AS number FROM task_tag";
        let of_one = format!("{ALL} WHERE id = {}", (self.id_of)(n));
        ((self.look)(ALL), (self.look)(&of_one))
    }
}

/// One that is cancelled and one that waits; only the tags of the first go, and only when the database's clock says so.
fn its_tags_go_when_the_databases_clock_says_so(
    store: &dyn Store,
    mut tables: Tables<'_>,
    pass_two_hours: &mut dyn FnMut(),
) {
    store.ingest(&[task(1), task(2)]).unwrap();
    let generation = living(store);
    reign(store, generation, LONG).unwrap();
    tables.tag(store, 1);
    tables.tag(store, 2);
    assert_eq!(tables.tags(2), (4, 2), "a label and a target each");
    store.cancel(id(1)).unwrap();
    assert_eq!(store.remove(HOUR, 9).unwrap(), removed(0, false));
    assert_eq!(tables.tags(2), (4, 2));
    pass_two_hours();
    assert_eq!(store.remove(HOUR, 9).unwrap(), removed(1, false));
    assert_eq!(tables.tags(2), (2, 2), "another's tags stay");
}

#[test]
fn tags_and_clock_of_postgres() {
    let Some(server) = server() else { return };
    let url = server.schema();
    let store = PostgresStore::new(&url, 2);
    store.prepare().unwrap();
    let connect = || PgConnection::establish(&url).unwrap();
    let (mut first, mut second, mut third) = (connect(), connect(), connect());
    its_tags_go_when_the_databases_clock_says_so(
        &store,
        Tables {
            look: &mut |sql| sql_query(sql).get_result::<Number>(&mut first).unwrap().number,
            run: &mut |sql| second.batch_execute(sql).unwrap(),
            id_of: |n| format!("'{}'", id(u128::from(n))),
        },
        &mut || {
            let words = "CREATE OR REPLACE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE \
                AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT + 7200000000 $$";
            third.batch_execute(words).unwrap();
        },
    );
}

#[test]
fn tags_and_clock_of_sqlite() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let store = SqliteStore::open(folder.path(), clock.clone()).unwrap();
    let file = folder.path().join("task-scheduler.db");
    let connect = || SqliteConnection::establish(&file.to_string_lossy()).unwrap();
    let (mut first, mut second) = (connect(), connect());
    its_tags_go_when_the_databases_clock_says_so(
        &store,
        Tables {
            look: &mut |sql| sql_query(sql).get_result::<Number>(&mut first).unwrap().number,
            run: &mut |sql| second.batch_execute(sql).unwrap(),
            id_of: |n| format!("x'{}'", id(u128::from(n)).0.simple()),
        },
        &mut || clock.shift_wall(7_200_000_000),
    );
}
