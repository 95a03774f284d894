//! No statement of the hot path ever reads a whole table, however large: every plan is logged, and looked at.

use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use task_scheduler::domain::figures::{Figures, Minute, Snapshot};
use task_scheduler::domain::{GenerationId, State};
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::{Claimed, Done, Fence, Filter, Ingested, Order, Report, Store};

use crate::fixtures::{BASE, failed, id, lost, retried, succeeded, task};
use crate::services::postgres::{Server, own_server};
use crate::shared::{LONG, living, reign};

/// Rows of the live tasks, and of the history; a million of each with `TASK_SCHEDULER_TEST_LONG=1`.
const ROWS: u64 = 50_000;
const ROWS_LONG: u64 = 1_000_000;

/// As a cluster that has run for long: all of it due far ahead or ended long ago. Its own plans are not looked at.
fn fill(url: &str, rows: u64) {
    let names = "id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, retry, timeout_ms, target, \
        labels, payload_kind, fingerprint, payload";
    let values = |state: &str| {
        format!(
            "gen_random_uuid(), {state}, 4000000000000000 + n, 4000000000000000 + n, 5, 0, 0, 1000000 + n, 0, t.retry, 1000, \
             t.target, t.labels, t.payload_kind, t.fingerprint, t.payload"
        )
    };
    let (live, ended) = (values("0"), values("CASE WHEN n % 100 = 0 THEN 3 ELSE 2 END"));
    let rows_of = format!("generate_series(1, {rows}) n, (SELECT * FROM task_history LIMIT 1) t");
    let sql = format!(
        "SET auto_explain.log_min_duration = -1; \
         INSERT INTO task ({names}) SELECT {live} FROM {rows_of}; \
         INSERT INTO task_history ({names}, finished_at) SELECT {ended}, n FROM {rows_of}; ANALYZE"
    );
    PgConnection::establish(url).unwrap().batch_execute(&sql).unwrap();
}

/// Everything that runs while tasks come, are called and end.
fn round(store: &PostgresStore, fence: Fence, generation: GenerationId, first: u64) {
    let batch: Vec<_> = (0..20).map(|n| task(first + n)).collect();
    store.ingest(&batch).unwrap();
    assert_eq!(store.ingest(&batch).unwrap(), [Ingested::Same; 20]);
    let dues = store.scheduled(None, BASE.plus(LONG * 60), 15).unwrap();
    let orders: Vec<Order> = dues.iter().map(|due| Order { due: *due, generation }).collect();
    let Claimed::Done { claims, .. } = store.claim(fence, &orders).unwrap() else { panic!("fenced") };
    let claims = &claims[0].1;
    assert_eq!(store.assigned(generation, 0, 99).unwrap().last().unwrap().tasks.len(), 15);
    let record = store.start(generation, claims).unwrap().unwrap();
    let mut outcomes: Vec<_> = claims[..10].iter().map(|claim| succeeded(*claim)).collect();
    outcomes.extend([failed(claims[10]), lost(claims[11]), retried(claims[12], dues[0].due_at)]);
    let done = Done { assignments: vec![], start_records: vec![record.seq] };
    store.settle(generation, &outcomes, &done).unwrap();
    store.settle(generation, &[succeeded(claims[11])], &Done::default()).unwrap();
    store.cancel(id(u128::from(first + 19))).unwrap();
    store.find(claims[0].id).unwrap().unwrap();
    store.attempts(claims[0].id).unwrap();
    store.list(&Filter { state: Some(State::Failed), limit: 9, ..Filter::default() }).unwrap();
    store.list(&Filter { limit: 9, ..Filter::default() }).unwrap();
    let minute = |begun_us| Minute { begun_us, figures: Figures::default() };
    let (current, ended) = (minute(2), Some(minute(1)));
    store.report(generation, &Report { snapshot: Snapshot::default(), current, ended }).unwrap();
    store.loads().unwrap();
}

fn no_table_was_read_whole(server: &Server) {
    let log = server.log();
    assert!(log.contains("Index Scan") && log.contains("Query Text"), "plans are logged: {log}");
    for table in ["task", "task_history", "attempt", "assignment", "start_record", "minute"] {
        let scans: Vec<&str> = log.lines().filter(|line| line.contains(&format!("Seq Scan on {table} "))).collect();
        assert!(scans.is_empty(), "{scans:?}");
    }
}

/// Plans are made once, on empty tables, and kept: each must still be right when the tables are full. And so must be those
/// that a node makes which comes when they are.
#[test]
fn no_statement_ever_reads_a_whole_table() {
    let explained = [
        "fsync=off",
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_nested_statements=on",
        "log_min_messages=log",
    ];
    let Some(server) = own_server(&explained) else { return };
    let url = server.schema();
    let store = PostgresStore::new(&url, 1);
    store.prepare().unwrap();
    let generation = living(&store);
    let fence = reign(&store, generation, LONG).unwrap();
    for n in 0..3 {
        round(&store, fence, generation, n * 100);
    }
    let rows = if std::env::var_os("TASK_SCHEDULER_TEST_LONG").is_some() { ROWS_LONG } else { ROWS };
    fill(&url, rows);
    let began = std::time::Instant::now();
    round(&store, fence, generation, 1_000);
    println!("a round by old plans on {rows} live and {rows} ended tasks: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let late = PostgresStore::new(&url, 1);
    living(&late);
    late.loads().unwrap();
    for n in 2..4 {
        round(&late, fence, generation, n * 1_000);
    }
    late.drain(generation).unwrap();
    assert!(late.recover(fence, generation).unwrap().is_some());
    no_table_was_read_whole(&server);
}
