//! The same done to many tasks, in the order of their keys: scheduled ones are waited for, should a claim hold them.

use diesel::prelude::*;
use diesel::sql_types::Uuid;

use super::columns::{DueColumns, by_key};
use super::counts::{self, Writer};
use super::parking::{unpark, unpark_ended};
use super::value::Value;
use crate::domain::{TaskId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::{DueRow, due, kept};
use crate::store::statement::{Words, statement};
use crate::store::{Operated, Operation, Resolution, Result};

/// Most tasks of one transaction: a claim of the same tasks, or of what waits behind it, waits for a few milliseconds.
pub const TASKS_MAX: usize = 250;

/// Does this to those of the tasks that stand in its state.
pub fn operate(c: &mut PgConnection, writer: Writer, operation: Operation, ids: &[TaskId]) -> Result<Operated> {
    let mut keys: Vec<Key> = ids.iter().copied().map(Key::from).collect();
    keys.sort_unstable();
    keys.dedup();
    let operated = match operation {
        Operation::Cancel => cancel(c, keys)?,
        Operation::Run => move_to(c, keys, None)?,
        Operation::Reschedule(run_at) => move_to(c, keys, Some(run_at))?,
        Operation::Retry | Operation::Resolve(Resolution::Scheduled) => {
            operated(&statement::<Revive, _>(&[Value::Keys(keys), of(operation)]).load(c)?)?
        }
        Operation::Resolve(Resolution::Succeeded | Resolution::Failed) => {
            let to = Value::Small(operation.leads_to().code());
            let settled: Vec<Key> = statement::<Settle, _>(&[Value::Keys(keys), of(operation), to]).load(c)?;
            Operated { changed: settled.len(), due: Vec::new() }
        }
    };
    if operation.acts_on() != operation.leads_to() {
        let mut deltas = Deltas::default();
        deltas.steps(operation.acts_on(), operation.leads_to(), operated.changed);
        counts::write(c, writer, &deltas)?;
    }
    Ok(operated)
}

fn of(operation: Operation) -> Value<'static> {
    Value::Small(operation.acts_on().code())
}

fn operated(rows: &[DueRow]) -> Result<Operated> {
    Ok(Operated { changed: rows.len(), due: rows.iter().map(due).collect::<Result<_>>()? })
}

struct Cancel;

impl Words for Cancel {
    const SQL: &'static str = concat!(
        "WITH gone AS (DELETE FROM task t USING unnest(?) AS o(gone_id) WHERE ",
        by_key!("t.id", "o.gone_id"),
        " AND t.state = 0 RETURNING t.*) ",
        kept!(into_history),
        "SELECT ",
        kept!(),
        ", 5, attempt, started_at, last_error, now_us() FROM gone RETURNING id"
    );
    type Row = Uuid;
}

fn cancel(c: &mut PgConnection, keys: Vec<Key>) -> Result<Operated> {
    let gone: Vec<Key> = statement::<Cancel, _>(&[Value::Keys(keys)]).load(c)?;
    let changed = gone.len();
    if changed > 0 {
        unpark_ended(c, gone)?;
    }
    Ok(Operated { changed, due: Vec::new() })
}

struct Move;

impl Words for Move {
    const SQL: &'static str = concat!(
        "UPDATE task t SET due_at = coalesce(?, now_us()), run_at = coalesce(?, t.run_at) FROM unnest(?) AS o(id) WHERE ",
        by_key!("t.id", "o.id"),
        " AND t.state = 0 RETURNING t.id, t.due_at, t.priority, t.misfire_ms"
    );
    type Row = DueColumns;
}

/// Makes a scheduled task due now.
pub fn run(c: &mut PgConnection, id: TaskId) -> Result<Operated> {
    move_to(c, vec![id.into()], None)
}

/// To this instant; without one, to now.
fn move_to(c: &mut PgConnection, keys: Vec<Key>, run_at: Option<Timestamp>) -> Result<Operated> {
    let at = Value::MaybeInt(run_at.map(Timestamp::micros));
    let moved: Vec<DueRow> = statement::<Move, _>(&[at.clone(), at, Value::Keys(keys)]).load(c)?;
    if !moved.is_empty() {
        unpark(c, moved.iter().map(|row| row.0).collect())?;
    }
    operated(&moved)
}

/// What another holds is being settled by its own late outcome, or by another caller: it is theirs, and nobody waits in a
/// circle.
macro_rules! held {
    () => {
        "WITH held AS (SELECT id AS held_id FROM task_history WHERE id = ANY(?) AND state = ? ORDER BY id \
         FOR UPDATE SKIP LOCKED) "
    };
}

struct Revive;

impl Words for Revive {
    const SQL: &'static str = concat!(
        held!(),
        ", back AS (DELETE FROM task_history h USING held WHERE ",
        by_key!("h.id", "held.held_id"),
        " RETURNING h.*) \
         INSERT INTO task (id, run_at, priority, misfire_ms, claim_no, accepted_at, created_at, dispatched_at, started_at, \
         last_error, delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint, state, due_at, attempt) \
         SELECT id, run_at, priority, misfire_ms, claim_no, accepted_at, created_at, dispatched_at, started_at, last_error, \
         delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint, 0, now_us(), attempt \
         FROM back ORDER BY id RETURNING id, due_at, priority, misfire_ms"
    );
    type Row = DueColumns;
}

struct Settle;

impl Words for Settle {
    const SQL: &'static str = concat!(
        held!(),
        "UPDATE task_history h SET state = ?, finished_at = now_us() FROM held WHERE ",
        by_key!("h.id", "held.held_id"),
        " RETURNING h.id"
    );
    type Row = Uuid;
}
