//! Outcomes: each bound to its claim, so that an old or a repeated one changes nothing.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::moves::{End, Success, end_claim, end_successes, revive};
use super::schema::{attempt, task, task_history};
use super::value::TOGETHER;
use crate::domain::state::Step;
use crate::domain::{AttemptOutcome, Claim, GenerationId, State, Timestamp};
use crate::store::counts::Deltas;
use crate::store::row::{DueRow, due, unreadable};
use crate::store::{EndedAttempt, Result, Settled, Settlement};

/// Applies a batch, one outcome each in its order.
pub fn settle(c: &mut SqliteConnection, owner: GenerationId, batch: &[Settlement]) -> Result<Vec<Settled>> {
    let (mut deltas, mut outcomes, mut rest) = (Deltas::default(), Vec::with_capacity(batch.len()), batch);
    while let Some((first, others)) = rest.split_first() {
        if let Some((together, others)) = rest.split_first_chunk()
            && let Some(ended) = successes(together)
        {
            for (one, applied) in together.iter().zip(end_successes(c, owner, &ended)?) {
                outcomes.push(settled(c, owner, one, applied, &mut deltas)?);
            }
            rest = others;
        } else {
            outcomes.push(settle_one(c, owner, first, &mut deltas)?);
            rest = others;
        }
    }
    counts::write(c, &deltas)?;
    Ok(outcomes)
}

/// What these say, if each is a plain success and no task is there twice.
fn successes(together: &[Settlement; TOGETHER]) -> Option<[Success; TOGETHER]> {
    let successes: Vec<Success> = together.iter().map(success).collect::<Option<_>>()?;
    let distinct = successes.is_sorted_by(|one, next| one.claim.id < next.claim.id);
    successes.try_into().ok().filter(|_| distinct)
}

fn success(one: &Settlement) -> Option<Success> {
    let plain = one.verdict.step == Step::Succeed && one.verdict.counts;
    let ended = one.attempt.as_ref().filter(|ended| plain && ended.error.is_none())?;
    Some(Success { claim: one.claim, started_at: ended.started_at, finished_at: ended.finished_at })
}

/// Applies one outcome.
pub fn settle_one(
    c: &mut SqliteConnection,
    owner: GenerationId,
    one: &Settlement,
    deltas: &mut Deltas,
) -> Result<Settled> {
    if needs_record(one) {
        record(c, owner, one)?;
    }
    let applied = if let Some(due_at) = one.verdict.due_at {
        schedule_again(c, owner, one, due_at)?
    } else {
        end_claim(c, one.claim, owner, &end_of(one)?)?
    };
    settled(c, owner, one, applied, deltas)
}

/// The claim was still the owner's and its outcome is applied, or it comes late.
fn settled(
    c: &mut SqliteConnection,
    owner: GenerationId,
    one: &Settlement,
    applied: bool,
    deltas: &mut Deltas,
) -> Result<Settled> {
    let to = state_after(one)?;
    if !applied {
        return settle_late(c, owner, one, to, deltas);
    }
    deltas.step(State::Dispatched, to);
    again(c, one, to).map(Settled::Applied)
}

fn state_after(one: &Settlement) -> Result<State> {
    let step = one.verdict.step;
    State::Dispatched.after(step).ok_or_else(|| unreadable("verdict", format!("{step:?} is no step from dispatched")))
}

/// A plain success is told by its history row alone.
fn needs_record(one: &Settlement) -> bool {
    one.attempt.is_some() && one.verdict.step != Step::Succeed
}

fn end_of(one: &Settlement) -> Result<End<'_>> {
    let Some(ended) = &one.attempt else {
        return Err(unreadable("settlement", "a task cannot end without an attempt"));
    };
    Ok(End {
        state: state_after(one)?,
        starts: starts(one),
        started_at: Some(ended.started_at),
        finished_at: ended.finished_at,
        error: ended.error.as_deref(),
    })
}

fn starts(one: &Settlement) -> i32 {
    i32::from(one.verdict.counts)
}

fn schedule_again(c: &mut SqliteConnection, owner: GenerationId, one: &Settlement, due_at: Timestamp) -> Result<bool> {
    let own = task::table
        .filter(task::id.eq(one.claim.id.0.as_bytes().to_vec()))
        .filter(task::claim_no.eq(one.claim.claim_no))
        .filter(task::owner.eq(Some(owner.0.as_bytes().to_vec())))
        .filter(task::state.eq(State::Dispatched.code()));
    let cleared = (
        task::state.eq(State::Scheduled.code()),
        task::due_at.eq(due_at.micros()),
        task::owner.eq(None::<Vec<u8>>),
        task::epoch.eq(None::<i64>),
    );
    let moved = match one.attempt.as_ref().filter(|_| one.verdict.counts) {
        Some(ended) => diesel::update(own)
            .set((
                cleared,
                task::attempt.eq(task::attempt + starts(one)),
                task::started_at.eq(Some(ended.started_at.micros())),
                task::last_error.eq(ended.error.as_deref()),
            ))
            .execute(c)?,
        None => diesel::update(own).set(cleared).execute(c)?,
    };
    Ok(moved == 1)
}

/// Where the task is due next, if it is scheduled again.
fn again(c: &mut SqliteConnection, one: &Settlement, to: State) -> Result<Option<crate::domain::Due>> {
    if to != State::Scheduled {
        return Ok(None);
    }
    let row: DueRow = task::table
        .find(one.claim.id.0.as_bytes().to_vec())
        .select((task::id, task::due_at, task::priority, task::misfire_ms))
        .first(c)?;
    due(&row).map(Some)
}

/// The claim was settled as `unknown` by a recovery and its true outcome comes late: it settles the `unknown`, unless
/// it says nothing new. Any other late outcome is recorded and overwrites nothing.
fn settle_late(
    c: &mut SqliteConnection,
    owner: GenerationId,
    one: &Settlement,
    to: State,
    deltas: &mut Deltas,
) -> Result<Settled> {
    let id = one.claim.id.0.as_bytes().to_vec();
    let waits = task_history::table
        .filter(task_history::id.eq(&id))
        .filter(task_history::claim_no.eq(one.claim.claim_no))
        .filter(task_history::owner.eq(Some(owner.0.as_bytes().to_vec())))
        .filter(task_history::state.eq(State::Unknown.code()))
        .select(task_history::id)
        .first::<Vec<u8>>(c)
        .optional()?;
    let Some(ended) = one.attempt.as_ref().filter(|_| waits.is_some() && to != State::Unknown) else {
        // Whatever became of the task since: what the call came to is told where its loss stands.
        if let Some(ended) = one.attempt.as_ref().filter(|ended| ended.outcome != AttemptOutcome::Ambiguous) {
            rewrite_record(c, owner, one.claim, ended)?;
        }
        return Ok(Settled::Stale);
    };
    rewrite_record(c, owner, one.claim, ended)?;
    if let Some(due_at) = one.verdict.due_at {
        // The recovery has counted this start; one that was never sent gives it back, and with it every trace.
        revive(c, &id, due_at, if one.verdict.counts { 0 } else { -1 })?;
        let counted = Some(ended).filter(|_| one.verdict.counts);
        diesel::update(task::table.find(&id))
            .set((
                task::started_at.eq(counted.map(|ended| ended.started_at.micros())),
                task::last_error.eq(counted.and_then(|ended| ended.error.as_deref())),
            ))
            .execute(c)?;
    } else {
        diesel::update(task_history::table.find(&id))
            .set((
                task_history::state.eq(to.code()),
                task_history::started_at.eq(Some(ended.started_at.micros())),
                task_history::finished_at.eq(ended.finished_at.micros()),
                task_history::last_error.eq(ended.error.as_deref()),
            ))
            .execute(c)?;
    }
    deltas.step(State::Unknown, to);
    again(c, one, to).map(Settled::Applied)
}

/// Writes the attempt of a claim that is still its owner's, with the number of its start.
fn record(c: &mut SqliteConnection, owner: GenerationId, one: &Settlement) -> Result<()> {
    let Some(ended) = &one.attempt else { return Ok(()) };
    let found: Option<(i32, Option<i64>, i64)> = task::table
        .filter(task::id.eq(one.claim.id.0.as_bytes().to_vec()))
        .filter(task::claim_no.eq(one.claim.claim_no))
        .filter(task::owner.eq(Some(owner.0.as_bytes().to_vec())))
        .select((task::attempt, task::epoch, task::due_at))
        .first(c)
        .optional()?;
    let Some((before, epoch, due_at)) = found else { return Ok(()) };
    diesel::insert_into(attempt::table)
        .values((
            attempt::task_id.eq(one.claim.id.0.as_bytes().to_vec()),
            attempt::claim_no.eq(one.claim.claim_no),
            attempt::attempt_no.eq(before + 1),
            attempt::generation.eq(Some(owner.0.as_bytes().to_vec())),
            attempt::epoch.eq(epoch),
            attempt::due_at.eq(due_at),
            attempt::started_at.eq(Some(ended.started_at.micros())),
            attempt::finished_at.eq(ended.finished_at.micros()),
            attempt::outcome.eq(ended.outcome.code()),
            attempt::error.eq(ended.error.as_deref()),
        ))
        .on_conflict_do_nothing()
        .execute(c)?;
    Ok(())
}

/// Of a lost attempt, if this is one.
fn rewrite_record(c: &mut SqliteConnection, owner: GenerationId, claim: Claim, ended: &EndedAttempt) -> Result<()> {
    let lost = attempt::table
        .find((claim.id.0.as_bytes().to_vec(), claim.claim_no))
        .filter(attempt::generation.eq(Some(owner.0.as_bytes().to_vec())))
        .filter(attempt::outcome.eq(AttemptOutcome::Ambiguous.code()));
    diesel::update(lost)
        .set((
            attempt::started_at.eq(Some(ended.started_at.micros())),
            attempt::finished_at.eq(ended.finished_at.micros()),
            attempt::outcome.eq(ended.outcome.code()),
            attempt::error.eq(ended.error.as_deref()),
        ))
        .execute(c)?;
    Ok(())
}
