//! What the master does: read ahead, claim, call off.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid};

use super::columns::{DueColumns, by_key, in_time};
use super::counts::{self, Writer};
use super::generations::{add_assigned, hold_alive};
use super::mastership::hold_known;
use super::moves::expire_scheduled;
use super::value::Value;
use crate::domain::{Claim, Due, GenerationId, State, TaskId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::{DueRow, due};
use crate::store::statement::{Words, statement};
use crate::store::{Claimed, Fence, Order, Result, Ruled};

struct Scheduled;

impl Words for Scheduled {
    const SQL: &'static str = concat!(
        "SELECT id, due_at, priority, misfire_ms FROM task WHERE ",
        in_time!("due_at"),
        " AND (due_at, id) > (?, ?) AND due_at <= ? AND state = 0 ORDER BY due_at, id LIMIT ?"
    );
    type Row = DueColumns;
}

/// Scheduled tasks in the order of the index, from its lower bound on.
pub fn scheduled(
    c: &mut PgConnection,
    after: Option<(Timestamp, TaskId)>,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Due>> {
    let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), TaskId(uuid::Uuid::nil())));
    let rows: Vec<DueRow> = statement::<Scheduled, _>(&[
        Value::Int(at.micros()),
        Value::Key(id.into()),
        Value::Int(until.micros()),
        Value::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
    ])
    .load(c)?;
    rows.iter().map(due).collect()
}

struct DueBetween;

impl Words for DueBetween {
    const SQL: &'static str = concat!(
        "SELECT count(*) FROM (SELECT 1 FROM task WHERE ",
        in_time!("due_at"),
        " AND due_at >= ? AND due_at < ? AND state = 0 LIMIT ?) AS counted"
    );
    type Row = BigInt;
}

/// How many scheduled tasks are due in between, no further than `most`.
pub fn due_between(c: &mut PgConnection, (from, to): (Timestamp, Timestamp), most: u64) -> Result<u64> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let values = [Value::Int(from.micros()), Value::Int(to.micros()), Value::Int(most)];
    let counted: i64 = statement::<DueBetween, _>(&values).get_result(c)?;
    Ok(u64::try_from(counted).unwrap_or(0))
}

/// Returns ids and no payloads: a master that is stopped while it receives a large answer holds the fence.
struct Claims;

impl Words for Claims {
    const SQL: &'static str = concat!(
        "UPDATE task t SET state = 1, claim_no = t.claim_no + 1, owner = o.generation, epoch = ?, \
         dispatched_at = now_us() FROM unnest(?, ?, ?) AS o(id, due_at, generation) WHERE ",
        by_key!("t.id", "o.id"),
        " AND t.state = 0 AND (t.due_at = o.due_at) IS TRUE RETURNING t.id, t.claim_no, t.owner"
    );
    type Row = (Uuid, BigInt, Uuid);
}

struct Assign;

impl Words for Assign {
    const SQL: &'static str = "INSERT INTO assignment (generation, epoch, ids, claim_nos) VALUES (?, ?, ?, ?)";
    type Row = ();
}

/// Claims what is still scheduled at the expected instant, for generations that are alive.
pub fn claim(c: &mut PgConnection, writer: Writer, fence: Fence, pauses: i64, orders: &[Order]) -> Result<Claimed> {
    match hold_known(c, fence, pauses)? {
        Ruled::Fenced => return Ok(Claimed::Fenced),
        Ruled::Outdated => return Ok(Claimed::Outdated),
        Ruled::Done(()) => {}
    }
    let mut generations: Vec<GenerationId> = orders.iter().map(|order| order.generation).collect();
    generations.sort_unstable();
    generations.dedup();
    let alive = hold_alive(c, &generations)?;
    let refused: Vec<GenerationId> = generations.into_iter().filter(|id| !alive.contains(id)).collect();
    let mut orders: Vec<Order> = orders.iter().filter(|order| alive.contains(&order.generation)).copied().collect();
    orders.sort_by_key(|order| order.due.id);
    let claimed: Vec<(Key, i64, Key)> = statement::<Claims, _>(&[
        Value::Int(fence.epoch.0),
        Value::Keys(orders.iter().map(|order| order.due.id.into()).collect()),
        Value::Ints(orders.iter().map(|order| order.due.due_at.micros()).collect()),
        Value::Keys(orders.iter().map(|order| order.generation.into()).collect()),
    ])
    .load(c)?;
    let (mut claims, mut deltas) = (Vec::new(), Deltas::default());
    for generation in alive {
        let own: Vec<Claim> = claimed
            .iter()
            .filter(|(_, _, owner)| owner.generation() == generation)
            .map(|(id, claim_no, _)| Claim { id: id.task(), claim_no: *claim_no })
            .collect();
        if own.is_empty() {
            continue;
        }
        deltas.steps(State::Scheduled, State::Dispatched, own.len());
        statement::<Assign, _>(&[
            Value::Key(generation.into()),
            Value::Int(fence.epoch.0),
            Value::Keys(own.iter().map(|claim| claim.id.into()).collect()),
            Value::Ints(own.iter().map(|claim| claim.claim_no).collect()),
        ])
        .execute(c)?;
        claims.push((generation, own));
    }
    if !claims.is_empty() {
        let made: Vec<_> = claims.iter().map(|(generation, own)| (*generation, own.len())).collect();
        add_assigned(c, &made)?;
        counts::write(c, writer, &deltas)?;
    }
    Ok(Claimed::Done { claims, refused })
}

/// Calls off what is overdue by its misfire policy.
pub fn expire(
    c: &mut PgConnection,
    writer: Writer,
    fence: Fence,
    pauses: i64,
    overdue: &[Due],
) -> Result<Ruled<Vec<TaskId>>> {
    hold_known(c, fence, pauses)?.and_then(|()| {
        let expired = expire_scheduled(c, overdue)?;
        let mut deltas = Deltas::default();
        deltas.steps(State::Scheduled, State::Expired, expired.len());
        counts::write(c, writer, &deltas)?;
        Ok(expired)
    })
}
