//! What the removal of many finished tasks does to the calls beside it, and to the size of the database.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};

use super::steady::{RATE, p99};
use super::{Bar, Figure, median};
use crate::harness::Node;
use crate::harness::node::until;
use crate::services::postgres::Server;

/// How often all is removed and filled in again: what was removed is used again only after a while (an index's pages after the
/// clean-up behind the one that empties them), and then nothing grows any more.
const ROUNDS: usize = 4;
/// Of so many finished tasks one is unknown.
const UNKNOWN_OF: usize = 1_000;
const PATIENCE: Duration = Duration::from_mins(30);
/// Finished before this is what the bench has filled in, in microseconds since 1970.
const FILLED: &str = "FROM task_history WHERE finished_at < 1000000000000";

/// Where the tasks are.
pub enum Database {
    /// A file in this folder.
    File(tempfile::TempDir),
    /// A schema.
    Url(String),
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl Database {
    /// An empty one with all its tables.
    pub fn file() -> Self {
        let database = Self::File(tempfile::tempdir().unwrap());
        assert!(database.node("0").stop().success());
        database
    }

    /// The same on a server.
    pub fn on(server: &Server) -> Self {
        let database = Self::Url(server.schema());
        assert!(database.node("0").stop().success());
        database
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(folder) => Some(folder.path().join("task-scheduler.db")),
            Self::Url(_) => None,
        }
    }

    fn node(&self, hours: &str) -> Node {
        match self {
            Self::File(folder) => Node::in_folder(folder.path(), &["--retention-hours", hours]),
            Self::Url(url) => Node::with(&["--database-url", url, "--retention-hours", hours]),
        }
    }

    fn run(&self, sql: &str) {
        match self {
            Self::File(_) => self.sqlite().batch_execute(sql).unwrap(),
            Self::Url(url) => PgConnection::establish(url).unwrap().batch_execute(sql).unwrap(),
        }
    }

    fn sqlite(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(&self.path().unwrap().to_string_lossy()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 60000").unwrap();
        connection
    }

    fn number(&self, sql: &str) -> i64 {
        let row: Number = match self {
            Self::File(_) => sql_query(sql).get_result(&mut self.sqlite()).unwrap(),
            Self::Url(url) => sql_query(sql).get_result(&mut PgConnection::establish(url).unwrap()).unwrap(),
        };
        row.number
    }

    /// What is there to be removed.
    fn left(&self) -> usize {
        self.number(&format!("SELECT count(*) AS number {FILLED} AND state <> 4")) as usize
    }

    fn unknown(&self) -> usize {
        self.number(&format!("SELECT count(*) AS number {FILLED} AND state = 4")) as usize
    }

    /// Adds finished tasks of long ago, each with two tags, one of ten with an attempt.
    fn fill(&self, tasks: usize) {
        let (series, id, payload) = match self {
            Self::File(_) => (
                format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {tasks})"),
                "unhex(printf('%012x', n) || hex(randomblob(10)))",
                "zeroblob(100)",
            ),
            Self::Url(_) => (
                format!("WITH s AS (SELECT n FROM generate_series(1, {tasks}) n)"),
                "(lpad(to_hex(n), 12, '0') || substr(md5(random()::TEXT), 1, 20))::UUID",
                "decode(repeat('00', 100), 'hex')",
            ),
        };
        let count = match self {
            Self::File(_) => format!(
                "UPDATE task_count SET tasks = tasks + {} WHERE state = 2; UPDATE task_count SET tasks = tasks + {} WHERE state = 4",
                tasks - tasks / UNKNOWN_OF,
                tasks / UNKNOWN_OF
            ),
            Self::Url(_) => format!(
                "INSERT INTO task_count (writer, stream, state, tasks) SELECT gen_random_uuid(), 0, 2, {} UNION ALL \
                 SELECT gen_random_uuid(), 0, 4, {}; ANALYZE",
                tasks - tasks / UNKNOWN_OF,
                tasks / UNKNOWN_OF
            ),
        };
        let new = "FROM task_history WHERE timeout_ms = 1";
        self.run(&format!(
            "{series} INSERT INTO task_history (id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, \
             retry, timeout_ms, target, labels, payload_kind, fingerprint, finished_at, payload) \
             SELECT {id}, CASE WHEN n % {UNKNOWN_OF} = 0 THEN 4 ELSE 2 END, n, n, 0, 1, 1, n, 0, '{{}}', 1, \
             '{{\"type\":\"log\"}}', '{{\"kind\":\"old\"}}', 2, {payload}, n, {payload} FROM s; \
             INSERT INTO task_tag (tag, created_at, id) SELECT 't:log', created_at, id {new}; \
             INSERT INTO task_tag (tag, created_at, id) SELECT 'l:kind=old', created_at, id {new}; \
             INSERT INTO attempt (task_id, claim_no, attempt, due_at, finished_at, outcome) \
             SELECT id, 1, 1, due_at, finished_at, 1 {new} AND due_at % 10 = 0; \
             UPDATE task_history SET timeout_ms = 2 WHERE timeout_ms = 1; {count}"
        ));
    }

    /// What was filled in is on the disk, so that nobody who is measured next waits for it.
    fn settle(&self) {
        self.run(match self {
            Self::File(_) => "PRAGMA wal_checkpoint(TRUNCATE)",
            Self::Url(_) => "CHECKPOINT",
        });
        self.until_cleaned();
    }

    /// Tables and indexes, in megabytes.
    fn size_mb(&self) -> f64 {
        let bytes = match self {
            Self::File(_) => {
                self.number("SELECT page_count * page_size AS number FROM pragma_page_count(), pragma_page_size()")
            }
            Self::Url(_) => self.number(
                "SELECT sum(pg_total_relation_size(name::REGCLASS))::BIGINT AS number \
                 FROM unnest(ARRAY['task_history', 'attempt', 'task_tag']) AS name",
            ),
        };
        bytes as f64 / 1e6
    }

    /// Waits until what was removed may be used again.
    fn until_cleaned(&self) {
        let dead = "SELECT coalesce(sum(n_dead_tup), 0)::BIGINT AS number FROM pg_stat_user_tables \
            WHERE schemaname = current_schema() AND relname IN ('task_history', 'task_tag') \
            AND n_dead_tup > 0.05 * (n_live_tup + n_dead_tup) AND n_dead_tup > 20000";
        if matches!(self, Self::Url(_)) {
            until("the server has cleaned up behind it", Duration::from_mins(5), || self.number(dead) == 0);
        }
    }
}

/// `tasks` finished ones on this database: `pairs` runs of `seconds` with their removal under way and without, in turn; then
/// all are removed, and once more as many.
pub fn measure(database: &Database, pairs: usize, (tasks, seconds): (usize, usize)) -> Vec<Figure> {
    let on = if matches!(database, Database::File(_)) { "file" } else { "PostgreSQL" };
    database.fill(tasks);
    database.settle();
    let (mut withs, mut withouts, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        // All of it is there in either run; only one removes it.
        let without = p99(&database.node("0"), seconds);
        let before = database.left();
        let with = p99(&database.node("1"), seconds);
        let left = database.left();
        println!("      {on}: p99 {without:.3} ms, with {} removed meanwhile {with:.3} ms", before - left);
        assert!(left > 0, "there must be something to remove until the end");
        database.fill(before - left);
        database.settle();
        withouts.push(without);
        withs.push(with);
        ratios.push(with / without);
    }
    let unknown = database.unknown();
    let (rate, first) = removed(database);
    let mut sizes = vec![first];
    for _ in 1..ROUNDS {
        database.fill(tasks);
        sizes.push(removed(database).1);
    }
    let added = (ROUNDS - 1) * (tasks / UNKNOWN_OF);
    let missing = (unknown + added).abs_diff(database.unknown());
    println!("      {on}: {sizes:.0?} MB after each round");
    let (before, last) = (sizes[ROUNDS - 2], sizes[ROUNDS - 1]);
    let detail = format!(
        "{:.3} ms beside it, {:.3} ms without; {RATE}/s for {seconds} s, {tasks} tasks, {pairs} pairs",
        median(withs),
        median(withouts)
    );
    let figure = |name, value, unit, bar, detail| Figure { name, value, unit, bar, detail };
    let is_file = matches!(database, Database::File(_));
    let name = |file, url| if is_file { file } else { url };
    vec![
        figure(
            name("p99 beside a removal / without (file)", "p99 beside a removal / without (PostgreSQL)"),
            median(ratios),
            "",
            Bar::AtMost(2.0),
            detail,
        ),
        figure(name("removal (file)", "removal (PostgreSQL)"), rate, "/s", Bar::None, "a fifth of the time".to_owned()),
        figure(
            name("size after a last round / before (file)", "size after a last round / before (PostgreSQL)"),
            last / before,
            "",
            Bar::AtMost(1.1),
            format!("{sizes:.0?} MB after {ROUNDS} rounds, each of {tasks} tasks"),
        ),
        figure("unknown tasks removed", missing as f64, "", Bar::AtMost(0.0), format!("of {}", unknown + added)),
    ]
}

/// Removes all there is; tasks per second, and the size then.
fn removed(database: &Database) -> (f64, f64) {
    let all = database.left();
    let _node = database.node("1");
    let began = Instant::now();
    until("all is removed", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(500));
        database.left() == 0
    });
    let rate = all as f64 / began.elapsed().as_secs_f64();
    database.until_cleaned();
    (rate, database.size_mb())
}
