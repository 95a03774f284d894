//! What a person may do to a task.

use diesel::prelude::*;
use diesel::sql_types::SmallInt;

use super::counts::{self, Writer};
use super::moves::{cancel_scheduled, revive};
use super::operations;
use super::value::Value;
use crate::domain::state::Step;
use crate::domain::{Due, State, TaskId};
use crate::store::counts::Deltas;
use crate::store::row::unreadable;
use crate::store::statement::{Words, statement};
use crate::store::{Change, Resolution, Result};

/// How often a task is looked at again that has come in, or come back, between two statements.
pub(super) const LOOKS: usize = 3;

/// Calls a scheduled task off.
pub fn cancel(c: &mut PgConnection, writer: Writer, id: TaskId) -> Result<Change> {
    for _ in 0..LOOKS {
        if cancel_scheduled(c, id)? {
            step(c, writer, State::Scheduled, State::Cancelled)?;
            return Ok(Change::Done(None));
        }
        match state_of(c, id)? {
            None => return Ok(Change::NotFound),
            Some(State::Cancelled) => return Ok(Change::Already),
            // It was not there a moment ago, or in a call that is to be repeated now.
            Some(State::Scheduled) => {}
            Some(state) => return Ok(Change::Refused(state)),
        }
    }
    Ok(Change::Refused(State::Scheduled))
}

struct Settle;

impl Words for Settle {
    const SQL: &'static str =
        "UPDATE task_history SET state = ?, finished_at = now_us() WHERE id = ? AND (state = 4) IS TRUE";
    type Row = ();
}

/// Settles an unknown task. The row decides: of two people the first is heard.
pub fn resolve(c: &mut PgConnection, writer: Writer, id: TaskId, to: Resolution) -> Result<Change> {
    let (wanted, to_state) = match to {
        Resolution::Succeeded => (Step::Succeed, State::Succeeded),
        Resolution::Failed => (Step::Fail, State::Failed),
        Resolution::Scheduled => (Step::Retry, State::Scheduled),
    };
    if State::Unknown.after(wanted) != Some(to_state) {
        return Err(unreadable("resolution", to_state));
    }
    let due = if to_state == State::Scheduled { revive(c, id, State::Unknown, None, 0)? } else { None };
    let settled = due.is_some()
        || to_state != State::Scheduled
            && statement::<Settle, _>(&[Value::Small(to_state.code()), Value::Key(id.into())]).execute(c)? == 1;
    if settled {
        step(c, writer, State::Unknown, to_state)?;
        return Ok(Change::Done(due));
    }
    Ok(match state_of(c, id)? {
        None => Change::NotFound,
        Some(state) if state == to_state => Change::Already,
        Some(state) => Change::Refused(state),
    })
}

/// Makes a scheduled task due now.
pub fn run(c: &mut PgConnection, id: TaskId) -> Result<Change> {
    stepped(c, id, State::Scheduled, |c| Ok(operations::run(c, id)?.due.pop()))
}

/// Schedules a failed task again, due now.
pub fn retry(c: &mut PgConnection, writer: Writer, id: TaskId) -> Result<Change> {
    stepped(c, id, State::Failed, |c| {
        let due = revive(c, id, State::Failed, None, 0)?;
        if due.is_some() {
            step(c, writer, State::Failed, State::Scheduled)?;
        }
        Ok(due)
    })
}

/// How a step went that a task takes from this state only: `take` says when it is due then.
fn stepped(
    c: &mut PgConnection,
    id: TaskId,
    from: State,
    take: impl Fn(&mut PgConnection) -> Result<Option<Due>>,
) -> Result<Change> {
    for _ in 0..LOOKS {
        if let Some(due) = take(c)? {
            return Ok(Change::Done(Some(due)));
        }
        match state_of(c, id)? {
            None => return Ok(Change::NotFound),
            // It came there a moment ago.
            Some(state) if state == from => {}
            Some(state) => return Ok(Change::Refused(state)),
        }
    }
    Ok(Change::Refused(from))
}

fn step(c: &mut PgConnection, writer: Writer, from: State, to: State) -> Result<()> {
    let mut deltas = Deltas::default();
    deltas.step(from, to);
    counts::write(c, writer, &deltas)
}

struct StateOf;

impl Words for StateOf {
    const SQL: &'static str =
        "SELECT state FROM task WHERE id = ? UNION ALL SELECT state FROM task_history WHERE id = ?";
    type Row = SmallInt;
}

fn state_of(c: &mut PgConnection, id: TaskId) -> Result<Option<State>> {
    let found: Option<i16> =
        statement::<StateOf, _>(&[Value::Key(id.into()), Value::Key(id.into())]).get_result(c).optional()?;
    found.map(|code| State::from_code(code).ok_or_else(|| unreadable("state", code))).transpose()
}
