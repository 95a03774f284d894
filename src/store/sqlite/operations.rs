//! The same done to many tasks, one after the other: there is one writer.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, SmallInt};
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::moves::{End, end_scheduled, revive};
use super::value::Value;
use crate::domain::{Due, State, TaskId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::{DueRow, due};
use crate::store::statement::{Words, statement};
use crate::store::{Operated, Operation, Resolution, Result};

/// Most tasks of one transaction: whoever wants to write next, a claim among them, waits for a few milliseconds.
pub const TASKS_MAX: usize = 50;

/// Does this to those of the tasks that stand in its state.
pub fn operate(c: &mut SqliteConnection, operation: Operation, ids: &[TaskId], now: Timestamp) -> Result<Operated> {
    let mut keys: Vec<Key> = ids.iter().copied().map(Key::from).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut operated = Operated::default();
    for key in &keys {
        let (changed, due) = operate_on(c, operation, key.0.as_bytes(), now)?;
        operated.changed += usize::from(changed);
        operated.due.extend(due);
    }
    if operation.acts_on() != operation.leads_to() {
        let mut deltas = Deltas::default();
        deltas.steps(operation.acts_on(), operation.leads_to(), operated.changed);
        counts::write(c, &deltas)?;
    }
    Ok(operated)
}

/// False: it stands in another state. And when it is due, if it was scheduled by this.
fn operate_on(
    c: &mut SqliteConnection,
    operation: Operation,
    id: &[u8],
    now: Timestamp,
) -> Result<(bool, Option<Due>)> {
    let due = match operation {
        Operation::Cancel => return Ok((cancel(c, id, now)?, None)),
        Operation::Resolve(Resolution::Succeeded | Resolution::Failed) => {
            let (to, from) = (code(operation.leads_to()), code(operation.acts_on()));
            let values = [to, Value::Int(now.micros()), Value::Blob(id), from];
            return Ok((statement::<Settle, _>(&values).execute(c)? == 1, None));
        }
        Operation::Run => move_to(c, id, now, None)?,
        Operation::Reschedule(run_at) => move_to(c, id, run_at, Some(run_at))?,
        Operation::Retry | Operation::Resolve(Resolution::Scheduled) => {
            let stands = [Value::Blob(id), code(operation.acts_on())];
            if statement::<Stands, _>(&stands).get_result::<Key>(c).optional()?.is_none() {
                return Ok((false, None));
            }
            revive(c, id, now, 0)?;
            let row: DueRow = statement::<DueOf, _>(&[Value::Blob(id)]).get_result(c)?;
            Some(due(&row)?)
        }
    };
    Ok((due.is_some(), due))
}

fn code(state: State) -> Value<'static> {
    Value::Int(i64::from(state.code()))
}

fn cancel(c: &mut SqliteConnection, id: &[u8], now: Timestamp) -> Result<bool> {
    let end = End { state: State::Cancelled, starts: 0, started_at: None, finished_at: now, error: None };
    let ended = end_scheduled(c, id, None, &end)?;
    if ended && statement::<DueAgain, _>(&[Value::Blob(id), Value::Blob(id)]).execute(c)? == 1 {
        unpark(c, id)?;
    }
    Ok(ended)
}

/// What has ended is told to have been due when it really was.
struct DueAgain;

impl Words for DueAgain {
    const SQL: &'static str = "UPDATE task_history SET due_at = parked.due_at FROM parked \
        WHERE parked.id = ? AND task_history.id = ?";
    type Row = ();
}

struct Move;

impl Words for Move {
    const SQL: &'static str = "UPDATE task SET due_at = ?, run_at = coalesce(?, run_at) WHERE id = ? AND state = 0 \
        RETURNING id, due_at, priority, misfire_ms";
    type Row = (Binary, BigInt, SmallInt, Nullable<BigInt>);
}

fn move_to(c: &mut SqliteConnection, id: &[u8], due_at: Timestamp, run_at: Option<Timestamp>) -> Result<Option<Due>> {
    let values = [Value::Int(due_at.micros()), Value::MaybeInt(run_at.map(Timestamp::micros)), Value::Blob(id)];
    let moved: Option<DueRow> = statement::<Move, _>(&values).get_result(c).optional()?;
    if moved.is_some() {
        unpark(c, id)?;
    }
    moved.as_ref().map(due).transpose()
}

struct Unpark;

impl Words for Unpark {
    const SQL: &'static str = "DELETE FROM parked WHERE id = ?";
    type Row = ();
}

/// It has an instant of its own again, whatever pause it waited for.
pub fn unpark(c: &mut SqliteConnection, id: &[u8]) -> Result<()> {
    statement::<Unpark, _>(&[Value::Blob(id)]).execute(c)?;
    Ok(())
}

struct Stands;

impl Words for Stands {
    const SQL: &'static str = "SELECT id FROM task_history WHERE id = ? AND state = ?";
    type Row = Binary;
}

struct DueOf;

impl Words for DueOf {
    const SQL: &'static str = "SELECT id, due_at, priority, misfire_ms FROM task WHERE id = ?";
    type Row = (Binary, BigInt, SmallInt, Nullable<BigInt>);
}

struct Settle;

impl Words for Settle {
    const SQL: &'static str = "UPDATE task_history SET state = ?, finished_at = ? WHERE id = ? AND state = ?";
    type Row = ();
}

#[cfg(test)]
mod tests {
    use super::super::value::plan;
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key() {
        for plan in [plan::<Move>(), plan::<DueOf>(), plan::<Stands>(), plan::<Settle>()] {
            assert!(plan.contains("SEARCH task") && plan.contains("(id=?)"), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
    }
}
