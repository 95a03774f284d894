//! What an executor reads and writes before a call: its assignments, its start records.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::columns::columns;
use super::generations::standing;
use super::packed::{pack, unpack};
use super::schema::{assignment, start_record, task};
use crate::domain::{Claim, ClaimedTask, GenerationId, State, Timestamp};
use crate::store::row::TaskRow;
use crate::store::{Assignment, Done, Result, Standing, StartRecord};

/// Assignments after `after`, in the order of claiming, with the tasks that are still this generation's.
pub fn assigned(
    c: &mut SqliteConnection,
    generation: GenerationId,
    after: i64,
    limit: usize,
) -> Result<Vec<Assignment>> {
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = assignment::table
        .filter(assignment::generation.eq(generation.0.as_bytes().to_vec()))
        .filter(assignment::seq.gt(after))
        .order(assignment::seq)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((assignment::seq, assignment::ids, assignment::claim_nos))
        .load(c)?;
    let mut assignments = Vec::with_capacity(rows.len());
    for (seq, ids, claim_nos) in rows {
        let mut tasks = Vec::new();
        for claim in unpack(&ids, &claim_nos)? {
            tasks.extend(claimed(c, generation, claim)?);
        }
        assignments.push(Assignment { seq, tasks });
    }
    Ok(assignments)
}

/// The task of a claim, if it is still this generation's.
pub fn claimed(c: &mut SqliteConnection, generation: GenerationId, claim: Claim) -> Result<Option<ClaimedTask>> {
    let row: Option<TaskRow> = task::table
        .filter(task::id.eq(claim.id.0.as_bytes().to_vec()))
        .filter(task::claim_no.eq(claim.claim_no))
        .filter(task::owner.eq(Some(generation.0.as_bytes().to_vec())))
        .filter(task::state.eq(State::Dispatched.code()))
        .select(columns!(task, task::accepted_at, task::payload))
        .first(c)
        .optional()?;
    row.map(TaskRow::claimed).transpose()
}

/// Writes a start record, if the generation is alive.
pub fn start(
    c: &mut SqliteConnection,
    generation: GenerationId,
    claims: &[Claim],
    now: Timestamp,
) -> Result<Option<StartRecord>> {
    if standing(c, generation)? != Some(Standing::Alive) {
        return Ok(None);
    }
    let (ids, claim_nos) = pack(claims);
    let seq: i64 = diesel::insert_into(start_record::table)
        .values((
            start_record::generation.eq(generation.0.as_bytes().to_vec()),
            start_record::started_at.eq(now.micros()),
            start_record::ids.eq(ids),
            start_record::claim_nos.eq(claim_nos),
        ))
        .returning(start_record::seq)
        .get_result(c)?;
    Ok(Some(StartRecord { seq }))
}

/// Everything that was started by a generation and is not settled: (when, claims).
pub fn started(c: &mut SqliteConnection, generation: GenerationId) -> Result<Vec<(Timestamp, Vec<Claim>)>> {
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = start_record::table
        .filter(start_record::generation.eq(generation.0.as_bytes().to_vec()))
        .order(start_record::seq)
        .select((start_record::started_at, start_record::ids, start_record::claim_nos))
        .load(c)?;
    rows.into_iter().map(|(at, ids, claim_nos)| Ok((Timestamp::from_micros(at), unpack(&ids, &claim_nos)?))).collect()
}

/// Every claim in a generation's assignments.
pub fn assigned_claims(c: &mut SqliteConnection, generation: GenerationId) -> Result<Vec<Claim>> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = assignment::table
        .filter(assignment::generation.eq(generation.0.as_bytes().to_vec()))
        .order(assignment::seq)
        .select((assignment::ids, assignment::claim_nos))
        .load(c)?;
    let lists: Vec<Vec<Claim>> = rows.into_iter().map(|(ids, nos)| unpack(&ids, &nos)).collect::<Result<_>>()?;
    Ok(lists.into_iter().flatten().collect())
}

/// Removes rows whose claims are all settled.
pub fn remove(c: &mut SqliteConnection, generation: GenerationId, done: &Done) -> Result<()> {
    let owner = generation.0.as_bytes().to_vec();
    for seq in &done.assignments {
        diesel::delete(assignment::table.find(seq).filter(assignment::generation.eq(&owner))).execute(c)?;
    }
    for seq in &done.start_records {
        diesel::delete(start_record::table.find(seq).filter(start_record::generation.eq(&owner))).execute(c)?;
    }
    Ok(())
}

/// Removes all rows of a generation: it is recovered.
pub fn remove_all(c: &mut SqliteConnection, generation: GenerationId) -> Result<()> {
    let owner = generation.0.as_bytes().to_vec();
    diesel::delete(assignment::table.filter(assignment::generation.eq(&owner))).execute(c)?;
    diesel::delete(start_record::table.filter(start_record::generation.eq(&owner))).execute(c)?;
    Ok(())
}
