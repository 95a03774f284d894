//! What only a shared store must do: several processes on one database, each with connections of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use task_scheduler::domain::{GenerationId, State};
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::{
    Change, Claimed, Done, Fence, Filter, Ingested, NewGeneration, Order, Settled, Store, TakeOver,
};
use uuid::Uuid;

use crate::fixtures::{id, succeeded, task};
use crate::services::postgres::server;

pub const LONG: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// One database and the processes on it.
struct Shared {
    url: String,
}

impl Shared {
    fn new() -> Option<Self> {
        let url = server()?.schema();
        PostgresStore::new(&url, 1).prepare().unwrap();
        Some(Self { url })
    }

    fn process(&self) -> PostgresStore {
        PostgresStore::new(&self.url, 8)
    }

    fn run(&self, sql: &str) {
        PgConnection::establish(&self.url).unwrap().batch_execute(sql).unwrap();
    }

    fn rows_of(&self, table: &str) -> i64 {
        let count = diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("(SELECT count(*) FROM {table})"));
        let mut connection = PgConnection::establish(&self.url).unwrap();
        diesel::RunQueryDsl::get_result(diesel::select(count), &mut connection).unwrap()
    }
}

pub fn living(store: &dyn Store) -> GenerationId {
    let id = GenerationId(Uuid::now_v7());
    let (node, address, version) = ("n".to_owned(), "127.0.0.1:1".to_owned(), "1".to_owned());
    store.register(&NewGeneration { id, node, address, version, slots: 4 }).unwrap();
    id
}

pub fn reign(store: &dyn Store, generation: GenerationId, lease: Duration) -> Option<Fence> {
    match store.take_over(generation, lease).unwrap() {
        TakeOver::Won(epoch) => Some(Fence { epoch, generation }),
        TakeOver::Lost => None,
    }
}

pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_valid_lease_is_respected_until_its_holder_resigns() {
    let Some(shared) = Shared::new() else { return };
    let (one, other) = (shared.process(), shared.process());
    let (first, second) = (living(&one), living(&other));
    let fence = reign(&one, first, LONG).unwrap();
    assert_eq!(reign(&other, second, LONG), None);
    assert!(one.renew(fence, LONG).unwrap());
    one.resign(fence, "stopped").unwrap();
    let next = reign(&other, second, LONG).unwrap();
    assert_eq!(next.epoch.0, fence.epoch.0 + 1);
    assert!(!one.renew(fence, LONG).unwrap());
}

#[test]
fn the_lease_of_a_killed_process_is_not_waited_for() {
    let Some(shared) = Shared::new() else { return };
    let (one, other) = (shared.process(), shared.process());
    let second = living(&other);
    assert!(reign(&one, living(&one), LONG).is_some());
    assert_eq!(reign(&other, second, LONG), None);
    drop(one);
    until("the server notices that the process is gone", || reign(&other, second, LONG));
    assert_eq!(other.terms(9).unwrap()[1].end_reason.as_deref(), Some("its process was gone"));
}

#[test]
fn the_lease_of_a_stopped_process_ends_by_itself() {
    let Some(shared) = Shared::new() else { return };
    let (one, other) = (shared.process(), shared.process());
    let second = living(&other);
    let began = Instant::now();
    let short = Duration::from_millis(300);
    let fence = reign(&one, living(&one), short).unwrap();
    until("the lease ends", || reign(&other, second, LONG));
    assert!(began.elapsed() >= short, "not before: {:?}", began.elapsed());
    assert!(!one.renew(fence, LONG).unwrap(), "deposed");
}

#[test]
fn a_clock_that_was_set_back_blocks_no_take_over() {
    let Some(shared) = Shared::new() else { return };
    let (one, other) = (shared.process(), shared.process());
    let second = living(&other);
    assert!(reign(&one, living(&one), LONG).is_some());
    shared.run(
        "CREATE OR REPLACE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE \
         AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT - 3600000000 $$",
    );
    assert!(reign(&other, second, LONG).is_some(), "the lease seems to end in an hour, which none does");
}

#[test]
fn a_deposed_masters_claim_is_refused_by_the_database() {
    let Some(shared) = Shared::new() else { return };
    let (one, other) = (shared.process(), shared.process());
    let (first, second) = (living(&one), living(&other));
    let Ingested::Stored(due) = one.ingest(&[task(1)]).unwrap()[0] else { panic!("stored") };
    let deposed = reign(&one, first, Duration::ZERO).unwrap();
    until("the lease ends", || reign(&other, second, LONG));
    assert_eq!(one.claim(deposed, &[Order { due, generation: first }]).unwrap(), Claimed::Fenced);
    assert_eq!(one.recover(deposed, second).unwrap(), None);
}

/// Claims, cancels, starts, outcomes, drains and repeated submissions of the same tasks, all at once.
#[test]
fn whoever_races_for_a_task_one_wins() {
    const TASKS: u64 = 400;
    let Some(shared) = Shared::new() else { return };
    let store: Arc<PostgresStore> = Arc::new(shared.process());
    let generation = living(store.as_ref());
    let fence = reign(store.as_ref(), generation, LONG).unwrap();
    let batch: Vec<_> = (0..TASKS).map(task).collect();
    let stored = store.ingest(&batch).unwrap();
    let dues: Vec<_> =
        stored.into_iter().map(|one| if let Ingested::Stored(due) = one { due } else { panic!("stored") }).collect();
    let cancelled = std::thread::scope(|scope| {
        let cancels = scope.spawn(|| {
            let won = |n: &u128| store.cancel(id(*n)).unwrap() == Change::Done(None);
            (0..u128::from(TASKS)).rev().filter(won).count()
        });
        scope.spawn(|| {
            for due in &dues {
                let orders = [Order { due: *due, generation }];
                let Claimed::Done { claims, .. } = store.claim(fence, &orders).unwrap() else { panic!("fenced") };
                let Some((_, claims)) = claims.into_iter().next() else { continue };
                assert!(store.start(generation, &claims).unwrap().is_some());
                let settled = store.settle(generation, &[succeeded(claims[0])], &Done::default()).unwrap();
                assert_eq!(settled, [Settled::Applied(None)]);
            }
        });
        scope.spawn(|| {
            for again in batch.chunks(7) {
                assert!(shared.process().ingest(again).unwrap().iter().all(|one| *one == Ingested::Same));
            }
        });
        cancels.join().unwrap()
    });
    let count = |state: State| store.counts().unwrap().into_iter().find(|(of, _)| *of == state).unwrap().1;
    assert_eq!(count(State::Cancelled), u64::try_from(cancelled).unwrap());
    assert_eq!(count(State::Succeeded) + count(State::Cancelled), TASKS);
    assert_eq!((count(State::Scheduled), count(State::Dispatched)), (0, 0));
    assert_eq!(store.list(&Filter { limit: 10_000, ..Filter::default() }).unwrap().tasks.len(), 400);
}

#[test]
fn counts_stay_right_and_few_however_many_processes_there_were() {
    const PROCESSES: u64 = 230;
    let Some(shared) = Shared::new() else { return };
    let lives = shared.process();
    lives.ingest(&[task(1_000)]).unwrap();
    for n in 0..PROCESSES {
        shared.process().ingest(&[task(n)]).unwrap();
    }
    living(&shared.process());
    // One that goes on while its rows were folded.
    lives.ingest(&[task(1_001)]).unwrap();
    let counts = lives.counts().unwrap();
    assert_eq!(counts.iter().find(|(state, _)| *state == State::Scheduled).unwrap().1, PROCESSES + 2);
    assert_eq!(shared.rows_of("task_count"), 2, "one of the new process, one of the one that goes on");
}
