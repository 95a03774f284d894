//! The raw loop: plain SQL on the program's own tables, indexes and pragmas, one connection, batches of 1,000, and
//! nothing else. What the program reaches is told as a ratio to it, measured in the same run.

pub mod postgres;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

const TABLES: &str = include_str!("../../migrations/sqlite/2026-11-23-000001_tables/up.sql");
const PRAGMAS: &str = "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;";
const BATCH: usize = 1_000;
pub const PAYLOAD: &str =
    r#"{"order":42,"text":"01234567890123456789012345678901234567890123456789012345678901234567"}"#;
const RETRY: &str = r#"{"max_attempts":5,"initial_ms":1000,"factor":2.0,"max_ms":300000,"jitter":0.2}"#;

/// A database of the program's shape.
pub struct Raw {
    connection: Connection,
}

impl Raw {
    /// A new one in `folder`, as the program would make it.
    pub fn create(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let connection = Connection::open(folder.join("task-scheduler.db")).unwrap();
        connection.execute_batch(PRAGMAS).unwrap();
        connection.execute_batch(TABLES).unwrap();
        // The program finds its schema applied already.
        connection
            .execute_batch(
                "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
                 run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
                 INSERT INTO __diesel_schema_migrations (version) VALUES ('20261123000001');",
            )
            .unwrap();
        Self { connection }
    }

    /// Inserts `tasks` scheduled ones with target `log`; how long it took. `due_in` tells when each is due, from now.
    pub fn insert(&mut self, tasks: usize, due_in: impl Fn(usize) -> i64) -> Duration {
        let now = now_us();
        let began = Instant::now();
        for first in (0..tasks).step_by(BATCH) {
            let transaction = self.begin();
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO task (id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, retry, \
                     timeout_ms, target, labels, payload_kind, payload, fingerprint) \
                     VALUES (?1, 0, ?2, ?2, 0, 0, 0, ?3, 0, ?4, 30000, '{\"type\":\"log\"}', '{}', 1, ?5, ?6) \
                     ON CONFLICT DO NOTHING",
                )
                .unwrap();
            let end = tasks.min(first + BATCH);
            for n in first..end {
                let (id, due) = (Uuid::now_v7(), now + due_in(n));
                insert.execute(params![id.as_bytes(), due, now, RETRY, PAYLOAD.as_bytes(), [7_u8; 32]]).unwrap();
            }
            drop(insert);
            count(&transaction, 0, i64::try_from(end - first).unwrap());
            transaction.commit().unwrap();
        }
        began.elapsed()
    }

    /// Claims, starts and moves everything that is due to history; how long it took.
    pub fn drain(&mut self) -> (usize, Duration) {
        let owner = Uuid::now_v7();
        let began = Instant::now();
        let mut drained = 0;
        loop {
            let ids = self.due();
            if ids.is_empty() {
                return (drained, began.elapsed());
            }
            drained += ids.len();
            self.claim(&ids, owner);
            self.start(&ids, owner);
            self.end(&ids, owner);
        }
    }

    fn due(&self) -> Vec<[u8; 16]> {
        let mut due = self
            .connection
            .prepare_cached("SELECT id FROM task WHERE due_at <= ?1 AND state = 0 ORDER BY due_at, id LIMIT 1000")
            .unwrap();
        let rows = due.query_map([now_us()], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn claim(&mut self, ids: &[[u8; 16]], owner: Uuid) {
        let now = now_us();
        let transaction = self.begin();
        let mut claim = transaction
            .prepare_cached(
                "UPDATE task SET state = 1, claim_no = claim_no + 1, owner = ?2, epoch = 1, dispatched_at = ?3 \
                 WHERE id = ?1 AND state = 0",
            )
            .unwrap();
        for id in ids {
            claim.execute(params![id, owner.as_bytes(), now]).unwrap();
        }
        drop(claim);
        transaction
            .prepare_cached("INSERT INTO assignment (generation, epoch, ids, claim_nos) VALUES (?1, 1, ?2, ?3)")
            .unwrap()
            .execute(params![owner.as_bytes(), ids.concat(), claim_nos(ids.len())])
            .unwrap();
        transaction.commit().unwrap();
    }

    fn start(&mut self, ids: &[[u8; 16]], owner: Uuid) {
        let now = now_us();
        let transaction = self.begin();
        transaction
            .prepare_cached("INSERT INTO start_record (generation, started_at, ids, claim_nos) VALUES (?1, ?2, ?3, ?4)")
            .unwrap()
            .execute(params![owner.as_bytes(), now, ids.concat(), claim_nos(ids.len())])
            .unwrap();
        transaction.commit().unwrap();
    }

    fn end(&mut self, ids: &[[u8; 16]], owner: Uuid) {
        let now = now_us();
        let transaction = self.begin();
        let mut copy = transaction
            .prepare_cached(
                "INSERT INTO task_history SELECT id, 2, due_at, run_at, priority, misfire_ms, claim_no, attempt + 1, owner, \
                 epoch, created_at, dispatched_at, ?2, last_error, delivery, retry, timeout_ms, target, labels, payload_kind, \
                 fingerprint, ?2, payload FROM task WHERE id = ?1 AND claim_no = 1 AND owner = ?3 AND state = 1",
            )
            .unwrap();
        let mut delete = transaction.prepare_cached("DELETE FROM task WHERE id = ?1").unwrap();
        for id in ids {
            copy.execute(params![id, now, owner.as_bytes()]).unwrap();
            delete.execute([id]).unwrap();
        }
        drop((copy, delete));
        transaction.prepare_cached("DELETE FROM assignment").unwrap().execute([]).unwrap();
        transaction.prepare_cached("DELETE FROM start_record").unwrap().execute([]).unwrap();
        transaction.commit().unwrap();
    }

    fn begin(&mut self) -> Transaction<'_> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
    }
}

fn count(transaction: &Transaction<'_>, state: i64, by: i64) {
    transaction
        .prepare_cached("UPDATE task_count SET tasks = tasks + ?2 WHERE state = ?1")
        .unwrap()
        .execute([state, by])
        .unwrap();
}

fn claim_nos(claims: usize) -> Vec<u8> {
    1_i64.to_be_bytes().repeat(claims)
}

fn now_us() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}
