//! What a person may do to a task.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::moves::{End, end_scheduled, revive};
use super::operations;
use super::schema::{task, task_history};
use crate::domain::state::Step;
use crate::domain::{State, TaskId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::row::{DueRow, due, unreadable};
use crate::store::{Change, Operation, Resolution, Result};

/// Calls a scheduled task off.
pub fn cancel(c: &mut SqliteConnection, id: TaskId, now: Timestamp) -> Result<Change> {
    let key = id.0.as_bytes().to_vec();
    let end = End { state: State::Cancelled, starts: 0, started_at: None, finished_at: now, error: None };
    if end_scheduled(c, &key, None, &end)? {
        let mut deltas = Deltas::default();
        deltas.step(State::Scheduled, State::Cancelled);
        counts::write(c, &deltas)?;
        return Ok(Change::Done(None));
    }
    Ok(match state_of(c, &key)? {
        None => Change::NotFound,
        Some(State::Cancelled) => Change::Already,
        Some(state) => Change::Refused(state),
    })
}

/// Settles an unknown task.
pub fn resolve(c: &mut SqliteConnection, id: TaskId, to: Resolution, now: Timestamp) -> Result<Change> {
    let key = id.0.as_bytes().to_vec();
    let (step, to_state) = match to {
        Resolution::Succeeded => (Step::Succeed, State::Succeeded),
        Resolution::Failed => (Step::Fail, State::Failed),
        Resolution::Scheduled => (Step::Retry, State::Scheduled),
    };
    let Some(state) = state_of(c, &key)? else { return Ok(Change::NotFound) };
    // Only an unknown one may be resolved, though `/retry` may take the same step from `failed`.
    if state != State::Unknown || state.after(step) != Some(to_state) {
        return Ok(if state == to_state { Change::Already } else { Change::Refused(state) });
    }
    let mut deltas = Deltas::default();
    deltas.step(State::Unknown, to_state);
    counts::write(c, &deltas)?;
    if to_state == State::Scheduled {
        revive(c, &key, now, 0)?;
        let row: DueRow =
            task::table.find(&key).select((task::id, task::due_at, task::priority, task::misfire_ms)).first(c)?;
        return Ok(Change::Done(Some(due(&row)?)));
    }
    diesel::update(task_history::table.find(&key))
        .set((task_history::state.eq(to_state.code()), task_history::finished_at.eq(now.micros())))
        .execute(c)?;
    Ok(Change::Done(None))
}

/// Does to one task what could be done to many.
pub fn operate_on_one(c: &mut SqliteConnection, id: TaskId, operation: Operation, now: Timestamp) -> Result<Change> {
    let operated = operations::operate(c, operation, &[id], now)?;
    if operated.changed == 1 {
        return Ok(Change::Done(operated.due.first().copied()));
    }
    Ok(state_of(c, id.0.as_bytes())?.map_or(Change::NotFound, Change::Refused))
}

fn state_of(c: &mut SqliteConnection, key: &[u8]) -> Result<Option<State>> {
    let live: Option<i16> = task::table.find(key).select(task::state).first(c).optional()?;
    let found = match live {
        Some(code) => Some(code),
        None => task_history::table.find(key).select(task_history::state).first(c).optional()?,
    };
    found.map(|code| State::from_code(code).ok_or_else(|| unreadable("state", code))).transpose()
}
