//! What an executor reads and writes before a call: its assignments, its start records.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid};

use super::columns::{TaskColumns, by_key, columns};
use super::value::Value;
use crate::domain::{Claim, ClaimedTask, GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::row::TaskRow;
use crate::store::statement::{Words, statement};
use crate::store::{Assignment, Done, Result, StartRecord};

struct Assigned;

impl Words for Assigned {
    const SQL: &'static str = "SELECT seq, ids, claim_nos FROM assignment WHERE generation = ? AND seq > ? \
        ORDER BY seq LIMIT ?";
    type Row = (BigInt, Array<Uuid>, Array<BigInt>);
}

/// The tasks of claims that are still their owner's; `$payload` stands for the payload's column.
macro_rules! own_tasks {
    ($payload:literal) => {
        concat!(
            "SELECT ",
            columns!($payload),
            " FROM unnest(?, ?) AS c(id, claim_no) JOIN task t ON ",
            by_key!("t.id", "c.id"),
            " AND t.claim_no = c.claim_no WHERE t.owner = ? AND t.state = 1"
        )
    };
}

struct OwnTasks;

impl Words for OwnTasks {
    const SQL: &'static str = own_tasks!("t.payload");
    type Row = TaskColumns;
}

/// The same for those who settle them: no payload is needed for that, and all of them may be far more than memory holds.
struct OwnClaims;

impl Words for OwnClaims {
    const SQL: &'static str = own_tasks!("''::BYTEA");
    type Row = TaskColumns;
}

/// Assignments after `after`, in the order of claiming, with the tasks that are still this generation's.
pub fn assigned(c: &mut PgConnection, generation: GenerationId, after: i64, limit: usize) -> Result<Vec<Assignment>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::Key(generation.into()), Value::Int(after), Value::Int(limit)];
    let rows: Vec<(i64, Vec<Key>, Vec<i64>)> = statement::<Assigned, _>(&values).load(c)?;
    let all = rows.iter().flat_map(|(_, ids, claim_nos)| claims_of(ids, claim_nos)).collect::<Vec<_>>();
    let mut own: HashMap<Claim, ClaimedTask> =
        claimed::<OwnTasks>(c, generation, &all)?.into_iter().map(|task| (task.claim, task)).collect();
    Ok(rows
        .into_iter()
        .map(|(seq, ids, claim_nos)| {
            let tasks = claims_of(&ids, &claim_nos).filter_map(|claim| own.remove(&claim)).collect();
            Assignment { seq, tasks }
        })
        .collect())
}

fn claims_of<'a>(ids: &'a [Key], claim_nos: &'a [i64]) -> impl Iterator<Item = Claim> + 'a {
    ids.iter().zip(claim_nos).map(|(id, claim_no)| Claim { id: id.task(), claim_no: *claim_no })
}

/// The tasks of those claims that are still this generation's, without their payloads.
pub fn claimed_bare(c: &mut PgConnection, generation: GenerationId, claims: &[Claim]) -> Result<Vec<ClaimedTask>> {
    claimed::<OwnClaims>(c, generation, claims)
}

fn claimed<W: Words<Row = TaskColumns> + 'static>(
    c: &mut PgConnection,
    generation: GenerationId,
    claims: &[Claim],
) -> Result<Vec<ClaimedTask>> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<TaskRow> = statement::<W, _>(&[
        Value::Keys(claims.iter().map(|claim| claim.id.into()).collect()),
        Value::Ints(claims.iter().map(|claim| claim.claim_no).collect()),
        Value::Key(generation.into()),
    ])
    .load(c)?;
    rows.into_iter().map(TaskRow::claimed).collect()
}

/// One statement and one commit: the generation's fence is held until the row stands. A recovery marks the generation
/// dead first, which waits for this, and reads start records after.
struct Start;

impl Words for Start {
    const SQL: &'static str = "WITH alive AS (SELECT id FROM generation WHERE id = ? AND state = 0 FOR SHARE) \
        INSERT INTO start_record (generation, started_at, ids, claim_nos) \
        SELECT id, now_us(), ?, ? FROM alive RETURNING seq";
    type Row = BigInt;
}

/// Writes a start record, if the generation is alive.
pub fn start(c: &mut PgConnection, generation: GenerationId, claims: &[Claim]) -> Result<Option<StartRecord>> {
    let seq: Option<i64> = statement::<Start, _>(&[
        Value::Key(generation.into()),
        Value::Keys(claims.iter().map(|claim| claim.id.into()).collect()),
        Value::Ints(claims.iter().map(|claim| claim.claim_no).collect()),
    ])
    .get_result(c)
    .optional()?;
    Ok(seq.map(|seq| StartRecord { seq }))
}

struct Started;

impl Words for Started {
    const SQL: &'static str = "SELECT started_at, ids, claim_nos FROM start_record WHERE generation = ? ORDER BY seq";
    type Row = (BigInt, Array<Uuid>, Array<BigInt>);
}

/// Everything that was started by a generation and is not settled: when, by claim.
pub fn started(c: &mut PgConnection, generation: GenerationId) -> Result<HashMap<Claim, Timestamp>> {
    let rows: Vec<(i64, Vec<Key>, Vec<i64>)> = statement::<Started, _>(&[Value::Key(generation.into())]).load(c)?;
    let at_of = |(at, ids, claim_nos): &(i64, Vec<Key>, Vec<i64>)| {
        let at = Timestamp::from_micros(*at);
        claims_of(ids, claim_nos).map(|claim| (claim, at)).collect::<Vec<_>>()
    };
    Ok(rows.iter().flat_map(at_of).collect())
}

/// Every claim in a generation's assignments.
pub fn assigned_claims(c: &mut PgConnection, generation: GenerationId) -> Result<Vec<Claim>> {
    let values = [Value::Key(generation.into()), Value::Int(0), Value::Int(i64::MAX)];
    let rows: Vec<(i64, Vec<Key>, Vec<i64>)> = statement::<Assigned, _>(&values).load(c)?;
    Ok(rows.iter().flat_map(|(_, ids, claim_nos)| claims_of(ids, claim_nos)).collect())
}

struct RemoveAssignments;

impl Words for RemoveAssignments {
    const SQL: &'static str = "DELETE FROM assignment WHERE generation = ? AND seq = ANY(?)";
    type Row = ();
}

struct RemoveStarts;

impl Words for RemoveStarts {
    const SQL: &'static str = "DELETE FROM start_record WHERE generation = ? AND seq = ANY(?)";
    type Row = ();
}

/// Removes rows whose claims are all settled.
pub fn remove(c: &mut PgConnection, generation: GenerationId, done: &Done) -> Result<()> {
    if !done.assignments.is_empty() {
        let values = [Value::Key(generation.into()), Value::Ints(done.assignments.clone())];
        statement::<RemoveAssignments, _>(&values).execute(c)?;
    }
    if !done.start_records.is_empty() {
        let values = [Value::Key(generation.into()), Value::Ints(done.start_records.clone())];
        statement::<RemoveStarts, _>(&values).execute(c)?;
    }
    Ok(())
}

struct RemoveAllAssignments;

impl Words for RemoveAllAssignments {
    const SQL: &'static str = "DELETE FROM assignment WHERE generation = ?";
    type Row = ();
}

struct RemoveAllStarts;

impl Words for RemoveAllStarts {
    const SQL: &'static str = "DELETE FROM start_record WHERE generation = ?";
    type Row = ();
}

/// Removes all rows of a generation: it is recovered.
pub fn remove_all(c: &mut PgConnection, generation: GenerationId) -> Result<()> {
    let own = [Value::Key(generation.into())];
    statement::<RemoveAllAssignments, _>(&own).execute(c)?;
    statement::<RemoveAllStarts, _>(&own).execute(c)?;
    Ok(())
}
