//! The whole row moves between `task` and `task_history`, `claim_no` included.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, SmallInt};
use diesel::sqlite::SqliteConnection;

use super::parking::unpark_ended;
use super::schema::{task, task_history};
use super::value::{TOGETHER, Value, together};
use crate::domain::{Claim, GenerationId, State, Timestamp};
use crate::store::Result;
use crate::store::key::Key;
use crate::store::row::kept;
use crate::store::statement::{Words, statement};

/// How a task ends.
#[derive(Debug, Clone)]
pub struct End<'a> {
    /// Its last state.
    pub state: State,
    /// Starts to add.
    pub starts: i32,
    /// When its last attempt started, if it is known.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What went wrong last; `None` keeps what is written.
    pub error: Option<&'a str>,
}

/// Ends a claim that is still its owner's; false if it is not.
pub fn end_claim(c: &mut SqliteConnection, claim: Claim, owner: GenerationId, end: &End<'_>) -> Result<bool> {
    let id = claim.id.0.as_bytes();
    let [state, starts, started_at, error, finished_at] = end.values();
    let claim_no = Value::Int(claim.claim_no);
    let values =
        [state, starts, started_at, error, finished_at, Value::Blob(id), claim_no, Value::Blob(owner.0.as_bytes())];
    let copied = statement::<CopyClaim, _>(&values).execute(c)? == 1;
    if copied {
        statement::<DeleteTask, _>(&[Value::Blob(id)]).execute(c)?;
    }
    Ok(copied)
}

/// A claim whose call has simply succeeded.
#[derive(Debug, Clone, Copy)]
pub struct Success {
    /// Which.
    pub claim: Claim,
    /// When its call began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// Ends many at once, each of which may be there once; which of them were still their owner's.
pub fn end_successes(
    c: &mut SqliteConnection,
    owner: GenerationId,
    ended: &[Success; TOGETHER],
) -> Result<[bool; TOGETHER]> {
    let mut values = Vec::with_capacity(4 * TOGETHER + 1);
    for one in ended {
        values.extend([
            Value::Blob(one.claim.id.0.as_bytes()),
            Value::Int(one.claim.claim_no),
            Value::Int(one.started_at.micros()),
            Value::Int(one.finished_at.micros()),
        ]);
    }
    values.push(Value::Blob(owner.0.as_bytes()));
    let moved: Vec<Key> = statement::<CopySuccesses, _>(&values).load(c)?;
    if moved.len() == TOGETHER {
        let ids = ended.each_ref().map(|one| Value::Blob(one.claim.id.0.as_bytes()));
        statement::<DeleteTogether, _>(&ids).execute(c)?;
    } else {
        for id in &moved {
            statement::<DeleteTask, _>(&[Value::Blob(id.0.as_bytes())]).execute(c)?;
        }
    }
    Ok(ended.each_ref().map(|one| moved.contains(&one.claim.id.into())))
}

/// Ends a scheduled task (cancelled, expired); false if it is not scheduled (any more) at `due_at`, if one is given.
pub fn end_scheduled(c: &mut SqliteConnection, id: &[u8], due_at: Option<Timestamp>, end: &End<'_>) -> Result<bool> {
    let [state, starts, started_at, error, finished_at] = end.values();
    let due_at = Value::MaybeInt(due_at.map(Timestamp::micros));
    let values = [state, starts, started_at, error, finished_at, Value::Blob(id), due_at];
    let copied = statement::<CopyScheduled, _>(&values).execute(c)? == 1;
    if copied {
        statement::<DeleteTask, _>(&[Value::Blob(id)]).execute(c)?;
        unpark_ended(c, id)?;
    }
    Ok(copied)
}

impl End<'_> {
    fn values(&self) -> [Value<'_>; 5] {
        [
            Value::Int(i64::from(self.state.code())),
            Value::Int(i64::from(self.starts)),
            Value::MaybeInt(self.started_at.map(Timestamp::micros)),
            Value::MaybeText(self.error),
            Value::Int(self.finished_at.micros()),
        ]
    }
}

/// The copy of a live row into history as its end says; what follows says which row. It is deleted from `task` next.
macro_rules! copy {
    ($which:literal) => {
        concat!(
            kept!(into_history),
            "SELECT ",
            kept!(),
            ", ?, attempt + ?, coalesce(?, started_at), coalesce(?, last_error), ? FROM task ",
            $which
        )
    };
}

struct CopySuccesses;

impl Words for CopySuccesses {
    /// CROSS JOIN: the claims lead, each finds its row by the key.
    const SQL: &'static str = concat!(
        kept!(into_history),
        "SELECT ",
        kept!(),
        ", 2, attempt + 1, column3, last_error, column4 FROM (VALUES ",
        together!("(?, ?, ?, ?)"),
        ") CROSS JOIN task WHERE id = column1 AND claim_no = column2 AND owner = ? AND state = 1 RETURNING id"
    );
    type Row = Binary;
}

struct DeleteTogether;

impl Words for DeleteTogether {
    const SQL: &'static str = concat!("DELETE FROM task WHERE id IN (", together!("?"), ")");
    type Row = ();
}

struct CopyClaim;

impl Words for CopyClaim {
    const SQL: &'static str = copy!("WHERE id = ? AND claim_no = ? AND owner = ? AND state = 1");
    type Row = ();
}

struct CopyScheduled;

impl Words for CopyScheduled {
    const SQL: &'static str = copy!("WHERE id = ? AND state = 0 AND due_at = coalesce(?, due_at)");
    type Row = ();
}

struct DeleteTask;

impl Words for DeleteTask {
    const SQL: &'static str = "DELETE FROM task WHERE id = ?";
    type Row = ();
}

/// Takes a task out of history again, scheduled at `due_at`. The caller has made sure that it may.
pub fn revive(c: &mut SqliteConnection, id: &[u8], due_at: Timestamp, starts: i32) -> Result<()> {
    task_history::table
        .filter(task_history::id.eq(id))
        .select((
            task_history::id,
            task_history::run_at,
            task_history::priority,
            task_history::misfire_ms,
            task_history::claim_no,
            task_history::accepted_at,
            task_history::created_at,
            task_history::dispatched_at,
            task_history::started_at,
            task_history::last_error,
            task_history::delivery,
            task_history::retry,
            task_history::timeout_ms,
            task_history::target,
            task_history::labels,
            task_history::payload_kind,
            task_history::payload,
            task_history::fingerprint,
            State::Scheduled.code().into_sql::<SmallInt>(),
            due_at.micros().into_sql::<BigInt>(),
            task_history::attempt + starts.into_sql::<Integer>(),
        ))
        .insert_into(task::table)
        .into_columns((
            task::id,
            task::run_at,
            task::priority,
            task::misfire_ms,
            task::claim_no,
            task::accepted_at,
            task::created_at,
            task::dispatched_at,
            task::started_at,
            task::last_error,
            task::delivery,
            task::retry,
            task::timeout_ms,
            task::target,
            task::labels,
            task::payload_kind,
            task::payload,
            task::fingerprint,
            task::state,
            task::due_at,
            task::attempt,
        ))
        .execute(c)?;
    diesel::delete(task_history::table.find(id)).execute(c)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::value::plan;
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key() {
        let plans = [
            plan::<CopySuccesses>(),
            plan::<DeleteTogether>(),
            plan::<CopyClaim>(),
            plan::<CopyScheduled>(),
            plan::<DeleteTask>(),
        ];
        for plan in plans {
            assert!(plan.contains("SEARCH task USING") && plan.contains("(id=?)"), "{plan}");
            assert!(!plan.contains("SCAN task"), "{plan}");
        }
    }
}
