//! No statement of the hot path ever reads a whole table, however large: every plan is logged, and looked at.

use std::collections::HashMap;
use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl as _};
use task_scheduler::domain::figures::{Figures, Minute, Snapshot};
use task_scheduler::domain::{Claim, Due, GenerationId, Misfire, State, Timestamp};
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::{
    Claimed, DeadLetter, Done, Fence, Filter, Ingested, OffsetMove, Order, Patch, Patched, Paused, Positions, Report,
    Resolution, Ruled, Step, Store, Stretch,
};

use crate::fixtures::{BASE, failed, id, lost, retried, returned, succeeded, task};
use crate::operations::OPERATIONS;
use crate::services::postgres::{Server, own_server, server};
use crate::shared::{LONG, living, reign, until};

/// Rows of the live tasks, and of the history; a million of each with `TASK_SCHEDULER_TEST_LONG=1`.
const ROWS: u64 = 50_000;
const ROWS_LONG: u64 = 1_000_000;
/// Rows that are gone again when the server takes its statistics.
const EMPTIED: u64 = 5_000;
/// Tables of the hot path. They may grow far beyond what the server's statistics know of.
const TABLES: [&str; 8] =
    ["task", "task_history", "task_tag", "parked", "attempt", "assignment", "start_record", "minute"];
/// Those that grow slowly: as long as they are small, one page of whatever index is as good as another.
const SLOW: [&str; 2] = ["dead_letter", "tombstone"];
/// Rows of each of these.
const SLOW_ROWS: u64 = 10_000;
/// Indexes that are read from one end, in their order, for a page of a list: under a limit, so without a condition.
const BY_THE_PAGE: [&str; 3] = ["dead_letter_unpublished", "tombstone_age", "tombstone_pkey"];

/// Nothing but what `fill` makes has ended longer ago: in 1970.
const OLD: Duration = Duration::from_hours(50 * 365 * 24);

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
         INSERT INTO task_history ({names}, finished_at) SELECT {ended}, n FROM {rows_of}; \
         INSERT INTO task_tag (tag, created_at, id) \
         SELECT tag, created_at, id FROM (SELECT created_at, id FROM task UNION ALL SELECT created_at, id FROM task_history) t, \
         (VALUES ('t:log'), ('l:env=prod')) AS tags(tag) ON CONFLICT DO NOTHING; \
         INSERT INTO parked (id, pause, due_at) SELECT gen_random_uuid(), 0, n FROM generate_series(1, {rows}) n; \
         INSERT INTO task_count (writer, stream, state, tasks) SELECT gen_random_uuid(), 0, s.state, s.tasks \
         FROM (VALUES (0, {rows}), (2, {rows} - {rows} / 100), (3, {rows} / 100)) AS s(state, tasks); \
         INSERT INTO tombstone (id, cancelled_at, topic_id, positions) \
         SELECT gen_random_uuid(), now_us() + n, 'another', '{{\"topic_id\": \"another\", \"ends\": []}}' \
         FROM generate_series(1, {SLOW_ROWS}) n; \
         INSERT INTO dead_letter (buried_at, origin, reason, record, published) \
         SELECT now_us(), 'another' || n, 'no JSON', '', true FROM generate_series(1, {SLOW_ROWS}) n"
    );
    PgConnection::establish(url).unwrap().batch_execute(&sql).unwrap();
}

/// As a cluster that has done all it was given, when the server takes its statistics: by them a whole table costs nothing.
fn empty(url: &str) {
    let emptied = TABLES.iter().chain(&SLOW).filter(|table| **table != "task_history");
    let gone = emptied.fold(String::new(), |gone, table| format!("{gone} DELETE FROM {table};"));
    let sql = format!(
        "SET auto_explain.log_min_duration = -1; {gone} \
         DELETE FROM task_history WHERE id <> (SELECT id FROM task_history LIMIT 1); ANALYZE"
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
    let Claimed::Done { claims, .. } = store.claim_under(fence, store.pauses().unwrap().count, &orders).unwrap() else {
        panic!("fenced")
    };
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
    lists(store, first);
    let minute = |begun_us| Minute { begun_us, figures: Figures::default() };
    let (current, ended) = (minute(2), Some(minute(1)));
    store.report(generation, &Report { snapshot: Snapshot::default(), current, ended }).unwrap();
    store.loads().unwrap();
}

/// What comes on a topic, what is called off, settled by hand or shown: less often, and from the same tables.
fn rarer(store: &PostgresStore, fence: Fence, generation: GenerationId, first: u64) {
    let topic_id = format!("topic-{first}");
    let offset = |from, to| OffsetMove { topic_id: topic_id.clone(), partition: 0, from, to };
    let ends = |end| Positions { topic_id: topic_id.clone(), ends: vec![(0, end)] };
    let tasks: Vec<_> = (0..6).map(|n| task(first + n)).collect();
    let origin = format!("{topic_id}[0]@6");
    let letters = vec![DeadLetter { origin, reason: "no JSON".to_owned(), record: vec![0] }];
    let records = (0..6).map(|at| (at, vec![1])).collect();
    let stretch = Stretch { offset: offset(None, 7), tasks, records, letters };
    assert_eq!(store.ingest_from(&stretch).unwrap().unwrap().len(), 6);
    assert_eq!(store.ingest_from(&stretch).unwrap(), None, "another was faster");
    let letters: Vec<i64> = store.unpublished(9).unwrap().iter().map(|(seq, _)| *seq).collect();
    store.mark_published(&letters).unwrap();
    store.cancel_unseen(id(u128::from(first + 99)), &ends(1)).unwrap();
    store.cancel_unseen(id(u128::from(first)), &ends(7)).unwrap();
    store.forget_tombstones(&topic_id, Duration::ZERO).unwrap();
    store.set_offsets(&ends(8)).unwrap();
    store.offsets(&topic_id).unwrap();

    let mut overdue = task(first + 10);
    overdue.spec.misfire = Misfire::ExpireAfterMs(1);
    let [Ingested::Stored(overdue)] = store.ingest(&[overdue]).unwrap()[..] else { panic!("it is new") };
    let expired = store.expire_under(fence, store.pauses().unwrap().count, &[overdue]).unwrap();
    assert_eq!(expired, Ruled::Done(vec![overdue.id]));
    let page = store.scheduled(None, BASE.plus(LONG * 600), 2).unwrap();
    let dues = store.scheduled(Some((page[1].due_at, page[1].id)), BASE.plus(LONG * 600), 3).unwrap();
    assert_eq!(dues.len(), 3);
    for (claim, to) in claims(store, fence, generation, &dues).into_iter().zip([
        Resolution::Succeeded,
        Resolution::Failed,
        Resolution::Scheduled,
    ]) {
        let record = store.start(generation, &[claim]).unwrap().unwrap();
        let done = Done { assignments: vec![], start_records: vec![record.seq] };
        store.settle(generation, &[lost(claim)], &done).unwrap();
        store.resolve(claim.id, to).unwrap();
    }
    pausing(store, fence, first);
    changes(store, first);
    store.generations().unwrap();
    store.reports().unwrap();
    store.minutes(BASE).unwrap();
    store.terms(3).unwrap();
    store.counts().unwrap();
    store.dead_letters().unwrap();
    store.due_between(BASE, BASE.plus(LONG), 9).unwrap();
    let newest = &store.buried(None, 3).unwrap()[0];
    store.buried(Some(newest.id), 3).unwrap();
    store.buried_record(newest.id).unwrap().unwrap();
    assert!(store.mark_replayed(newest.id).unwrap());
    store.remove(OLD, 500).unwrap();
}

/// What people do to tasks that are scheduled or have ended.
fn changes(store: &PostgresStore, first: u64) {
    let numbers: Vec<u64> = (first + 20..first + 24).collect();
    store.ingest(&numbers.iter().map(|number| task(*number)).collect::<Vec<_>>()).unwrap();
    let ids: Vec<_> = numbers.iter().map(|number| id(u128::from(*number))).collect();
    let patch = Patch { run_at: Some(BASE), ..Patch::default() };
    assert!(matches!(store.patch(ids[0], &patch, &|_| true).unwrap(), Patched::Done(..)));
    store.run(ids[0]).unwrap();
    for operation in OPERATIONS {
        let state = Some(operation.acts_on());
        let found = store.matching(&Filter { state, limit: 4, ..Filter::default() }).unwrap().ids();
        let changed = store.operate(operation, if found.is_empty() { &ids } else { &found }).unwrap().changed;
        assert_eq!(changed, found.len(), "{operation:?}");
    }
    store.retry(ids[1]).unwrap();
}

/// Two are parked, one is called off then, the other is let go.
fn pausing(store: &PostgresStore, fence: Fence, first: u64) {
    let numbers = [first + 4, first + 5];
    let [gone, stays] = numbers.map(|number| id(u128::from(number)));
    let dues = numbers.map(|number| {
        let before = (BASE.plus(Duration::from_secs(number)), id(0));
        store.scheduled(Some(before), BASE.plus(LONG * 6_000), 1).unwrap()[0]
    });
    let pauses = numbers.map(|number| {
        let label = ("number".to_owned(), number.to_string());
        let Paused::New(pause) = store.pause(Some(&label), None).unwrap() else { panic!("it is new") };
        pause.id
    });
    let in_force = store.pauses().unwrap();
    let parked = store.park(fence, in_force.count, &in_force.holds(&|_| None), &dues).unwrap();
    assert_eq!(parked, Ruled::Done(vec![gone, stays]));
    assert!(store.find(stays).unwrap().unwrap().paused);
    store.cancel(gone).unwrap();
    assert_eq!(store.waiting(&pauses).unwrap(), [0, 1]);
    let step = |pause| Step { pause, after: None, reached: Some((Timestamp::NEVER, gone)), limit: 9 };
    for (pause, let_go) in pauses.into_iter().zip([0, 1]) {
        store.resume(pause, Some(9)).unwrap().unwrap();
        let count = store.pauses().unwrap().count;
        let Ruled::Done(done) = store.let_go(fence, count, &step(pause)).unwrap() else { panic!("refused") };
        assert_eq!((done.tasks.len(), done.is_over), (let_go, true));
    }
}

/// Every kind of list, from its beginning and further on.
fn lists(store: &PostgresStore, first: u64) {
    let number = ("number".to_owned(), first.to_string());
    let common = ("env".to_owned(), "prod".to_owned());
    // Perhaps of another name: it is looked for in the labels themselves too.
    let ambiguous = ("env".to_owned(), "prod=1".to_owned());
    for state in State::ALL.map(Some).into_iter().chain([None]) {
        for labels in [vec![], vec![number.clone()], vec![common.clone(), number.clone()], vec![ambiguous.clone()]] {
            for target in [None, Some("log".to_owned())] {
                let filter = Filter { state, labels: labels.clone(), target, limit: 9, ..Filter::default() };
                let page = store.list(&filter).unwrap();
                let from = page.tasks.last().map(|task| task.created_at);
                store.matching(&Filter { after: page.next, from, to: Some(BASE), ..filter }).unwrap();
            }
        }
    }
}

fn claims(store: &PostgresStore, fence: Fence, generation: GenerationId, dues: &[Due]) -> Vec<Claim> {
    let orders: Vec<Order> = dues.iter().map(|due| Order { due: *due, generation }).collect();
    let Claimed::Done { mut claims, .. } = store.claim_under(fence, store.pauses().unwrap().count, &orders).unwrap()
    else {
        panic!("fenced")
    };
    claims.remove(0).1
}

/// The first column of each index. A condition of another one alone bounds nothing.
type Leads = HashMap<String, String>;

#[derive(QueryableByName)]
struct Lead {
    #[diesel(sql_type = Text)]
    index: String,
    #[diesel(sql_type = Text)]
    lead: String,
}

fn leads(url: &str) -> Leads {
    let sql = "SELECT c.relname::TEXT AS index, pg_get_indexdef(c.oid, 1, true) AS lead FROM pg_class c \
        WHERE c.relkind = 'i' AND c.relnamespace = current_schema()::REGNAMESPACE";
    let rows: Vec<Lead> = diesel::sql_query(sql).load(&mut PgConnection::establish(url).unwrap()).unwrap();
    rows.into_iter().map(|row| (row.index, row.lead)).collect()
}

/// This condition of the index of a step has its first column.
fn bounds(step: &str, condition: &str, leads: &Leads) -> bool {
    let index = step.split_once(" using ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
    let names = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
    leads.get(index).is_some_and(|lead| names.into_iter().any(|name| name == lead))
}

/// Steps of plans that read a whole table, or a whole index of one.
fn whole_scans(log: &str, tables: &[&str], leads: &Leads) -> Vec<String> {
    let mut found = Vec::new();
    for plan in log.split("Query Text").skip(1) {
        let lines: Vec<&str> = plan.lines().collect();
        // A migration reads everything, once: it is the only one whose words begin with why.
        if lines[0].trim_start_matches(": ").starts_with("--") {
            continue;
        }
        for (n, line) in lines.iter().enumerate() {
            let Some(table) = tables.iter().find(|table| line.contains(&format!(" on {table} "))) else { continue };
            // What belongs to a step stands below it, up to the next step.
            let told: Vec<&&str> = lines[n + 1..].iter().take_while(|line| !line.contains("->")).collect();
            let bounded = told.iter().any(|told| told.contains("Index Cond:") && bounds(line, told, leads));
            let by_the_page =
                plan.contains("Limit ") && BY_THE_PAGE.iter().any(|index| line.contains(&format!(" {index} on ")));
            let is_index = line.contains("Index Scan") || line.contains("Index Only Scan");
            if line.contains("Seq Scan") || is_index && !bounded && !by_the_page {
                found.push(format!("{table}: {line} of {}", lines[0]));
            }
        }
    }
    found
}

/// Plans of walks along the tags that sort what they find: they read all of a tag's entries first.
fn sorted_walks(log: &str) -> Vec<&str> {
    let plans = log.split("Query Text").skip(1);
    plans.filter(|plan| plan.contains("FROM task_tag AS t ") && plan.contains("Sort  (cost")).collect()
}

/// All of them were full behind the first `small` bytes of the log.
fn no_table_was_read_whole(server: &Server, url: &str, small: usize) {
    let leads = leads(url);
    let log = server.log();
    assert!(log.contains("Index Scan") && log.contains("Query Text"), "plans are logged: {log}");
    let scans = [whole_scans(&log, &TABLES, &leads), whole_scans(&log[small..], &SLOW, &leads)].concat();
    assert!(scans.is_empty(), "{scans:#?}");
    assert!(log.contains("FROM task_tag AS t "));
    assert!(sorted_walks(&log).is_empty(), "{:#?}", sorted_walks(&log));
}

#[test]
fn whole_scans_are_found_in_plans() {
    let leads =
        [("task_pkey", "id"), ("task_due", "due_at"), ("x", "id")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let plan =
        |lines: &[&str]| whole_scans(&[&["Query Text: SELECT 1"], lines].concat().join("\n\t"), &TABLES, &leads).len();
    assert_eq!(plan(&["Seq Scan on task t  (cost=0.00..1.00)", "  Filter: (state = 4)"]), 1);
    assert_eq!(plan(&["Index Scan using task_pkey on task t  (cost=0.00..1.00)", "  Index Cond: (id = 1)"]), 0);
    assert_eq!(plan(&["Index Scan using task_pkey on task t  (cost=0.00..1.00)", "  Filter: (state = 4)"]), 1);
    let due = "Index Scan using task_due on task t  (cost=0.00..1.00)";
    assert_eq!(plan(&[due, "  Index Cond: (id = ANY (ARRAY[c.id]))"]), 1, "by its last column");
    assert_eq!(plan(&[due, "  Index Cond: (ROW(due_at, id) > ROW($1, $2))"]), 0);
    let below = "->  Index Only Scan using task_due on task  (cost=0.00..1.00)";
    let letters = below.replace("task_due", "tombstone_age");
    assert_eq!(plan(&["Limit  (cost=0)", below, "->  Index Scan using x on other", "  Index Cond: (id = 1)"]), 1);
    assert_eq!(plan(&["Limit  (cost=0)", &letters]), 0);
    assert_eq!(plan(&["Sort  (cost=0)", &letters]), 1, "a page has a limit");
    let walk = "Query Text: SELECT t.created_at, t.id FROM task_tag AS t WHERE t.tag = $1\n\tLimit  (cost=0)\n\t";
    assert_eq!(sorted_walks(&[walk, "->  Sort  (cost=0)"].concat()).len(), 1);
    assert_eq!(sorted_walks(&[walk, "->  Index Only Scan Backward"].concat()).len(), 0);
}

/// Plans are made once, on empty tables, and kept: each must still be right when the tables are full. And so must be those
/// that are made anew because the server has looked at tables that were empty just then, and those of a node that comes when
/// they are full.
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
        rarer(&store, fence, generation, 50_000 + n * 200);
    }
    // Plans are kept: what is filled in brings no other statistics.
    fill(&url, EMPTIED);
    round(&store, fence, generation, 700);
    empty(&url);
    for n in 3..5 {
        round(&store, fence, generation, n * 100);
        rarer(&store, fence, generation, 50_000 + n * 200);
    }
    let rows = if std::env::var_os("TASK_SCHEDULER_TEST_LONG").is_some() { ROWS_LONG } else { ROWS };
    fill(&url, rows);
    let began = std::time::Instant::now();
    round(&store, fence, generation, 1_000);
    println!("a round by old plans on {rows} live and {rows} ended tasks: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    rarer(&store, fence, generation, 60_000);
    let small = server.log().len();
    PgConnection::establish(&url).unwrap().batch_execute("ANALYZE").unwrap();
    let late = PostgresStore::new(&url, 1);
    living(&late);
    late.loads().unwrap();
    for n in 2..4 {
        round(&late, fence, generation, n * 1_000);
        rarer(&late, fence, generation, 60_000 + n * 1_000);
    }
    assert_eq!(store.remove(OLD, 500).unwrap().tasks + late.remove(OLD, 500).unwrap().tasks, 1_000, "each is full");
    late.drain(generation).unwrap();
    assert!(late.recover(fence, generation).unwrap().is_some());
    no_table_was_read_whole(&server, &url, small);
}

#[derive(QueryableByName)]
struct Updates {
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    hot: i64,
}

/// Updates of live tasks so far, as the server has heard of them, and those of them that touched no index.
fn updates(look: &mut PgConnection) -> Updates {
    let sql = "SELECT n_tup_upd AS \"all\", n_tup_hot_upd AS hot FROM pg_stat_user_tables \
        WHERE schemaname = current_schema() AND relname = 'task'";
    diesel::sql_query(sql).get_result(look).unwrap()
}

/// An index on a column that they change would make each of them write all indexes.
#[test]
fn claims_and_give_backs_touch_no_index() {
    // So few that the new versions of all rows fit beside the old ones.
    const TASKS: u64 = 4;
    let Some(server) = server() else { return };
    let url = server.schema();
    let store = PostgresStore::new(&url, 1);
    store.prepare().unwrap();
    let generation = living(&store);
    let fence = reign(&store, generation, LONG).unwrap();
    store.ingest(&(0..TASKS).map(task).collect::<Vec<_>>()).unwrap();
    let dues = store.scheduled(None, BASE.plus(LONG), 9).unwrap();
    let first = claims(&store, fence, generation, &dues);
    let given_back: Vec<_> = first.iter().zip(&dues).map(|(claim, due)| returned(*claim, due.due_at)).collect();
    store.settle(generation, &given_back, &Done::default()).unwrap();
    claims(&store, fence, generation, &dues);
    assert_eq!(store.drain(generation).unwrap().len(), dues.len(), "all are given back");
    // A connection tells what it did at its end at the latest.
    drop(store);
    let (mut look, made) = (PgConnection::establish(&url).unwrap(), i64::try_from(TASKS * 4).unwrap());
    let counted = until("all updates are counted", || Some(updates(&mut look)).filter(|counted| counted.all >= made));
    assert_eq!((counted.all, counted.hot), (made, made));
}
