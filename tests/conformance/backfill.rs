//! The step that brings tags: it writes for the tasks of older programs what an ingest writes for new ones.

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};
use task_scheduler::clock::Clock;
use task_scheduler::domain::{HttpTarget, KafkaTarget, NewTask, Target};
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::sqlite::SqliteStore;
use task_scheduler::store::{Ingested, Store};

use crate::fixtures::{id, task};

#[derive(Debug, PartialEq, QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    tag: String,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Text)]
    id: String,
}

const POSTGRES: &str = include_str!("../../migrations/postgres/2026-11-28-000001_tags/up.sql");
const SQLITE: &str = include_str!("../../migrations/sqlite/2026-11-28-000001_tags/up.sql");

fn http(url: &str) -> Target {
    Target::Http(HttpTarget { url: url.to_owned(), method: "POST".to_owned(), headers: [].into() })
}

fn kafka(cluster: Option<&str>, key: &str) -> Target {
    Target::Kafka(KafkaTarget {
        cluster: cluster.map(str::to_owned),
        topic: "orders".to_owned(),
        key: Some(key.to_owned()),
        headers: [("h".to_owned(), "\0\\".to_owned())].into(),
    })
}

/// As hostile as a document may be.
fn hostile() -> Vec<NewTask> {
    let long: String = (0..256).map(|n| char::from_u32(0x1_F300 + n).unwrap()).collect();
    let labels = [
        ("it's", "\"quoted\""),
        ("back\\slash", "\\u0000 and \\\\"),
        ("control\u{1}\n\t\u{7f}", "\u{85}\u{2028}"),
        ("a=b", "c"),
        ("a", "b=c"),
        ("empty", ""),
        ("'); DROP TABLE task; --", "$1 ? %s"),
        ("{}[]", "null"),
        ("é", "e\u{301}"),
        (&long, &long),
    ];
    let targets = [
        Target::Log,
        kafka(None, "plain"),
        kafka(Some("west"), "\0 \\u0000 \\\0\\\\"),
        http("https://hooks.example.org/a?b#c"),
        http("HTTPS://Hooks.Example.ORG:443"),
        http("http://h:80/x:443"),
        http("http://h:8080?x"),
        http("http://h:443/"),
        http("http:\\\\back.example\\a"),
        http("http:bare.example#:80"),
        http("http://h:/"),
        http("http://[::1]:80/"),
        http("http://[fe80::443]/"),
    ];
    let numbered = targets.into_iter().chain((0..labels.len()).map(|_| Target::Log)).zip(1..);
    let mut tasks: Vec<NewTask> = numbered
        .map(|(target, number)| {
            let mut task = task(number);
            task.spec.target = target;
            task
        })
        .collect();
    for (task, (name, value)) in tasks.iter_mut().rev().zip(labels) {
        task.spec.labels.insert(name.to_owned(), value.to_owned());
    }
    tasks[0].spec.labels.clear();
    tasks[1].spec.labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    tasks
}

/// Tags as they are written, and as the step writes them. Some of the tasks have ended.
fn both(store: &dyn Store, mut rows: impl FnMut() -> Vec<Row>, step: impl FnOnce()) {
    let tasks = hostile();
    let outcomes = store.ingest(&tasks).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ingested::Stored(_))));
    for number in (1..=tasks.len()).step_by(2) {
        store.cancel(id(u128::try_from(number).unwrap())).unwrap();
    }
    let written = rows();
    assert!(written.len() > tasks.len() * 2, "{}", written.len());
    step();
    let filled = rows();
    let differ: Vec<_> = written.iter().zip(&filled).filter(|(written, filled)| written != filled).collect();
    assert_eq!((filled.len(), &differ[..]), (written.len(), &[][..]));
    // A host that is none is cut short, so that it fits into an index.
    let mut endless = task(99);
    endless.spec.target = http(&format!("http://{}/", "a".repeat(8_000)));
    store.ingest(&[endless]).unwrap();
}

#[test]
fn the_embedded_store_tags_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Clock::new()).unwrap();
    let file = folder.path().join("task-scheduler.db");
    let mut look = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    let mut change = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    let step = |change: &mut SqliteConnection| {
        change.batch_execute(&format!("BEGIN IMMEDIATE; DROP TABLE task_tag; {SQLITE}; COMMIT")).unwrap();
    };
    let words = "SELECT tag, created_at, hex(id) AS id FROM task_tag ORDER BY 1, 2, 3";
    both(&store, || sql_query(words).load(&mut look).unwrap(), || step(&mut change));
    step(&mut change);
}

#[test]
fn the_clusters_store_tags_what_it_has() {
    let Some(server) = crate::services::postgres::server() else { return };
    let url = server.schema();
    let store = PostgresStore::new(&url, 1);
    store.prepare().unwrap();
    let mut look = PgConnection::establish(&url).unwrap();
    let mut change = PgConnection::establish(&url).unwrap();
    let step = |change: &mut PgConnection| {
        change.batch_execute(&format!("BEGIN; DROP TABLE task_tag; {POSTGRES}; COMMIT")).unwrap();
    };
    let words = "SELECT tag, created_at, id::TEXT AS id FROM task_tag ORDER BY 1, 2, 3";
    both(&store, || sql_query(words).load(&mut look).unwrap(), || step(&mut change));
    step(&mut change);
}
