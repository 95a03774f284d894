//! A scheduled task is changed.

use diesel::prelude::*;
use diesel::sql_types::Uuid;

use super::changes::LOOKS;
use super::columns::DueColumns;
use super::parking::unpark;
use super::reading::find;
use super::value::Value;
use crate::domain::payload::Payload;
use crate::domain::{State, Task, TaskId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{DueRow, due, payload_kind};
use crate::store::statement::{Words, statement};
use crate::store::{Patch, Patched, Result};

/// Nobody changes or claims it from here on, so that what it is compared with is what is changed.
struct Hold;

impl Words for Hold {
    const SQL: &'static str = "SELECT id FROM task WHERE id = ? AND state = 0 FOR UPDATE";
    type Row = Uuid;
}

struct Rewrite;

impl Words for Rewrite {
    const SQL: &'static str = "UPDATE task SET run_at = coalesce(?, run_at), due_at = coalesce(?, due_at), \
        priority = coalesce(?, priority), payload_kind = coalesce(?, payload_kind), payload = coalesce(?, payload) \
        WHERE id = ? AND state = 0 RETURNING id, due_at, priority, misfire_ms";
    type Row = DueColumns;
}

/// Changes a scheduled task, if it fits.
pub fn patch(c: &mut PgConnection, id: TaskId, patch: &Patch, fits: &dyn Fn(&Task) -> bool) -> Result<Patched> {
    for _ in 0..LOOKS {
        let held: Option<Key> = statement::<Hold, _>(&[Value::Key(id.into())]).get_result(c).optional()?;
        let Some(found) = find(c, id)? else { return Ok(Patched::NotFound) };
        if held.is_some() {
            return if fits(&found) { rewrite(c, id, patch) } else { Ok(Patched::Unfit) };
        }
        if found.state != State::Scheduled {
            return Ok(Patched::Refused(found.state));
        }
        // It came there a moment ago.
    }
    Ok(Patched::Refused(State::Scheduled))
}

fn rewrite(c: &mut PgConnection, id: TaskId, patch: &Patch) -> Result<Patched> {
    let run_at = Value::MaybeInt(patch.run_at.map(Timestamp::micros));
    let row: DueRow = statement::<Rewrite, _>(&[
        run_at.clone(),
        run_at,
        Value::MaybeSmall(patch.priority.map(i16::from)),
        Value::MaybeSmall(patch.payload.as_ref().map(payload_kind)),
        Value::MaybeBlob(patch.payload.as_ref().map(Payload::bytes)),
        Value::Key(id.into()),
    ])
    .get_result(c)?;
    if patch.run_at.is_some() {
        unpark(c, vec![id.into()])?;
    }
    let due = due(&row)?;
    Ok(find(c, id)?.map_or(Patched::NotFound, |task| Patched::Done(Box::new(task), due)))
}
