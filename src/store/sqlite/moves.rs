//! The whole row moves between `task` and `task_history`, `claim_no` included.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};
use diesel::sqlite::SqliteConnection;

use super::schema::{task, task_history};
use crate::domain::{Claim, GenerationId, State, Timestamp};
use crate::store::Result;

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

/// Every column of `task_history`, in the order of the selects below.
macro_rules! history_columns {
    () => {
        (
            task_history::id,
            task_history::due_at,
            task_history::run_at,
            task_history::priority,
            task_history::misfire_ms,
            task_history::claim_no,
            task_history::owner,
            task_history::epoch,
            task_history::created_at,
            task_history::dispatched_at,
            task_history::delivery,
            task_history::retry,
            task_history::timeout_ms,
            task_history::target,
            task_history::labels,
            task_history::payload_kind,
            task_history::payload,
            task_history::fingerprint,
            task_history::state,
            task_history::attempt,
            task_history::started_at,
            task_history::last_error,
            task_history::finished_at,
        )
    };
}

/// Copies a live row into history as its end says. The caller deletes it from `task`.
macro_rules! copy_to_history {
    ($connection:expr, $rows:expr, $end:expr) => {
        $rows
            .select((
                task::id,
                task::due_at,
                task::run_at,
                task::priority,
                task::misfire_ms,
                task::claim_no,
                task::owner,
                task::epoch,
                task::created_at,
                task::dispatched_at,
                task::delivery,
                task::retry,
                task::timeout_ms,
                task::target,
                task::labels,
                task::payload_kind,
                task::payload,
                task::fingerprint,
                $end.state.code().into_sql::<SmallInt>(),
                task::attempt + $end.starts,
                coalesce($end.started_at.map(Timestamp::micros).into_sql::<Nullable<BigInt>>(), task::started_at),
                coalesce_text($end.error.into_sql::<Nullable<Text>>(), task::last_error),
                $end.finished_at.micros().into_sql::<BigInt>(),
            ))
            .insert_into(task_history::table)
            .into_columns(history_columns!())
            .execute($connection)?
    };
}

#[diesel::declare_sql_function]
extern "SQL" {
    fn coalesce(given: Nullable<BigInt>, kept: Nullable<BigInt>) -> Nullable<BigInt>;
    #[sql_name = "coalesce"]
    fn coalesce_text(given: Nullable<Text>, kept: Nullable<Text>) -> Nullable<Text>;
}

/// Ends a claim that is still its owner's; false if it is not.
pub fn end_claim(c: &mut SqliteConnection, claim: Claim, owner: GenerationId, end: &End<'_>) -> Result<bool> {
    let id = claim.id.0.as_bytes().to_vec();
    let own = task::table
        .filter(task::id.eq(&id))
        .filter(task::claim_no.eq(claim.claim_no))
        .filter(task::owner.eq(Some(owner.0.as_bytes().to_vec())))
        .filter(task::state.eq(State::Dispatched.code()));
    let moved = copy_to_history!(c, own, end);
    if moved == 1 {
        diesel::delete(task::table.find(&id)).execute(c)?;
    }
    Ok(moved == 1)
}

/// Ends a scheduled task (cancelled, expired); false if it is not scheduled (any more) at `due_at`, if one is given.
pub fn end_scheduled(c: &mut SqliteConnection, id: &[u8], due_at: Option<Timestamp>, end: &End<'_>) -> Result<bool> {
    let own = task::table
        .filter(task::id.eq(id))
        .filter(task::state.eq(State::Scheduled.code()))
        .filter(task::due_at.ge(due_at.map_or(i64::MIN, Timestamp::micros)))
        .filter(task::due_at.le(due_at.map_or(i64::MAX, Timestamp::micros)));
    let moved = copy_to_history!(c, own, end);
    if moved == 1 {
        diesel::delete(task::table.find(id)).execute(c)?;
    }
    Ok(moved == 1)
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
