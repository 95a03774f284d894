//! Cancels of tasks that are not stored: perhaps they are still in the topic.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid};

use super::changes;
use super::columns::in_time;
use super::counts::Writer;
use super::moves::cancel_scheduled;
use super::offsets::offsets;
use super::value::Value;
use crate::domain::TaskId;
use crate::domain::time::micros_of;
use crate::store::key::Key;
use crate::store::statement::{Words, statement};
use crate::store::tombstone::{LOOKED_AT, TOMBSTONES_MAX, passed, written};
use crate::store::{Change, Positions, Result, UnseenCancel};

/// The key of `task` decides who is first, this cancel or an ingest that runs now: the later of the two waits here until
/// the other has committed, and then sees what it did.
struct Enter;

impl Words for Enter {
    const SQL: &'static str = "INSERT INTO task (id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, \
        retry, timeout_ms, target, labels, payload_kind, payload, fingerprint) \
        VALUES (?, 0, 0, 0, 0, 0, 0, 0, 0, '', 0, '', '', 0, '', '') ON CONFLICT DO NOTHING";
    type Row = ();
}

struct Leave;

impl Words for Leave {
    const SQL: &'static str = "DELETE FROM task WHERE id = ?";
    type Row = ();
}

struct Count;

impl Words for Count {
    const SQL: &'static str = "SELECT count(*) FROM (SELECT 1 FROM tombstone LIMIT ?) AS standing";
    type Row = BigInt;
}

/// The last cancel counts: since the one before, the task may have been put on the topic.
struct Erect;

impl Words for Erect {
    const SQL: &'static str = "INSERT INTO tombstone (id, cancelled_at, topic_id, positions) VALUES (?, now_us(), ?, ?) \
        ON CONFLICT (id) DO UPDATE SET \
        cancelled_at = excluded.cancelled_at, topic_id = excluded.topic_id, positions = excluded.positions";
    type Row = ();
}

/// Calls a task off that may still be in the topic.
pub fn cancel_unseen(c: &mut PgConnection, writer: Writer, id: TaskId, ends: &Positions) -> Result<UnseenCancel> {
    let key = || Value::Key(id.into());
    if statement::<Enter, _>(&[key()]).execute(c)? == 0 {
        return changes::cancel(c, writer, id).map(UnseenCancel::Stored);
    }
    statement::<Leave, _>(&[key()]).execute(c)?;
    let known = changes::cancel(c, writer, id)?;
    if known != Change::NotFound {
        return Ok(UnseenCancel::Stored(known));
    }
    let standing: i64 = statement::<Count, _>(&[Value::Int(TOMBSTONES_MAX)]).get_result(c)?;
    if standing >= TOMBSTONES_MAX {
        return Ok(UnseenCancel::Full);
    }
    let positions = written(ends)?;
    statement::<Erect, _>(&[key(), Value::Text(&ends.topic_id), Value::Text(&positions)]).execute(c)?;
    Ok(UnseenCancel::Tombstone)
}

struct Fell;

impl Words for Fell {
    const SQL: &'static str = "DELETE FROM tombstone WHERE id = ANY(?)";
    type Row = ();
}

/// The task has come in: it is stored as cancelled, and needs its tombstone no more.
pub fn bury_under(c: &mut PgConnection, id: TaskId) -> Result<()> {
    cancel_scheduled(c, id)?;
    statement::<Fell, _>(&[Value::Keys(vec![id.into()])]).execute(c)?;
    Ok(())
}

struct Oldest;

impl Words for Oldest {
    const SQL: &'static str = concat!(
        "SELECT id, positions FROM tombstone WHERE topic_id = ? AND ",
        in_time!("cancelled_at"),
        " AND cancelled_at <= now_us() - ? ORDER BY cancelled_at, id LIMIT ?"
    );
    type Row = (Uuid, Text);
}

/// As old still: one that was cancelled again meanwhile stays.
struct Forget;

impl Words for Forget {
    const SQL: &'static str = "DELETE FROM tombstone WHERE id = ANY(?) AND cancelled_at <= now_us() - ?";
    type Row = ();
}

/// Removes those that are old enough and that everything before them has passed.
pub fn forget(c: &mut PgConnection, topic_id: &str, age: Duration) -> Result<usize> {
    let age_us = || Value::Int(micros_of(age));
    let values = [Value::Text(topic_id), age_us(), Value::Int(LOOKED_AT)];
    let oldest: Vec<(Key, String)> = statement::<Oldest, _>(&values).load(c)?;
    if oldest.is_empty() {
        return Ok(0);
    }
    let offsets = offsets(c, topic_id)?;
    let mut gone = passed(oldest, topic_id, &offsets)?;
    gone.sort_unstable();
    Ok(statement::<Forget, _>(&[Value::Keys(gone), age_us()]).execute(c)?)
}
