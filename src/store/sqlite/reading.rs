//! What people ask for: one task, a page of tasks, its attempts. Both tables on one snapshot.

use std::collections::{HashMap, HashSet};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Text};
use diesel::sqlite::SqliteConnection;

use super::columns::columns;
use super::execution::started;
use super::parking::show_parked;
use super::schema::{attempt, generation, task, task_history};
use crate::domain::{Attempt, AttemptOutcome, Claim, Epoch, State, Task, TaskId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{HistoryRow, TaskRow, starts, unreadable};
use crate::store::{Filter, IdPage, Result};

/// Names of nodes by generation.
type Nodes = HashMap<Key, String>;

/// One task, wherever it is.
pub fn find(c: &mut SqliteConnection, id: TaskId) -> Result<Option<Task>> {
    let key = id.0.as_bytes().to_vec();
    let live: Option<TaskRow> = task::table.find(&key).select(columns!(task, task::payload)).first(c).optional()?;
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
        .select((columns!(task_history, task_history::payload), task_history::finished_at))
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
pub fn list(c: &mut SqliteConnection, filter: &Filter) -> Result<Vec<Task>> {
    let nodes: Nodes = generation::table.select((generation::id, generation::node)).load(c)?.into_iter().collect();
    let mut found = Vec::new();
    if filter.state.is_none_or(State::is_live) {
        found.extend(live_page(c, filter)?.into_iter().map(|row| (row, None)));
    }
    if !filter.state.is_some_and(State::is_live) {
        found.extend(history_page(c, filter)?.into_iter().map(|(row, finished_at)| (row, Some(finished_at))));
    }
    found.sort_by_key(|(row, _)| std::cmp::Reverse((row.created_at, row.id)));
    found.truncate(filter.limit);
    let mut running = HashMap::new();
    for owner in found.iter().filter_map(|(row, _)| running_owner(row)).collect::<HashSet<_>>() {
        for (at, claims) in started(c, owner.generation())? {
            running.extend(claims.into_iter().map(|claim| (claim, at)));
        }
    }
    let mut tasks: Vec<Task> = found
        .into_iter()
        .map(|(row, finished_at)| {
            let node = row.owner.and_then(|owner| nodes.get(&owner)).cloned();
            let since = running.get(&Claim { id: row.id.task(), claim_no: row.claim_no }).copied();
            let mut task = row.read(finished_at, node)?;
            task.started_at = since.or(task.started_at);
            Ok(task)
        })
        .collect::<Result<_>>()?;
    show_parked(c, &mut tasks)?;
    Ok(tasks)
}

/// One of the two pages: the same conditions on either table. The payload stays where it is.
macro_rules! page {
    ($table:ident, $filter:expr, $select:expr) => {{
        let mut query = $table::table.select($select).into_boxed();
        if let Some(state) = $filter.state {
            query = query.filter($table::state.eq(state.code()));
            if state != State::Succeeded {
                // In the words of the partial index of the exceptional ones, which is taken for no others.
                query = query.filter(sql::<Bool>(concat!(stringify!($table), ".state <> 2")));
            }
        }
        if let Some(from) = $filter.from {
            query = query.filter($table::created_at.ge(from.micros()));
        }
        if let Some(to) = $filter.to {
            query = query.filter($table::created_at.lt(to.micros()));
        }
        if let Some((at, id)) = $filter.after {
            let ties = $table::created_at.lt(at.micros()).or($table::id.lt(id.0.as_bytes().to_vec()));
            query = query.filter($table::created_at.le(at.micros())).filter(ties);
        }
        for (name, value) in &$filter.labels {
            let has = concat!("EXISTS (SELECT 1 FROM json_each(", stringify!($table), ".labels) l WHERE l.key = ");
            query = query
                .filter(sql::<Bool>(has).bind::<Text, _>(name).sql(" AND l.value = ").bind::<Text, _>(value).sql(")"));
        }
        query
            .order(($table::created_at.desc(), $table::id.desc()))
            .limit(i64::try_from($filter.limit).unwrap_or(i64::MAX))
    }};
}

fn live_page(c: &mut SqliteConnection, filter: &Filter) -> Result<Vec<TaskRow>> {
    Ok(page!(task, filter, columns!(task, sql::<Binary>("x''"))).load(c)?)
}

fn history_page(c: &mut SqliteConnection, filter: &Filter) -> Result<Vec<HistoryRow>> {
    let select = (columns!(task_history, sql::<Binary>("x''")), task_history::finished_at);
    Ok(page!(task_history, filter, select).load(c)?)
}

/// The same page with nothing but what a list goes by.
pub fn ids(c: &mut SqliteConnection, filter: &Filter) -> Result<IdPage> {
    let mut read: Vec<(i64, Key)> = Vec::new();
    if filter.state.is_none_or(State::is_live) {
        read.extend(page!(task, filter, (task::created_at, task::id)).load::<(i64, Key)>(c)?);
    }
    if !filter.state.is_some_and(State::is_live) {
        read.extend(page!(task_history, filter, (task_history::created_at, task_history::id)).load::<(i64, Key)>(c)?);
    }
    read.sort_unstable_by_key(|place| std::cmp::Reverse(*place));
    read.truncate(filter.limit);
    let read: Vec<_> = read.into_iter().map(|(at, id)| (Timestamp::from_micros(at), id.task())).collect();
    Ok(IdPage::of(&read, filter.limit))
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
        .select((columns!(task_history, sql::<Binary>("x''")), task_history::finished_at))
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
