//! Outcomes: each bound to its claim, so that an old or a repeated one changes nothing.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::columns::{DueColumns, by_key};
use super::late::settle_late;
use super::moves::{End, end_claims};
use super::value::Value;
use crate::domain::state::Step;
use crate::domain::{Due, GenerationId, State, Timestamp};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::{DueRow, due, unreadable};
use crate::store::statement::{Words, statement};
use crate::store::{EndedAttempt, Result, Settled, Settlement};

/// Applies a batch, one outcome each in its order.
pub fn settle(
    c: &mut PgConnection,
    owner: GenerationId,
    batch: &[Settlement],
    deltas: &mut Deltas,
) -> Result<Vec<Settled>> {
    let mut settled = vec![Settled::Stale; batch.len()];
    let mut rest: Vec<usize> = (0..batch.len()).collect();
    while !rest.is_empty() {
        // An id that is there twice comes into the next round: of two outcomes the first counts.
        let mut seen = HashSet::with_capacity(rest.len());
        let (round, again): (Vec<usize>, Vec<usize>) =
            rest.into_iter().partition(|n| batch.get(*n).is_some_and(|one| seen.insert(one.claim.id)));
        let ones: Vec<&Settlement> = round.iter().filter_map(|n| batch.get(*n)).collect();
        for (n, outcome) in round.into_iter().zip(settle_round(c, owner, &ones, deltas)?) {
            if let Some(place) = settled.get_mut(n) {
                *place = outcome;
            }
        }
        rest = again;
    }
    Ok(settled)
}

/// The same for outcomes of different ids.
fn settle_round(
    c: &mut PgConnection,
    owner: GenerationId,
    ones: &[&Settlement],
    deltas: &mut Deltas,
) -> Result<Vec<Settled>> {
    let mut sorted = ones.to_vec();
    sorted.sort_by_key(|one| one.claim.id);
    record(c, owner, &sorted)?;
    let back: Vec<(&Settlement, Timestamp)> =
        sorted.iter().filter_map(|one| one.verdict.due_at.map(|due_at| (*one, due_at))).collect();
    // Each of two statements is sorted, both together are not: another who settles the same tasks differently would wait
    // in a circle.
    if !back.is_empty() && back.len() < sorted.len() {
        let ids = sorted.iter().map(|one| one.claim.id.into()).collect();
        statement::<HoldTasks, _>(&[Value::Keys(ids)]).execute(c)?;
    }
    let ended = sorted.into_iter().filter(|one| one.verdict.due_at.is_none());
    let again: HashMap<Key, Due> =
        schedule_again(c, owner, &back)?.into_iter().map(|due| (due.id.into(), due)).collect();
    let ends: Vec<End<'_>> = ended.map(end_of).collect::<Result<_>>()?;
    let gone: HashSet<Key> =
        if ends.is_empty() { HashSet::new() } else { end_claims(c, owner, &ends)?.into_iter().collect() };
    ones.iter()
        .map(|one| {
            let (id, to) = (Key::from(one.claim.id), state_after(one)?);
            let due = again.get(&id).copied();
            if due.is_none() && !gone.contains(&id) {
                return settle_late(c, owner, one, to, deltas);
            }
            deltas.step(State::Dispatched, to);
            Ok(Settled::Applied(due))
        })
        .collect()
}

/// Where an outcome leads a dispatched task.
fn state_after(one: &Settlement) -> Result<State> {
    let step = one.verdict.step;
    State::Dispatched.after(step).ok_or_else(|| unreadable("verdict", format!("{step:?} is no step from dispatched")))
}

fn end_of(one: &Settlement) -> Result<End<'_>> {
    let Some(ended) = &one.attempt else {
        return Err(unreadable("settlement", "a task cannot end without an attempt"));
    };
    Ok(End {
        claim: one.claim,
        state: state_after(one)?,
        starts: i32::from(one.verdict.counts),
        started_at: ended.started_at,
        finished_at: ended.finished_at,
        error: ended.error.as_deref(),
    })
}

struct HoldTasks;

impl Words for HoldTasks {
    const SQL: &'static str = "SELECT id FROM task WHERE id = ANY(?) ORDER BY id FOR UPDATE";
    type Row = diesel::sql_types::Uuid;
}

struct ScheduleAgain;

impl Words for ScheduleAgain {
    const SQL: &'static str = concat!(
        "UPDATE task t SET state = 0, due_at = b.due_at, owner = NULL, epoch = NULL, \
         attempt = t.attempt + b.starts, started_at = coalesce(b.started_at, t.started_at), \
         last_error = CASE WHEN b.starts = 1 THEN b.error ELSE t.last_error END \
         FROM unnest(?, ?, ?, ?, ?, ?) AS b(id, claim_no, due_at, starts, started_at, error) WHERE ",
        by_key!("t.id", "b.id"),
        " AND t.claim_no = b.claim_no AND t.owner = ? AND t.state = 1 RETURNING t.id, t.due_at, t.priority, t.misfire_ms"
    );
    type Row = DueColumns;
}

fn schedule_again(c: &mut PgConnection, owner: GenerationId, back: &[(&Settlement, Timestamp)]) -> Result<Vec<Due>> {
    if back.is_empty() {
        return Ok(Vec::new());
    }
    // What was never sent leaves no trace of a start.
    let attempts: Vec<Option<&EndedAttempt>> =
        back.iter().map(|(one, _)| one.attempt.as_ref().filter(|_| one.verdict.counts)).collect();
    let rows: Vec<DueRow> = statement::<ScheduleAgain, _>(&[
        Value::Keys(back.iter().map(|(one, _)| one.claim.id.into()).collect()),
        Value::Ints(back.iter().map(|(one, _)| one.claim.claim_no).collect()),
        Value::Ints(back.iter().map(|(_, due_at)| due_at.micros()).collect()),
        Value::Integers(back.iter().map(|(one, _)| i32::from(one.verdict.counts)).collect()),
        Value::MaybeInts(attempts.iter().map(|ended| ended.map(|ended| ended.started_at.micros())).collect()),
        Value::MaybeTexts(attempts.iter().map(|ended| ended.and_then(|ended| ended.error.as_deref())).collect()),
        Value::Key(owner.into()),
    ])
    .load(c)?;
    rows.iter().map(due).collect()
}

/// The attempts of claims that are still their owner's, with the numbers of their starts.
struct Record;

impl Words for Record {
    const SQL: &'static str = concat!(
        "INSERT INTO attempt (task_id, claim_no, attempt, generation, epoch, due_at, started_at, finished_at, outcome, error) \
         SELECT t.id, t.claim_no, t.attempt + 1, t.owner, t.epoch, t.due_at, e.started_at, e.finished_at, e.outcome, e.error \
         FROM unnest(?, ?, ?, ?, ?, ?) AS e(id, claim_no, started_at, finished_at, outcome, error) JOIN task t ON ",
        by_key!("t.id", "e.id"),
        " AND t.claim_no = e.claim_no WHERE t.owner = ? AND t.state = 1 ON CONFLICT DO NOTHING"
    );
    type Row = ();
}

/// A plain success is told by its history row alone.
fn record(c: &mut PgConnection, owner: GenerationId, ones: &[&Settlement]) -> Result<()> {
    let ended: Vec<(&Settlement, &EndedAttempt)> = ones
        .iter()
        .filter(|one| one.verdict.step != Step::Succeed)
        .filter_map(|one| one.attempt.as_ref().map(|ended| (*one, ended)))
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    statement::<Record, _>(&[
        Value::Keys(ended.iter().map(|(one, _)| one.claim.id.into()).collect()),
        Value::Ints(ended.iter().map(|(one, _)| one.claim.claim_no).collect()),
        Value::Ints(ended.iter().map(|(_, ended)| ended.started_at.micros()).collect()),
        Value::Ints(ended.iter().map(|(_, ended)| ended.finished_at.micros()).collect()),
        Value::Smalls(ended.iter().map(|(_, ended)| ended.outcome.code()).collect()),
        Value::MaybeTexts(ended.iter().map(|(_, ended)| ended.error.as_deref()).collect()),
        Value::Key(owner.into()),
    ])
    .execute(c)?;
    Ok(())
}
