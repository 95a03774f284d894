//! What people ask for: one task, a page of tasks, its attempts. Both tables on one snapshot.

use std::collections::{HashMap, HashSet};

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};
use diesel::sqlite::SqliteConnection;

use super::columns::columns;
use super::execution::started;
use super::matching::matching;
use super::parking::show_parked;
use super::schema::{attempt, generation, task, task_history};
use crate::domain::{Attempt, AttemptOutcome, Claim, Epoch, State, Task, TaskId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{HistoryRow, TaskRow, starts, unreadable};
use crate::store::{Filter, Matching, Page, Place, Result};

/// Names of nodes by generation.
type Nodes = HashMap<Key, String>;

/// One task, wherever it is.
pub fn find(c: &mut SqliteConnection, id: TaskId) -> Result<Option<Task>> {
    let key = id.0.as_bytes().to_vec();
    let live: Option<TaskRow> =
        task::table.find(&key).select(columns!(task, task::accepted_at, task::payload)).first(c).optional()?;
    if let Some(row) = live {
        let started_at = running_since(c, &row)?;
        let node = row.owner.map(|owner| node_of(c, owner)).transpose()?.flatten();
        let mut found = row.read(None, node)?;
        found.started_at = started_at.or(found.started_at);
        show_parked(c, std::slice::from_mut(&mut found))?;
        return Ok(Some(found));
    }
    let ended: Option<HistoryRow> = task_history::table
        .find(&key)
        .select((columns!(task_history, task_history::accepted_at, task_history::payload), task_history::finished_at))
        .first(c)
        .optional()?;
    let Some((row, finished_at)) = ended else { return Ok(None) };
    let node = row.owner.map(|owner| node_of(c, owner)).transpose()?.flatten();
    row.read(Some(finished_at), node).map(Some)
}

/// When the current claim of a dispatched task was started, by its start record.
fn running_since(c: &mut SqliteConnection, row: &TaskRow) -> Result<Option<Timestamp>> {
    let Some(owner) = running_owner(row) else { return Ok(None) };
    let claim = Claim { id: row.id.task(), claim_no: row.claim_no };
    let records = started(c, owner.generation())?;
    Ok(records.into_iter().find(|(_, claims)| claims.contains(&claim)).map(|(at, _)| at))
}

/// Who has claimed it, if it is claimed now.
fn running_owner(row: &TaskRow) -> Option<Key> {
    row.owner.filter(|_| row.state == State::Dispatched.code())
}

/// A page of tasks, the newest first, without payloads.
pub fn list(c: &mut SqliteConnection, filter: &Filter) -> Result<Page> {
    let Matching { tasks: places, next } = matching(c, filter)?;
    let nodes: Nodes = generation::table.select((generation::id, generation::node)).load(c)?.into_iter().collect();
    let mut found = rows_of(c, &places)?;
    let mut running = HashMap::new();
    for owner in found.values().filter_map(|(row, _)| running_owner(row)).collect::<HashSet<_>>() {
        for (at, claims) in started(c, owner.generation())? {
            running.extend(claims.into_iter().map(|claim| (claim, at)));
        }
    }
    let rows = places.into_iter().filter_map(|(_, id)| found.remove(&id.into()));
    let read = rows.map(|(row, finished_at)| {
        let node = row.owner.and_then(|owner| nodes.get(&owner)).cloned();
        let since = running.get(&Claim { id: row.id.task(), claim_no: row.claim_no }).copied();
        let mut task = row.read(finished_at, node)?;
        task.started_at = since.or(task.started_at);
        Ok(task)
    });
    let mut tasks: Vec<Task> = read.collect::<Result<_>>()?;
    show_parked(c, &mut tasks)?;
    Ok(Page { tasks, next })
}

/// Stands for when a task was accepted.
fn unknown() -> SqlLiteral<Nullable<BigInt>> {
    sql("NULL")
}

/// Stands for a payload.
fn nothing() -> SqlLiteral<Binary> {
    sql("x''")
}

/// Rows of either table, by their keys. The payload stays where it is, and what stands behind it.
fn rows_of(c: &mut SqliteConnection, places: &[Place]) -> Result<HashMap<Key, (TaskRow, Option<i64>)>> {
    let ids: Vec<Vec<u8>> = places.iter().map(|(_, id)| id.0.as_bytes().to_vec()).collect();
    let live: Vec<TaskRow> =
        task::table.filter(task::id.eq_any(&ids)).select(columns!(task, unknown(), nothing())).load(c)?;
    let ended: Vec<HistoryRow> = task_history::table
        .filter(task_history::id.eq_any(&ids))
        .select((columns!(task_history, unknown(), nothing()), task_history::finished_at))
        .load(c)?;
    let live = live.into_iter().map(|row| (row.id, (row, None)));
    Ok(live.chain(ended.into_iter().map(|(row, finished_at)| (row.id, (row, Some(finished_at))))).collect())
}

/// The attempts of a task, the first first. A success has no row of its own: its history row tells it.
pub fn attempts(c: &mut SqliteConnection, id: TaskId) -> Result<Vec<Attempt>> {
    type Row = (i64, i32, Option<Key>, Option<i64>, i64, Option<i64>, i64, i16, Option<String>);
    let key = id.0.as_bytes().to_vec();
    let rows: Vec<Row> = attempt::table
        .filter(attempt::task_id.eq(&key))
        .order(attempt::claim_no)
        .select((
            attempt::claim_no,
            attempt::attempt_no,
            attempt::generation,
            attempt::epoch,
            attempt::due_at,
            attempt::started_at,
            attempt::finished_at,
            attempt::outcome,
            attempt::error,
        ))
        .load(c)?;
    let last_claim = rows.last().map(|row| row.0);
    let mut attempts = Vec::with_capacity(rows.len() + 1);
    for (_, number, owner, epoch, due_at, started_at, finished_at, outcome, error) in rows {
        attempts.push(Attempt {
            attempt: starts(number)?,
            node: owner.map(|owner| node_of(c, owner)).transpose()?.flatten(),
            epoch: epoch.map(Epoch),
            due_at: Timestamp::from_micros(due_at),
            started_at: started_at.map(Timestamp::from_micros),
            finished_at: Timestamp::from_micros(finished_at),
            outcome: AttemptOutcome::from_code(outcome).ok_or_else(|| unreadable("outcome", outcome))?,
            error,
        });
    }
    attempts.extend(success(c, &key, last_claim)?);
    Ok(attempts)
}

/// The successful attempt of a task, unless its claim has a row already.
fn success(c: &mut SqliteConnection, key: &[u8], last_claim: Option<i64>) -> Result<Option<Attempt>> {
    let ended: Option<HistoryRow> = task_history::table
        .filter(task_history::id.eq(key))
        .filter(task_history::state.eq(State::Succeeded.code()))
        .select((columns!(task_history, unknown(), nothing()), task_history::finished_at))
        .first(c)
        .optional()?;
    let Some((row, finished_at)) = ended.filter(|(row, _)| Some(row.claim_no) != last_claim) else { return Ok(None) };
    Ok(Some(Attempt {
        attempt: starts(row.attempt)?,
        node: row.owner.map(|owner| node_of(c, owner)).transpose()?.flatten(),
        epoch: row.epoch.map(Epoch),
        due_at: Timestamp::from_micros(row.due_at),
        started_at: row.started_at.map(Timestamp::from_micros),
        finished_at: Timestamp::from_micros(finished_at),
        outcome: AttemptOutcome::Succeeded,
        error: None,
    }))
}

fn node_of(c: &mut SqliteConnection, owner: Key) -> Result<Option<String>> {
    super::generations::node_of(c, owner.generation())
}
