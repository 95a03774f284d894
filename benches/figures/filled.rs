//! Databases with much in them: as many tasks that wait as have ended, with labels and targets, and an hour of nodes' figures.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, RunQueryDsl as _, sql_query};
use task_scheduler::domain::buckets::{BOUNDS_US, Buckets};
use task_scheduler::domain::figures::Figures;
use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;
use tempfile::TempDir;

use crate::services::postgres::Server;

/// With which a node leaves what has ended where it is.
pub const KEEPS_ALL: [&str; 2] = ["--retention-hours", "0"];
/// From now until the first of [`Filling::next_hour`] is due.
const AHEAD: Duration = Duration::from_mins(15);
const MINUTE_US: u128 = 60_000_000;
/// More than an `INTEGER` holds, so that PostgreSQL reckons with `BIGINT`.
const HOUR_US: u64 = 3_600_000_000;
/// Nodes that have figures, and minutes for which they have them.
const NODES: u128 = 3;
const MINUTES: u128 = 62;
/// Of a thousand that wait and a thousand that have ended: states, and how many are in each.
const COUNTS: [(i16, u32); 6] = [(0, 1_000), (2, 900), (3, 50), (4, 5), (5, 20), (6, 25)];

/// Text of a task's target and labels.
const TARGET: &str = r#"CASE WHEN j % 20 < 18 THEN '{"type":"http","url":"https://host' || (j % 20) || '.example.org/hook","method":"POST","headers":{}}'
    WHEN j % 20 = 18 THEN '{"type":"kafka","topic":"orders"}' ELSE '{"type":"log"}' END"#;
const LABELS: &str = r#"'{"tenant":"t' || (j % 1000) || '"' || CASE WHEN j % 2 = 0 THEN ',"env":"prod"' ELSE '' END
    || CASE WHEN j % 4 = 1 THEN ',"half":"a"' WHEN j % 4 = 3 THEN ',"other":"b"' ELSE '' END
    || CASE WHEN j % 100000 = 7 THEN ',"rare":"x"' ELSE '' END || '}'"#;

/// What a database is filled with.
pub struct Filling {
    /// Tasks that wait, in thousands; as many have ended.
    thousands: u32,
    /// When one that waits is due: SQL of `j`, which counts them, and of `i`, which counts all.
    due_at: String,
    /// With figures of nodes for each minute of the last hour.
    has_figures: bool,
    made: Instant,
}

impl Filling {
    /// A million that wait for decades, and a million that have ended.
    pub fn far_ahead() -> Self {
        Self { thousands: 1_000, due_at: "4000000000000000 + i".to_owned(), has_figures: false, made: Instant::now() }
    }

    /// So many thousands of each, due evenly from 15 to 75 minutes after now; and the figures of three nodes.
    pub fn next_hour(thousands: u32) -> Self {
        let (first, tasks) = (now_us() + AHEAD.as_micros(), thousands * 1_000);
        let due_at = format!("{first} + {HOUR_US} / {tasks} * j");
        Self { thousands, due_at, has_figures: true, made: Instant::now() }
    }

    /// Tasks that wait; as many have ended.
    pub fn tasks(&self) -> u32 {
        self.thousands * 1_000
    }

    /// Nothing of it is called yet: that would be measured too.
    pub fn is_still_ahead(&self) -> bool {
        self.made.elapsed() < AHEAD
    }

    /// In a file in a new folder.
    pub fn folder(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        task_scheduler::store::sqlite::migrate(folder.path()).unwrap();
        self.fill_sqlite(&folder.path().join("task-scheduler.db"));
        folder
    }

    /// In a new schema; its URL.
    pub fn schema(&self, server: &Server) -> String {
        let url = server.schema();
        PostgresStore::new(&url, 1).prepare().unwrap();
        self.fill_postgres(&url);
        url
    }

    fn fill_sqlite(&self, file: &Path) {
        let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        let source = format!(
            "PRAGMA synchronous = OFF; CREATE TABLE source AS \
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}), \
             m AS (SELECT i, i / 2 AS j FROM n) \
             SELECT i, j, randomblob(16) AS id, 1700000000000000 + i * 1000 AS at, {TARGET} AS target, {LABELS} AS labels FROM m;",
            self.last()
        );
        connection.batch_execute(&self.statements(&source, r#"x'00', CAST('{"a":1}' AS BLOB)"#)).unwrap();
        connection
            .batch_execute(backfill(include_str!("../../migrations/sqlite/2026-11-28-000001_tags/up.sql")))
            .unwrap();
        for (state, tasks) in self.counts() {
            sql_query(format!("UPDATE task_count SET tasks = {tasks} WHERE state = {state}"))
                .execute(&mut connection)
                .unwrap();
        }
        if self.has_figures {
            connection.batch_execute(&figures("randomblob(16)")).unwrap();
        }
        drop(connection);
        // It is on the disk, so that nobody who is measured next waits for it.
        File::open(file).unwrap().sync_all().unwrap();
    }

    fn fill_postgres(&self, url: &str) {
        let mut connection = PgConnection::establish(url).unwrap();
        let source = format!(
            "CREATE TABLE source AS SELECT i, j, gen_random_uuid() AS id, 1700000000000000 + i::BIGINT * 1000 AS at, \
             {TARGET} AS target, {LABELS} AS labels FROM (SELECT i, i / 2 AS j FROM generate_series(0, {}) i) m;",
            self.last()
        );
        connection.batch_execute(&self.statements(&source, r#"'\x00', '{"a":1}'::BYTEA"#)).unwrap();
        connection
            .batch_execute(backfill(include_str!("../../migrations/postgres/2026-11-28-000001_tags/up.sql")))
            .unwrap();
        for (state, tasks) in self.counts() {
            let insert = format!("INSERT INTO task_count VALUES (gen_random_uuid(), 0, {state}, {tasks})");
            sql_query(insert).execute(&mut connection).unwrap();
        }
        if self.has_figures {
            connection.batch_execute(&figures("gen_random_uuid()")).unwrap();
        }
        connection.batch_execute("VACUUM (ANALYZE)").unwrap();
        connection.batch_execute("CHECKPOINT").unwrap();
    }

    /// Of the numbers of all tasks.
    fn last(&self) -> u32 {
        self.tasks() * 2 - 1
    }

    fn counts(&self) -> [(i16, u32); 6] {
        COUNTS.map(|(state, tasks)| (state, tasks * self.thousands))
    }

    /// The same tasks in both: every second one waits, and each of both kinds has each target and label in turn.
    fn statements(&self, source: &str, json: &str) -> String {
        let names = "id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, retry, timeout_ms, target, \
            labels, payload_kind, fingerprint, payload";
        let retry = r#"{"max_attempts":5,"initial_ms":1000,"factor":2.0,"max_ms":300000,"jitter":0.2}"#;
        let rest = format!("0, '{retry}', 30000, target, labels, 1, {json}");
        let ended = "CASE WHEN j % 200 < 180 THEN 2 WHEN j % 200 < 190 THEN 3 WHEN j % 200 = 190 THEN 4 \
            WHEN j % 200 < 195 THEN 5 ELSE 6 END";
        let due_at = &self.due_at;
        format!(
            "{source} \
             INSERT INTO task ({names}) SELECT id, 0, {due_at}, {due_at}, 5, 0, 0, at, {rest} \
             FROM source WHERE i % 2 = 0; \
             INSERT INTO task_history ({names}, finished_at) SELECT id, {ended}, at, at, 5, 1, 1, at, {rest}, at \
             FROM source WHERE i % 2 = 1; DROP TABLE source;"
        )
    }
}

/// A file in a new folder with no task at all, and an hour of nodes' figures.
pub fn history() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    task_scheduler::store::sqlite::migrate(folder.path()).unwrap();
    let mut connection =
        SqliteConnection::establish(folder.path().join("task-scheduler.db").to_str().unwrap()).unwrap();
    connection.batch_execute(&figures("randomblob(16)")).unwrap();
    folder
}

/// What nodes that were busy in every way counted in each minute of the last hour, each under a new id.
fn figures(id: &str) -> String {
    let times = || Buckets::of(BOUNDS_US.map(|bound| (bound, 1_000)));
    let minute = now_us() / MINUTE_US;
    let late = (0..MINUTES).map(|n| (i64::try_from(minute - n).unwrap(), 100)).collect();
    let counted = Figures {
        late,
        claims: 23_000,
        submissions: [("stored".to_owned(), 23_000)].into(),
        outcomes: ["succeeded", "failed"].map(|outcome| (outcome.to_owned(), 11_500)).into(),
        starts: 23_000,
        lateness: times(),
        execution: times(),
        ingest: times(),
        claim: times(),
    };
    let counted = serde_json::to_string(&counted).unwrap();
    let row = |n: u128| format!("({}, {id}, '{counted}')", (minute - 1 - n % MINUTES) * MINUTE_US);
    let rows: Vec<String> = (0..NODES * MINUTES).map(row).collect();
    format!("INSERT INTO minute (begun_at, generation, figures) VALUES {}", rows.join(", "))
}

/// What the step that brought tags does for tasks that were there before.
fn backfill(up: &str) -> &str {
    &up[up.find("\nINSERT").unwrap()..]
}

fn now_us() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}
