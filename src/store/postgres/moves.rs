//! The whole row moves between `task` and `task_history`, `claim_no` included, each time by one statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid};

use super::columns::{DueColumns, by_key};
use super::parking::unpark_ended;
use super::value::Value;
use crate::domain::{Claim, Due, GenerationId, State, TaskId, Timestamp};
use crate::store::Result;
use crate::store::key::Key;
use crate::store::row::{DueRow, due, kept};
use crate::store::statement::{Words, statement};

/// How a claim ends.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// Which.
    pub claim: Claim,
    /// Its task's last state.
    pub state: State,
    /// Starts to add.
    pub starts: i32,
    /// When its attempt started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What went wrong; `None` keeps what is written.
    pub error: Option<&'a str>,
}

struct EndClaims;

impl Words for EndClaims {
    const SQL: &'static str = concat!(
        "WITH e AS (SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?) \
         AS e(end_id, end_no, end_state, starts, end_started, end_error, end_finished)), \
         gone AS (DELETE FROM task t USING e WHERE ",
        by_key!("t.id", "e.end_id"),
        " AND t.claim_no = e.end_no AND t.owner = ? AND t.state = 1 RETURNING t.*, e.*) ",
        kept!(into_history),
        "SELECT ",
        kept!(),
        ", end_state, attempt + starts, coalesce(end_started, started_at), coalesce(end_error, last_error), end_finished \
         FROM gone RETURNING id"
    );
    type Row = Uuid;
}

/// Ends those of the claims that are still their owner's; which they were. Each id may be there once, in order.
pub fn end_claims(c: &mut PgConnection, owner: GenerationId, ends: &[End<'_>]) -> Result<Vec<Key>> {
    Ok(statement::<EndClaims, _>(&[
        Value::Keys(ends.iter().map(|end| end.claim.id.into()).collect()),
        Value::Ints(ends.iter().map(|end| end.claim.claim_no).collect()),
        Value::Smalls(ends.iter().map(|end| end.state.code()).collect()),
        Value::Integers(ends.iter().map(|end| end.starts).collect()),
        Value::Ints(ends.iter().map(|end| end.started_at.micros()).collect()),
        Value::MaybeTexts(ends.iter().map(|end| end.error).collect()),
        Value::Ints(ends.iter().map(|end| end.finished_at.micros()).collect()),
        Value::Key(owner.into()),
    ])
    .load(c)?)
}

struct Cancel;

impl Words for Cancel {
    const SQL: &'static str = concat!(
        "WITH gone AS (DELETE FROM task WHERE id = ? AND state = 0 RETURNING *) ",
        kept!(into_history),
        "SELECT ",
        kept!(),
        ", 5, attempt, started_at, last_error, now_us() FROM gone RETURNING due_at"
    );
    type Row = BigInt;
}

/// Calls a task off; false if it is not scheduled.
pub fn cancel_scheduled(c: &mut PgConnection, id: TaskId) -> Result<bool> {
    let due_at: Option<i64> = statement::<Cancel, _>(&[Value::Key(id.into())]).get_result(c).optional()?;
    if due_at == Some(Timestamp::NEVER.micros()) {
        unpark_ended(c, vec![id.into()])?;
    }
    Ok(due_at.is_some())
}

struct Expire;

impl Words for Expire {
    const SQL: &'static str = concat!(
        "WITH gone AS (DELETE FROM task t USING unnest(?, ?) AS o(late_id, late_at) WHERE ",
        by_key!("t.id", "o.late_id"),
        " AND (t.due_at = o.late_at) IS TRUE AND t.state = 0 AND now_us() > t.due_at + t.misfire_ms * 1000 \
         RETURNING t.*) ",
        kept!(into_history),
        "SELECT ",
        kept!(),
        ", 6, attempt, started_at, 'expired: it was due longer ago than its misfire policy allows', now_us() \
         FROM gone RETURNING id"
    );
    type Row = Uuid;
}

/// Calls off what is still scheduled as expected, and overdue by the database's own clock.
pub fn expire_scheduled(c: &mut PgConnection, overdue: &[Due]) -> Result<Vec<TaskId>> {
    let mut overdue = overdue.to_vec();
    overdue.sort_by_key(|due| due.id);
    let gone: Vec<Key> = statement::<Expire, _>(&[
        Value::Keys(overdue.iter().map(|due| due.id.into()).collect()),
        Value::Ints(overdue.iter().map(|due| due.due_at.micros()).collect()),
    ])
    .load(c)?;
    Ok(gone.into_iter().map(Key::task).collect())
}

struct Revive;

impl Words for Revive {
    const SQL: &'static str = "WITH back AS (DELETE FROM task_history WHERE id = ? AND state = ? RETURNING *) \
        INSERT INTO task (id, run_at, priority, misfire_ms, claim_no, accepted_at, created_at, dispatched_at, started_at, \
        last_error, delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint, state, due_at, attempt) \
        SELECT id, run_at, priority, misfire_ms, claim_no, accepted_at, created_at, dispatched_at, started_at, last_error, \
        delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint, 0, coalesce(?, now_us()), \
        attempt + ? FROM back RETURNING id, due_at, priority, misfire_ms";
    type Row = DueColumns;
}

/// Takes a task of this state out of history again, scheduled at `due_at` or now; `None` if it stands in another.
pub fn revive(
    c: &mut PgConnection,
    id: TaskId,
    from: State,
    due_at: Option<Timestamp>,
    starts: i32,
) -> Result<Option<Due>> {
    let row: Option<DueRow> = statement::<Revive, _>(&[
        Value::Key(id.into()),
        Value::Small(from.code()),
        Value::MaybeInt(due_at.map(Timestamp::micros)),
        Value::Integer(starts),
    ])
    .get_result(c)
    .optional()?;
    row.as_ref().map(due).transpose()
}
