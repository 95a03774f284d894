//! What the master does: read ahead, claim, call off.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool};
use diesel::sqlite::SqliteConnection;

use super::counts::Deltas;
use super::generations::standing;
use super::mastership::holds;
use super::moves::{End, end_scheduled};
use super::packed::pack;
use super::row::{DueRow, due};
use super::schema::{assignment, task};
use super::statement::{Value, Words, statement};
use crate::domain::{Claim, Due, GenerationId, State, TaskId, Timestamp};
use crate::store::{Claimed, Fence, Order, Result, Standing};

/// Scheduled tasks in the order of the index, from its lower bound on.
pub fn scheduled(
    c: &mut SqliteConnection,
    after: Option<(Timestamp, TaskId)>,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Due>> {
    let (at, id) = after.map_or((i64::MIN, Vec::new()), |(at, id)| (at.micros(), id.0.as_bytes().to_vec()));
    // A row value, so that the index is entered in the midst of many tasks of one instant too: `due_at > a OR (due_at = a
    // AND id > b)` would read all of them again and again.
    let beyond =
        sql::<Bool>("(task.due_at, task.id) > (").bind::<BigInt, _>(at).sql(", ").bind::<Binary, _>(id).sql(")");
    let rows: Vec<DueRow> = task::table
        .filter(beyond)
        .filter(task::due_at.le(until.micros()))
        .filter(task::state.eq(State::Scheduled.code()))
        .order((task::due_at, task::id))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((task::id, task::due_at, task::priority, task::misfire_ms))
        .load(c)?;
    rows.iter().map(due).collect()
}

/// Claims what is still scheduled at the expected instant, for generations that are alive.
pub fn claim(c: &mut SqliteConnection, fence: Fence, orders: &[Order], now: Timestamp) -> Result<Claimed> {
    if !holds(c, fence)? {
        return Ok(Claimed::Fenced);
    }
    let mut generations: Vec<GenerationId> = orders.iter().map(|order| order.generation).collect();
    generations.sort_unstable();
    generations.dedup();
    let (mut claims, mut refused, mut deltas) = (Vec::new(), Vec::new(), Deltas::default());
    for generation in generations {
        if standing(c, generation)? != Some(Standing::Alive) {
            refused.push(generation);
            continue;
        }
        let mut claimed = Vec::new();
        for order in orders.iter().filter(|order| order.generation == generation) {
            claimed.extend(claim_one(c, fence, order, now)?);
        }
        if claimed.is_empty() {
            continue;
        }
        for _ in &claimed {
            deltas.step(State::Scheduled, State::Dispatched);
        }
        assign(c, fence, generation, &claimed)?;
        claims.push((generation, claimed));
    }
    deltas.write(c)?;
    Ok(Claimed::Done { claims, refused })
}

struct ClaimOne;

impl Words for ClaimOne {
    const SQL: &'static str = "UPDATE task SET state = 1, claim_no = claim_no + 1, owner = ?, epoch = ?, dispatched_at = ? \
        WHERE id = ? AND state = 0 AND due_at = ? RETURNING claim_no";
    type Row = BigInt;
}

fn claim_one(c: &mut SqliteConnection, fence: Fence, order: &Order, now: Timestamp) -> Result<Option<Claim>> {
    let id = order.due.id;
    let claim_no: Option<i64> = statement::<ClaimOne>(&[
        Value::Blob(order.generation.0.as_bytes()),
        Value::Int(fence.epoch.0),
        Value::Int(now.micros()),
        Value::Blob(id.0.as_bytes()),
        Value::Int(order.due.due_at.micros()),
    ])
    .get_result(c)
    .optional()?;
    Ok(claim_no.map(|claim_no| Claim { id, claim_no }))
}

fn assign(c: &mut SqliteConnection, fence: Fence, generation: GenerationId, claims: &[Claim]) -> Result<()> {
    let (ids, claim_nos) = pack(claims);
    diesel::insert_into(assignment::table)
        .values((
            assignment::generation.eq(generation.0.as_bytes().to_vec()),
            assignment::epoch.eq(fence.epoch.0),
            assignment::ids.eq(ids),
            assignment::claim_nos.eq(claim_nos),
        ))
        .execute(c)?;
    Ok(())
}

/// Calls off what is overdue by its misfire policy.
pub fn expire(c: &mut SqliteConnection, fence: Fence, overdue: &[Due], now: Timestamp) -> Result<Vec<TaskId>> {
    if !holds(c, fence)? {
        return Ok(Vec::new());
    }
    let (mut expired, mut deltas) = (Vec::new(), Deltas::default());
    for due in overdue.iter().filter(|due| due.misfire.is_over(due.due_at, now)) {
        let end = End {
            state: State::Expired,
            starts: 0,
            started_at: None,
            finished_at: now,
            error: Some("expired: it was due longer ago than its misfire policy allows"),
        };
        if end_scheduled(c, due.id.0.as_bytes(), Some(due.due_at), &end)? {
            deltas.step(State::Scheduled, State::Expired);
            expired.push(due.id);
        }
    }
    deltas.write(c)?;
    Ok(expired)
}
