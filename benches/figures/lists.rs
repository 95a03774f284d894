//! How fast lists and counts are answered when there is much: a million tasks that wait and a million that have ended.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, RunQueryDsl as _, sql_query};
use serde_json::{Value, json};
use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;

use super::{Bar, Figure};
use crate::harness::node::until;
use crate::harness::{Node, http};
use crate::services::postgres::Server;

const CALLS: usize = 20;
const LIST_MS: f64 = 50.0;
const STATS_MS: f64 = 10.0;
/// Claims that are held while it is measured.
const RUNNING: usize = 100;

/// What is asked for, first pages all of them. `half` and `other` never stand together, `absent` nowhere, `rare` 20 times;
/// a tenant has 2,000 tasks, a target 100,000, `env` half of all.
const LISTS: [(&str, &str); 24] = [
    ("no filter", "limit=100"),
    ("no filter, 1,000 of them", "limit=1000"),
    ("state=scheduled", "state=scheduled"),
    ("state=dispatched", "state=dispatched"),
    ("state=succeeded", "state=succeeded"),
    ("state=failed", "state=failed"),
    ("state=unknown", "state=unknown"),
    ("state=cancelled", "state=cancelled"),
    ("state=expired", "state=expired"),
    ("label, half of all", "label=env%3Dprod"),
    ("label, few", "label=rare%3Dx"),
    ("label, none", "label=absent%3Dx"),
    ("two labels", "label=env%3Dprod&label=tenant%3Dt4"),
    ("two labels that never meet", "label=half%3Da&label=other%3Db"),
    ("target", "target=http:host3.example.org"),
    ("target and label", "target=http:host5.example.org&label=half%3Da"),
    ("target and label that never meet", "target=http:host3.example.org&label=env%3Dprod"),
    ("label and state=scheduled", "label=env%3Dprod&state=scheduled"),
    ("label and state=succeeded", "label=env%3Dprod&state=succeeded"),
    ("label and state=failed", "label=env%3Dprod&state=failed"),
    ("label and state=failed that never meet", "label=tenant%3Dt5&state=failed"),
    ("label and state=dispatched", "label=env%3Dprod&state=dispatched"),
    ("from and to", "from=2023-11-14T22:30:00Z&to=2023-11-14T22:30:01Z"),
    (
        "state, label, target, from and to",
        "state=succeeded&label=other%3Db&target=log&from=2023-11-14T22:20:00Z&to=2023-11-14T22:30:00Z",
    ),
];

/// On a file.
pub fn embedded() -> Vec<Figure> {
    let folder = tempfile::tempdir().unwrap();
    task_scheduler::store::sqlite::migrate(folder.path()).unwrap();
    fill_sqlite(folder.path());
    measure(&Node::silent(folder.path()), "SQLite")
}

/// On a PostgreSQL.
pub fn cluster(server: &Server) -> Vec<Figure> {
    let url = server.schema();
    PostgresStore::new(&url, 1).prepare().unwrap();
    fill_postgres(&url);
    measure(&Node::silent_with(&["--database-url", &url]), "PostgreSQL")
}

fn measure(node: &Node, store: &str) -> Vec<Figure> {
    // Accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let one = json!({
        "delay_ms": 0, "timeout_ms": 600_000, "labels": {"env": "prod"},
        "target": {"type": "http", "url": format!("http://{address}/")},
    });
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &Value::from(vec![one; RUNNING])).status, 201);
    let stats = || http::get(&node.url("/v1/stats")).json();
    until("calls are under way", Duration::from_secs(30), || stats()["tasks"]["dispatched"] == RUNNING);
    println!("      {store}: {}", stats()["tasks"]);
    let mut worst = Vec::new();
    for (what, query) in LISTS {
        worst.push(asked(node, &format!("{store}: {what}"), &format!("/v1/tasks?{query}")));
    }
    for (what, query) in LISTS.into_iter().filter(|(what, _)| what.contains("never") || *what == "no filter") {
        worst.push(deep(node, &format!("{store}: {what}, further on"), query));
    }
    let list = worst.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap();
    let stats = asked(node, &format!("{store}: stats"), "/v1/stats");
    let (lists, counts) = match store {
        "SQLite" => ("slowest of all lists (SQLite)", "stats (SQLite)"),
        _ => ("slowest of all lists (PostgreSQL)", "stats (PostgreSQL)"),
    };
    let of = format!("most of {CALLS} calls; 1,000,000 tasks wait, 1,000,000 have ended");
    vec![
        Figure {
            name: lists,
            value: list.0,
            unit: "ms",
            bar: Bar::AtMost(LIST_MS),
            detail: format!("{}; {of}", list.1),
        },
        Figure { name: counts, value: stats.0, unit: "ms", bar: Bar::AtMost(STATS_MS), detail: of },
    ]
}

/// The longest of the calls, after one that is not counted: it makes the plans.
fn asked(node: &Node, what: &str, path: &str) -> (f64, String) {
    let first = timed(node, path);
    let mut took: Vec<f64> = (0..CALLS).map(|_| timed(node, path).0).collect();
    told(what, first.0, &mut took, &first.1)
}

/// Page by page.
fn deep(node: &Node, what: &str, query: &str) -> (f64, String) {
    let (mut took, mut cursor, mut last) = (Vec::new(), String::new(), Value::Null);
    while took.len() <= CALLS {
        let (ms, answer) = timed(node, &format!("/v1/tasks?{query}{cursor}"));
        took.push(ms);
        last = answer;
        let Some(next) = last["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let first = took.remove(0);
    if took.is_empty() {
        took.push(first);
    }
    told(what, first, &mut took, &last)
}

fn told(what: &str, first: f64, took: &mut [f64], answer: &Value) -> (f64, String) {
    took.sort_by(f64::total_cmp);
    let longest = took[took.len() - 1];
    let tasks = answer["tasks"].as_array().map_or(0, Vec::len);
    let goes_on = answer["next_cursor"].is_string();
    println!(
        "      {what:<60} p50 {:>7.2} ms, max {longest:>7.2} ms, first call {first:>7.2} ms; {tasks} tasks{}",
        took[took.len() / 2],
        if goes_on { ", goes on" } else { "" }
    );
    (longest, what.to_owned())
}

fn timed(node: &Node, path: &str) -> (f64, Value) {
    let began = Instant::now();
    let answer = http::get(&node.url(path));
    let ms = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status, 200, "{path}");
    (ms, answer.json())
}

/// The same tasks in both: every second one waits, and each of both kinds has each target and label in turn.
fn tasks(source: &str, json: &str) -> String {
    let names = "id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, retry, timeout_ms, target, \
        labels, payload_kind, fingerprint, payload";
    let retry = r#"{"max_attempts":5,"initial_ms":1000,"factor":2.0,"max_ms":300000,"jitter":0.2}"#;
    let rest = format!("0, '{retry}', 30000, target, labels, 1, {json}");
    let ended = "CASE WHEN j % 200 < 180 THEN 2 WHEN j % 200 < 190 THEN 3 WHEN j % 200 = 190 THEN 4 \
        WHEN j % 200 < 195 THEN 5 ELSE 6 END";
    format!(
        "{source} \
         INSERT INTO task ({names}) SELECT id, 0, 4000000000000000 + i, 4000000000000000 + i, 5, 0, 0, at, {rest} \
         FROM source WHERE i % 2 = 0; \
         INSERT INTO task_history ({names}, finished_at) SELECT id, {ended}, at, at, 5, 1, 1, at, {rest}, at \
         FROM source WHERE i % 2 = 1; DROP TABLE source;"
    )
}

/// Text of a task's target and labels.
const TARGET: &str = r#"CASE WHEN j % 20 < 18 THEN '{"type":"http","url":"https://host' || (j % 20) || '.example.org/hook","method":"POST","headers":{}}'
    WHEN j % 20 = 18 THEN '{"type":"kafka","topic":"orders"}' ELSE '{"type":"log"}' END"#;
const LABELS: &str = r#"'{"tenant":"t' || (j % 1000) || '"' || CASE WHEN j % 2 = 0 THEN ',"env":"prod"' ELSE '' END
    || CASE WHEN j % 4 = 1 THEN ',"half":"a"' WHEN j % 4 = 3 THEN ',"other":"b"' ELSE '' END
    || CASE WHEN j % 100000 = 7 THEN ',"rare":"x"' ELSE '' END || '}'"#;

/// What the step that brought tags does for tasks that were there before.
fn backfill(up: &str) -> &str {
    &up[up.find("\nINSERT").unwrap()..]
}

const COUNTS: [(i16, u32); 6] = [(0, 1_000_000), (2, 900_000), (3, 50_000), (4, 5_000), (5, 20_000), (6, 25_000)];

fn fill_sqlite(folder: &Path) {
    let url = folder.join("task-scheduler.db");
    let mut connection = SqliteConnection::establish(url.to_str().unwrap()).unwrap();
    let source = format!(
        "PRAGMA synchronous = OFF; CREATE TABLE source AS \
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999999), \
         m AS (SELECT i, i / 2 AS j FROM n) \
         SELECT i, j, randomblob(16) AS id, 1700000000000000 + i * 1000 AS at, {TARGET} AS target, {LABELS} AS labels FROM m;"
    );
    connection.batch_execute(&tasks(&source, r#"x'00', CAST('{"a":1}' AS BLOB)"#)).unwrap();
    connection.batch_execute(backfill(include_str!("../../migrations/sqlite/2026-11-28-000001_tags/up.sql"))).unwrap();
    for (state, tasks) in COUNTS {
        sql_query(format!("UPDATE task_count SET tasks = {tasks} WHERE state = {state}"))
            .execute(&mut connection)
            .unwrap();
    }
}

fn fill_postgres(url: &str) {
    let mut connection = PgConnection::establish(url).unwrap();
    let source = format!(
        "CREATE TABLE source AS SELECT i, j, gen_random_uuid() AS id, 1700000000000000 + i::BIGINT * 1000 AS at, \
         {TARGET} AS target, {LABELS} AS labels FROM (SELECT i, i / 2 AS j FROM generate_series(0, 1999999) i) m;"
    );
    connection.batch_execute(&tasks(&source, r#"'\x00', '{"a":1}'::BYTEA"#)).unwrap();
    connection
        .batch_execute(backfill(include_str!("../../migrations/postgres/2026-11-28-000001_tags/up.sql")))
        .unwrap();
    for (state, tasks) in COUNTS {
        let insert = format!("INSERT INTO task_count VALUES (gen_random_uuid(), 0, {state}, {tasks})");
        sql_query(insert).execute(&mut connection).unwrap();
    }
    connection.batch_execute("VACUUM (ANALYZE)").unwrap();
}
