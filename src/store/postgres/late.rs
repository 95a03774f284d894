//! An outcome that comes when its claim was settled as `unknown` already.

use diesel::prelude::*;
use diesel::sql_types::Uuid;

use super::moves::revive;
use super::value::Value;
use crate::domain::{AttemptOutcome, GenerationId, State};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::statement::{Words, statement};
use crate::store::{EndedAttempt, Result, Settled, Settlement};

struct Waits;

impl Words for Waits {
    const SQL: &'static str = "SELECT id FROM task_history WHERE id = ? AND claim_no = ? AND owner = ? AND (state = 4) IS TRUE \
        FOR UPDATE";
    type Row = Uuid;
}

/// Of a lost attempt, if this is one.
struct Rewrite;

impl Words for Rewrite {
    const SQL: &'static str = "UPDATE attempt SET started_at = ?, finished_at = ?, outcome = ?, error = ? \
        WHERE task_id = ? AND claim_no = ? AND generation = ? AND outcome = 3";
    type Row = ();
}

struct Facts;

impl Words for Facts {
    const SQL: &'static str = "UPDATE task SET started_at = ?, last_error = ? WHERE id = ?";
    type Row = ();
}

struct End;

impl Words for End {
    const SQL: &'static str =
        "UPDATE task_history SET state = ?, started_at = ?, finished_at = ?, last_error = ? WHERE id = ?";
    type Row = ();
}

/// The true outcome settles an `unknown` of the same claim, unless it says nothing new. Any other late one is recorded
/// and overwrites nothing.
pub fn settle_late(
    c: &mut PgConnection,
    owner: GenerationId,
    one: &Settlement,
    to: State,
    deltas: &mut Deltas,
) -> Result<Settled> {
    let id = Value::Key(one.claim.id.into());
    let claim = [id.clone(), Value::Int(one.claim.claim_no), Value::Key(owner.into())];
    let waits: Option<Key> = statement::<Waits, _>(&claim).get_result(c).optional()?;
    // What is lost still says nothing new.
    let Some(ended) = one.attempt.as_ref().filter(|ended| ended.outcome != AttemptOutcome::Ambiguous) else {
        return Ok(Settled::Stale);
    };
    let EndedAttempt { started_at, finished_at, outcome, error } = ended;
    let (started, finished) = (Value::Int(started_at.micros()), Value::Int(finished_at.micros()));
    let error = Value::MaybeText(error.as_deref());
    // Whatever became of the task since: what the call came to is told where its loss stands.
    let [task, claim_no, owner] = claim;
    let values =
        [started.clone(), finished.clone(), Value::Small(outcome.code()), error.clone(), task, claim_no, owner];
    statement::<Rewrite, _>(&values).execute(c)?;
    if waits.is_none() || to == State::Unknown {
        return Ok(Settled::Stale);
    }
    deltas.step(State::Unknown, to);
    if one.verdict.due_at.is_none() {
        statement::<End, _>(&[Value::Small(to.code()), started, finished, error, id]).execute(c)?;
        return Ok(Settled::Applied(None));
    }
    // The recovery has counted this start; one that was never sent gives it back, and with it every trace.
    let counts = one.verdict.counts;
    let due = revive(c, one.claim.id, State::Unknown, one.verdict.due_at, if counts { 0 } else { -1 })?;
    let facts = if counts { [started, error, id] } else { [Value::MaybeInt(None), Value::MaybeText(None), id] };
    statement::<Facts, _>(&facts).execute(c)?;
    Ok(Settled::Applied(due))
}
