//! Cancels of tasks that are not stored: perhaps they are still in the topic. One writer at a time, so that a cancel and an
//! ingest never meet.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::changes;
use super::moves::{End, end_scheduled};
use super::offsets::offsets;
use super::schema::tombstone;
use crate::domain::{State, TaskId, Timestamp};
use crate::store::tombstone::{LOOKED_AT, TOMBSTONES_MAX, passed, written};
use crate::store::{Change, Positions, Result, UnseenCancel};

/// Calls a task off that may still be in the topic.
pub fn cancel_unseen(c: &mut SqliteConnection, id: TaskId, ends: &Positions, now: Timestamp) -> Result<UnseenCancel> {
    let known = changes::cancel(c, id, now)?;
    if known != Change::NotFound {
        return Ok(UnseenCancel::Stored(known));
    }
    if tombstone::table.count().get_result::<i64>(c)? >= TOMBSTONES_MAX {
        return Ok(UnseenCancel::Full);
    }
    // The last cancel counts: since the one before, the task may have been put on the topic.
    diesel::replace_into(tombstone::table)
        .values((
            tombstone::id.eq(id.0.as_bytes().as_slice()),
            tombstone::cancelled_at.eq(now.micros()),
            tombstone::topic_id.eq(&ends.topic_id),
            tombstone::positions.eq(written(ends)?),
        ))
        .execute(c)?;
    Ok(UnseenCancel::Tombstone)
}

/// There are some at all: most of the time there are none, and nobody need look for each task.
pub fn any(c: &mut SqliteConnection) -> Result<bool> {
    Ok(tombstone::table.select(tombstone::id).first::<Vec<u8>>(c).optional()?.is_some())
}

/// The task has come in. If it had been cancelled it is stored as that, and needs its tombstone no more.
pub fn bury_under(c: &mut SqliteConnection, id: TaskId, now: Timestamp) -> Result<bool> {
    let key = id.0.as_bytes().to_vec();
    if diesel::delete(tombstone::table.find(&key)).execute(c)? == 0 {
        return Ok(false);
    }
    let end = End { state: State::Cancelled, starts: 0, started_at: None, finished_at: now, error: None };
    end_scheduled(c, &key, None, &end)
}

/// Removes those from before `until` that everything before them has passed.
pub fn forget(c: &mut SqliteConnection, topic_id: &str, until: Timestamp) -> Result<usize> {
    let oldest: Vec<(Vec<u8>, String)> = tombstone::table
        .filter(tombstone::topic_id.eq(topic_id).and(tombstone::cancelled_at.le(until.micros())))
        .select((tombstone::id, tombstone::positions))
        .order((tombstone::cancelled_at, tombstone::id))
        .limit(LOOKED_AT)
        .load(c)?;
    if oldest.is_empty() {
        return Ok(0);
    }
    let gone = passed(oldest, topic_id, &offsets(c, topic_id)?)?;
    Ok(diesel::delete(tombstone::table.filter(tombstone::id.eq_any(gone))).execute(c)?)
}
