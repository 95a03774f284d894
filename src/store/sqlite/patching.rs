//! A scheduled task is changed.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, SmallInt};
use diesel::sqlite::SqliteConnection;

use super::operations::unpark;
use super::reading::find;
use super::value::Value;
use crate::domain::payload::Payload;
use crate::domain::{State, Task, TaskId, Timestamp};
use crate::store::row::{DueRow, due, payload_kind};
use crate::store::statement::{Words, statement};
use crate::store::{Patch, Patched, Result};

struct Rewrite;

impl Words for Rewrite {
    const SQL: &'static str = "UPDATE task SET run_at = coalesce(?, run_at), due_at = coalesce(?, due_at), \
        priority = coalesce(?, priority), payload_kind = coalesce(?, payload_kind), payload = coalesce(?, payload) \
        WHERE id = ? AND state = 0 RETURNING id, due_at, priority, misfire_ms";
    type Row = (Binary, BigInt, SmallInt, Nullable<BigInt>);
}

/// Changes a scheduled task, if it fits. There is one writer: nothing comes between the two.
pub fn patch(c: &mut SqliteConnection, id: TaskId, patch: &Patch, fits: &dyn Fn(&Task) -> bool) -> Result<Patched> {
    let Some(found) = find(c, id)? else { return Ok(Patched::NotFound) };
    if found.state != State::Scheduled {
        return Ok(Patched::Refused(found.state));
    }
    if !fits(&found) {
        return Ok(Patched::Unfit);
    }
    let run_at = Value::MaybeInt(patch.run_at.map(Timestamp::micros));
    let row: DueRow = statement::<Rewrite, _>(&[
        run_at,
        run_at,
        Value::MaybeInt(patch.priority.map(i64::from)),
        Value::MaybeInt(patch.payload.as_ref().map(|payload| i64::from(payload_kind(payload)))),
        Value::MaybeBlob(patch.payload.as_ref().map(Payload::bytes)),
        Value::Blob(id.0.as_bytes()),
    ])
    .get_result(c)?;
    if patch.run_at.is_some() {
        unpark(c, id.0.as_bytes())?;
    }
    let due = due(&row)?;
    Ok(find(c, id)?.map_or(Patched::NotFound, |task| Patched::Done(Box::new(task), due)))
}

#[cfg(test)]
mod tests {
    use super::super::value::plan;
    use super::*;

    #[test]
    fn it_is_found_by_its_key() {
        let plan = plan::<Rewrite>();
        assert!(plan.contains("SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)"), "{plan}");
    }
}
