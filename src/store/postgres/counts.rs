//! Counts by state, as sums of deltas: each process has rows of its own for each kind of transaction.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt};

use super::value::Value;
use crate::domain::State;
use crate::store::Result;
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::unreadable;
use crate::store::statement::{Words, statement};

/// The kinds of transactions that run beside each other in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Ingest,
    Claim,
    Settle,
    Other,
    Retention,
}

impl Stream {
    fn code(self) -> i16 {
        match self {
            Self::Ingest => 0,
            Self::Claim => 1,
            Self::Settle => 2,
            Self::Other => 3,
            Self::Retention => 4,
        }
    }
}

/// Whose rows a transaction writes.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    /// The process.
    pub process: Key,
    /// The kind of transaction.
    pub stream: Stream,
}

struct AddDeltas;

impl Words for AddDeltas {
    const SQL: &'static str = "INSERT INTO task_count (writer, stream, state, tasks) \
        SELECT ?, ?, state, delta FROM unnest(?, ?) AS d(state, delta) ORDER BY state \
        ON CONFLICT (writer, stream, state) DO UPDATE SET tasks = task_count.tasks + excluded.tasks";
    type Row = ();
}

/// Writes what a transaction has changed.
pub fn write(c: &mut PgConnection, writer: Writer, deltas: &Deltas) -> Result<()> {
    let (states, changes): (Vec<i16>, Vec<i64>) = deltas.changed().map(|(state, by)| (state.code(), by)).unzip();
    if !states.is_empty() {
        statement::<AddDeltas, _>(&[
            Value::Key(writer.process),
            Value::Small(writer.stream.code()),
            Value::Smalls(states),
            Value::Ints(changes),
        ])
        .execute(c)?;
    }
    Ok(())
}

struct Sums;

impl Words for Sums {
    const SQL: &'static str = "SELECT state, sum(tasks)::BIGINT FROM task_count GROUP BY state";
    type Row = (SmallInt, BigInt);
}

/// How many tasks stand in each state. A sum below zero cannot be: every delta is committed with its move.
pub fn read(c: &mut PgConnection) -> Result<Vec<(State, u64)>> {
    let sums: Vec<(i16, i64)> = statement::<Sums, Value<'_>>(&[]).load(c)?;
    State::ALL
        .into_iter()
        .map(|state| {
            let tasks = sums.iter().find(|(code, _)| *code == state.code()).map_or(0, |(_, tasks)| *tasks);
            Ok((state, u64::try_from(tasks).map_err(|cause| unreadable("tasks", cause))?))
        })
        .collect()
}

/// More rows than this are mostly those of processes that have ended.
const ROWS_MAX: i64 = 200;

struct Rows;

impl Words for Rows {
    const SQL: &'static str = "SELECT count(*) FROM task_count";
    type Row = BigInt;
}

/// In the order in which every writer takes them.
struct HoldOthers;

impl Words for HoldOthers {
    const SQL: &'static str =
        "SELECT state FROM task_count WHERE writer <> ? ORDER BY writer, stream, state FOR UPDATE";
    type Row = SmallInt;
}

struct TakeOthers;

impl Words for TakeOthers {
    const SQL: &'static str = "WITH others AS (DELETE FROM task_count WHERE writer <> ? RETURNING stream, state, tasks) \
        INSERT INTO task_count (writer, stream, state, tasks) \
        SELECT ?, stream, state, sum(tasks)::BIGINT FROM others GROUP BY stream, state ORDER BY stream, state \
        ON CONFLICT (writer, stream, state) DO UPDATE SET tasks = task_count.tasks + excluded.tasks";
    type Row = ();
}

/// Folds what many processes have left into rows of this one, in a transaction. One that still lives goes on with new rows:
/// only the sums count.
pub fn fold(c: &mut PgConnection, process: Key) -> Result<()> {
    let rows: i64 = statement::<Rows, Value<'_>>(&[]).get_result(c)?;
    if rows > ROWS_MAX {
        let own = Value::Key(process);
        let _held: Vec<i16> = statement::<HoldOthers, _>(std::slice::from_ref(&own)).load(c)?;
        statement::<TakeOthers, _>(&[own.clone(), own]).execute(c)?;
    }
    Ok(())
}
