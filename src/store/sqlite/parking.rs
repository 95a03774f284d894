//! Tasks that come due while they are paused: in `task` they are due at the end of time, in `parked` stands when they really
//! are. Both change in one transaction.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, SmallInt, Text};
use diesel::sqlite::SqliteConnection;

use super::mastership::known;
use super::value::Value;
use crate::domain::pause::{FIRST, Hold};
use crate::domain::{Due, Pause, Task, TaskId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{DueRow, due, labels};
use crate::store::statement::{Words, statement};
use crate::store::{Fence, LetGo, Result, Ruled, Step, limit_of};

/// Most tasks that one transaction lets go: everybody else who writes waits for it.
const LET_GO_MAX: usize = 200;

/// Most tasks of one that parks.
pub const PARK_MAX: usize = 200;

struct Labels;

impl Words for Labels {
    const SQL: &'static str = "SELECT labels FROM task WHERE id = ?";
    type Row = Text;
}

struct Park;

impl Words for Park {
    /// `+due_at`: the key finds the row, not the index of the look-ahead.
    const SQL: &'static str = "UPDATE task SET due_at = 253402300799000000 WHERE id = ? AND state = 0 AND +due_at = ?";
    type Row = ();
}

struct Keep;

impl Words for Keep {
    const SQL: &'static str = "INSERT OR REPLACE INTO parked (id, pause, due_at) VALUES (?, ?, ?)";
    type Row = ();
}

/// Parks what is held back; the ids of all that are.
pub fn park(
    c: &mut SqliteConnection,
    fence: Fence,
    pauses: i64,
    holds: &[Hold<'_>],
    batch: &[Due],
) -> Result<Ruled<Vec<TaskId>>> {
    known(c, fence, pauses)?.and_then(|()| {
        let mut held = Vec::new();
        for due in batch {
            let Some(pause) = holding(c, holds, due)? else { continue };
            held.push(due.id);
            let (id, due_at) = (Value::Blob(due.id.0.as_bytes()), Value::Int(due.due_at.micros()));
            if statement::<Park, _>(&[id, due_at]).execute(c)? == 1 {
                statement::<Keep, _>(&[id, Value::Int(pause.id), due_at]).execute(c)?;
            }
        }
        Ok(held)
    })
}

/// The first of these pauses that holds a task back.
fn holding<'a>(c: &mut SqliteConnection, holds: &[Hold<'a>], due: &Due) -> Result<Option<&'a Pause>> {
    let pauses: Vec<&'a Pause> = holds.iter().filter(|hold| hold.holds(due)).map(|hold| hold.pause).collect();
    if pauses.first().is_none_or(|first| first.label.is_none()) {
        return Ok(pauses.first().copied());
    }
    let written: Option<String> =
        statement::<Labels, _>(&[Value::Blob(due.id.0.as_bytes())]).get_result(c).optional()?;
    let Some(labels) = written.map(|written| labels(&written)).transpose()? else { return Ok(None) };
    Ok(pauses.into_iter().find(|pause| pause.matches(&labels)))
}

struct Oldest;

impl Words for Oldest {
    const SQL: &'static str =
        "SELECT id, due_at FROM parked WHERE pause = ? AND (due_at, id) > (?, ?) ORDER BY due_at, id LIMIT ?";
    type Row = (Binary, BigInt);
}

struct SetFree;

impl Words for SetFree {
    const SQL: &'static str = "UPDATE task SET due_at = ? WHERE id = ? AND state = 0 AND +due_at = 253402300799000000 \
        RETURNING id, due_at, priority, misfire_ms";
    type Row = (Binary, BigInt, SmallInt, Nullable<BigInt>);
}

struct Unpark;

impl Words for Unpark {
    const SQL: &'static str = "DELETE FROM parked WHERE id = ?";
    type Row = ();
}

/// One that is resumed at a pace is over when nothing can be parked for it any more either: among the next 1,000 that came due
/// before, none matches, and there are no more.
struct End;

impl Words for End {
    const SQL: &'static str = "DELETE FROM pause WHERE seq = ? AND resumed_at IS NOT NULL AND (per_second IS NULL OR \
        NOT EXISTS (SELECT 1 FROM (SELECT labels FROM task WHERE (due_at, id) > (?, ?) AND due_at < pause.resumed_at \
        AND state = 0 ORDER BY due_at, id LIMIT 1000) AS t WHERE pause.label IS NULL OR EXISTS (SELECT 1 \
        FROM json_each(t.labels) AS j WHERE j.key = pause.label AND j.value = pause.value)) \
        AND NOT EXISTS (SELECT 1 FROM task WHERE (due_at, id) > (?, ?) AND due_at < pause.resumed_at AND state = 0 \
        ORDER BY due_at, id LIMIT 1 OFFSET 999))";
    type Row = ();
}

/// Lets the oldest go that wait for the end of a pause that is being resumed. With the last of them the pause goes.
pub fn let_go(c: &mut SqliteConnection, fence: Fence, pauses: i64, step: &Step) -> Result<Ruled<LetGo>> {
    known(c, fence, pauses)?.and_then(|()| {
        let (limit, mut tasks) = (step.limit.min(LET_GO_MAX), Vec::new());
        let (at, id) = step.after.unwrap_or(FIRST);
        let (at, id) = (Value::Int(at.micros()), Value::Blob(id.0.as_bytes()));
        let oldest: Vec<(Key, i64)> =
            statement::<Oldest, _>(&[Value::Int(step.pause), at, id, Value::Int(limit_of(limit))]).load(c)?;
        let next =
            oldest.last().filter(|_| oldest.len() >= limit).map(|(id, at)| (Timestamp::from_micros(*at), id.task()));
        for (id, due_at) in &oldest {
            let id = Value::Blob(id.0.as_bytes());
            let row: Option<DueRow> = statement::<SetFree, _>(&[Value::Int(*due_at), id]).get_result(c).optional()?;
            tasks.extend(row.as_ref().map(due).transpose()?);
            statement::<Unpark, _>(&[id]).execute(c)?;
        }
        let mut is_over = oldest.len() < limit && step.after.is_none();
        if is_over {
            let (at, id) = step.reached.max(tasks.iter().map(Due::key).max()).unwrap_or(FIRST);
            let (at, id) = (Value::Int(at.micros()), Value::Blob(id.0.as_bytes()));
            is_over = statement::<End, _>(&[Value::Int(step.pause), at, id, at, id]).execute(c)? > 0;
        }
        Ok(LetGo { tasks, next, is_over })
    })
}

struct Taken;

impl Words for Taken {
    const SQL: &'static str = "DELETE FROM parked WHERE id = ? RETURNING due_at";
    type Row = BigInt;
}

struct TellEnded;

impl Words for TellEnded {
    const SQL: &'static str = "UPDATE task_history SET due_at = ? WHERE id = ?";
    type Row = ();
}

/// This one has moved to history: if it was parked, it is so no more, and is told as it was really due.
pub fn unpark_ended(c: &mut SqliteConnection, id: &[u8]) -> Result<()> {
    let id = Value::Blob(id);
    let really: Option<i64> = statement::<Taken, _>(&[id]).get_result(c).optional()?;
    if let Some(due_at) = really {
        statement::<TellEnded, _>(&[Value::Int(due_at), id]).execute(c)?;
    }
    Ok(())
}

struct ReallyDue;

impl Words for ReallyDue {
    const SQL: &'static str = "SELECT due_at FROM parked WHERE id = ?";
    type Row = BigInt;
}

/// Shows those of these tasks that are parked as what they are, and when they are really due.
pub fn show_parked(c: &mut SqliteConnection, tasks: &mut [Task]) -> Result<()> {
    for task in tasks.iter_mut().filter(|task| task.due_at == Timestamp::NEVER) {
        let id = Value::Blob(task.id.0.as_bytes());
        let really: Option<i64> = statement::<ReallyDue, _>(&[id]).get_result(c).optional()?;
        if let Some(due_at) = really {
            (task.due_at, task.paused) = (Timestamp::from_micros(due_at), true);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::value::plan;
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_or_in_the_order_of_its_pause() {
        for plan in [plan::<Labels>(), plan::<Park>(), plan::<SetFree>()] {
            assert!(plan.contains("SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)"), "{plan}");
        }
        for plan in [plan::<Unpark>(), plan::<Taken>(), plan::<ReallyDue>()] {
            assert!(plan.contains("SEARCH parked USING") && plan.contains("(id=?)"), "{plan}");
        }
        let end = plan::<End>();
        assert!(end.contains("SEARCH task USING") && end.contains("INDEX task_due ("), "{end}");
        let oldest = plan::<Oldest>();
        assert!(oldest.contains("USING COVERING INDEX parked_pause (pause=? AND (due_at,id)>(?,?))"), "{oldest}");
        assert!(!oldest.contains("TEMP B-TREE"), "{oldest}");
    }
}
