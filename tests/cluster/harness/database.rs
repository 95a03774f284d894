//! A look into a node's database file, as a crash has left it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, SmallInt};
use diesel::sqlite::SqliteConnection;
use uuid::Uuid;

/// What stood in the tables.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Claimed and not settled.
    pub claimed: HashSet<Uuid>,
    /// Those of them that have a start record.
    pub started: HashSet<Uuid>,
    /// States by task, as numbers.
    pub states: HashMap<Uuid, i16>,
}

#[derive(QueryableByName)]
struct TaskRow {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = SmallInt)]
    state: i16,
    #[diesel(sql_type = BigInt)]
    claim_no: i64,
}

#[derive(QueryableByName)]
struct StartRow {
    #[diesel(sql_type = Binary)]
    ids: Vec<u8>,
    #[diesel(sql_type = Binary)]
    claim_nos: Vec<u8>,
}

/// How many rows this table was ever given, in the database of a node that has ended.
pub fn rows_ever(folder: &Path, table: &str) -> usize {
    let mut connection = SqliteConnection::establish(&folder.join("task-scheduler.db").to_string_lossy()).unwrap();
    let seq = diesel::dsl::sql::<BigInt>(&format!("(SELECT seq FROM sqlite_sequence WHERE name = '{table}')"));
    usize::try_from(diesel::select(seq).get_result::<i64>(&mut connection).unwrap()).unwrap()
}

/// Reads a copy of the database in `folder`: the file itself stays as the crash has left it.
pub fn snapshot(folder: &Path) -> Snapshot {
    let copy = tempfile::tempdir().unwrap();
    for name in ["task-scheduler.db", "task-scheduler.db-wal"] {
        let from = folder.join(name);
        if from.exists() {
            std::fs::copy(from, copy.path().join(name)).unwrap();
        }
    }
    let file = copy.path().join("task-scheduler.db");
    let mut connection = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 2000").unwrap();
    read(&mut connection)
}

fn read(connection: &mut SqliteConnection) -> Snapshot {
    let mut started_claims = HashSet::new();
    let records: Vec<StartRow> = diesel::sql_query("SELECT ids, claim_nos FROM start_record").load(connection).unwrap();
    for record in records {
        for (id, claim_no) in record.ids.chunks_exact(16).zip(record.claim_nos.chunks_exact(8)) {
            started_claims.insert((Uuid::from_slice(id).unwrap(), i64::from_be_bytes(claim_no.try_into().unwrap())));
        }
    }
    let rows: Vec<TaskRow> = diesel::sql_query(
        "SELECT id, state, claim_no FROM task UNION ALL SELECT id, state, claim_no FROM task_history",
    )
    .load(connection)
    .unwrap();
    let mut snapshot = Snapshot::default();
    for row in rows {
        let id = Uuid::from_slice(&row.id).unwrap();
        snapshot.states.insert(id, row.state);
        if row.state == 1 {
            snapshot.claimed.insert(id);
            if started_claims.contains(&(id, row.claim_no)) {
                snapshot.started.insert(id);
            }
        }
    }
    snapshot
}
