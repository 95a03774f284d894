//! What the master does: read ahead, claim, call off.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool};
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::generations::standing;
use super::mastership::known;
use super::moves::{End, end_scheduled};
use super::packed::pack;
use super::schema::{assignment, task};
use super::value::{TOGETHER, Value, together};
use crate::domain::{Claim, Due, GenerationId, State, TaskId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::{DueRow, due};
use crate::store::statement::{Words, statement};
use crate::store::{Claimed, Fence, Order, Result, Ruled, Standing};

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

struct DueBetween;

impl Words for DueBetween {
    const SQL: &'static str =
        "SELECT count(*) FROM (SELECT 1 FROM task WHERE due_at >= ? AND due_at < ? AND state = 0 LIMIT ?)";
    type Row = BigInt;
}

/// How many scheduled tasks are due in between, no further than `most`.
pub fn due_between(c: &mut SqliteConnection, (from, to): (Timestamp, Timestamp), most: u64) -> Result<u64> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let values = [Value::Int(from.micros()), Value::Int(to.micros()), Value::Int(most)];
    let counted: i64 = statement::<DueBetween, _>(&values).get_result(c)?;
    Ok(u64::try_from(counted).unwrap_or(0))
}

/// Claims what is still scheduled at the expected instant, for generations that are alive.
pub fn claim(c: &mut SqliteConnection, fence: Fence, pauses: i64, orders: &[Order], now: Timestamp) -> Result<Claimed> {
    match known(c, fence, pauses)? {
        Ruled::Fenced => return Ok(Claimed::Fenced),
        Ruled::Outdated => return Ok(Claimed::Outdated),
        Ruled::Done(()) => {}
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
        let due: Vec<Due> =
            orders.iter().filter(|order| order.generation == generation).map(|order| order.due).collect();
        let claimed = Claimer { generation, fence, now }.claim(c, &due)?;
        if claimed.is_empty() {
            continue;
        }
        deltas.steps(State::Scheduled, State::Dispatched, claimed.len());
        assign(c, fence, generation, &claimed)?;
        claims.push((generation, claimed));
    }
    counts::write(c, &deltas)?;
    Ok(Claimed::Done { claims, refused })
}

/// In whose name tasks are claimed, and when.
struct Claimer {
    generation: GenerationId,
    fence: Fence,
    now: Timestamp,
}

impl Claimer {
    fn claim(&self, c: &mut SqliteConnection, due: &[Due]) -> Result<Vec<Claim>> {
        let (many, few) = due.as_chunks();
        let mut claims = Vec::with_capacity(due.len());
        for due in many {
            claims.extend(self.claim_together(c, due)?);
        }
        for due in few {
            claims.extend(self.claim_one(c, due)?);
        }
        Ok(claims)
    }

    fn claim_one(&self, c: &mut SqliteConnection, due: &Due) -> Result<Option<Claim>> {
        let [owner, epoch, now] = self.values();
        let [id, due_at] = wanted(due);
        let claim_no: Option<i64> =
            statement::<ClaimOne, _>(&[owner, epoch, now, id, due_at]).get_result(c).optional()?;
        Ok(claim_no.map(|claim_no| Claim { id: due.id, claim_no }))
    }

    fn claim_together(&self, c: &mut SqliteConnection, due: &[Due; TOGETHER]) -> Result<Vec<Claim>> {
        let values: Vec<Value<'_>> = self.values().into_iter().chain(due.iter().flat_map(wanted)).collect();
        let rows: Vec<(Key, i64)> = statement::<ClaimTogether, _>(&values).load(c)?;
        Ok(rows.into_iter().map(|(id, claim_no)| Claim { id: id.task(), claim_no }).collect())
    }

    fn values(&self) -> [Value<'_>; 3] {
        [Value::Blob(self.generation.0.as_bytes()), Value::Int(self.fence.epoch.0), Value::Int(self.now.micros())]
    }
}

fn wanted(due: &Due) -> [Value<'_>; 2] {
    [Value::Blob(due.id.0.as_bytes()), Value::Int(due.due_at.micros())]
}

macro_rules! claim {
    ($which:expr) => {
        concat!("UPDATE task SET state = 1, claim_no = claim_no + 1, owner = ?, epoch = ?, dispatched_at = ? ", $which)
    };
}

struct ClaimOne;

impl Words for ClaimOne {
    const SQL: &'static str = claim!("WHERE id = ? AND state = 0 AND due_at = ? RETURNING claim_no");
    type Row = BigInt;
}

struct ClaimTogether;

impl Words for ClaimTogether {
    /// `+due_at`: the key finds the row, not the index of the look-ahead.
    const SQL: &'static str = claim!(concat!(
        "FROM (VALUES ",
        together!("(?, ?)"),
        ") WHERE id = column1 AND state = 0 AND +due_at = column2 RETURNING id, claim_no"
    ));
    type Row = (Binary, BigInt);
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
pub fn expire(
    c: &mut SqliteConnection,
    fence: Fence,
    pauses: i64,
    overdue: &[Due],
    now: Timestamp,
) -> Result<Ruled<Vec<TaskId>>> {
    known(c, fence, pauses)?.and_then(|()| {
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
        counts::write(c, &deltas)?;
        Ok(expired)
    })
}

#[cfg(test)]
mod tests {
    use super::super::value::plan;
    use super::*;

    #[test]
    fn what_is_claimed_is_found_by_its_key() {
        for plan in [plan::<ClaimOne>(), plan::<ClaimTogether>()] {
            assert!(plan.contains("SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)"), "{plan}");
            assert!(!plan.contains("SCAN task"), "{plan}");
        }
    }
}
