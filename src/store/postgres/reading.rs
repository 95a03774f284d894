//! What people ask for: one task, a page of tasks, its attempts. Both tables in one statement.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text};

use super::columns::{TaskColumns, columns};
use super::execution::started;
use super::matching::matching;
use super::parking::show_parked;
use super::value::Value;
use crate::domain::{Attempt, AttemptOutcome, Claim, Epoch, State, Task, TaskId, Timestamp};
use crate::store::row::{TaskRow, starts, unreadable};
use crate::store::statement::{Words, statement};
use crate::store::{Filter, Matching, Page, Result};

/// A row of either table: its columns, when it ended, its node's name, when its running call was started.
type Found = (TaskRow, Option<i64>, Option<String>, Option<i64>);
type FoundColumns = (TaskColumns, Nullable<BigInt>, Nullable<Text>, Nullable<BigInt>);

/// What stands behind the columns: of a live task, and of one that has ended.
macro_rules! from {
    (live) => {
        ", NULL::BIGINT, g.node, (SELECT max(r.started_at) FROM start_record r WHERE t.state = 1 AND r.generation = t.owner \
         AND EXISTS (SELECT 1 FROM unnest(r.ids, r.claim_nos) AS s(id, claim_no) \
         WHERE s.id = t.id AND s.claim_no = t.claim_no)) \
         FROM task t LEFT JOIN generation g ON g.id = t.owner"
    };
    (ended) => {
        ", t.finished_at, g.node, NULL::BIGINT FROM task_history t LEFT JOIN generation g ON g.id = t.owner"
    };
}

struct Find;

impl Words for Find {
    const SQL: &'static str = concat!(
        "SELECT ",
        columns!("t.payload"),
        from!(live),
        " WHERE t.id = ? UNION ALL SELECT ",
        columns!("t.payload"),
        from!(ended),
        " WHERE t.id = ?"
    );
    type Row = FoundColumns;
}

/// One task, wherever it is.
pub fn find(c: &mut PgConnection, id: TaskId) -> Result<Option<Task>> {
    let found: Option<Found> =
        statement::<Find, _>(&[Value::Key(id.into()), Value::Key(id.into())]).get_result(c).optional()?;
    let mut found: Vec<Task> = found.into_iter().map(read).collect::<Result<_>>()?;
    show_parked(c, &mut found)?;
    Ok(found.pop())
}

fn read((row, finished_at, node, running_since): Found) -> Result<Task> {
    let mut task = row.read(finished_at, node)?;
    task.started_at = running_since.map(Timestamp::from_micros).or(task.started_at);
    Ok(task)
}

/// The rows of a page, wherever they are by then.
struct Rows;

impl Words for Rows {
    const SQL: &'static str = concat!(
        "SELECT ",
        columns!("''::BYTEA"),
        ", NULL::BIGINT, g.node FROM task t LEFT JOIN generation g ON g.id = t.owner WHERE t.id = ANY(?) \
         UNION ALL SELECT ",
        columns!("''::BYTEA"),
        ", t.finished_at, g.node FROM task_history t LEFT JOIN generation g ON g.id = t.owner WHERE t.id = ANY(?)"
    );
    type Row = (TaskColumns, Nullable<BigInt>, Nullable<Text>);
}

/// A page of tasks, the newest first, without payloads.
pub fn list(c: &mut PgConnection, filter: &Filter) -> Result<Page> {
    let Matching { tasks: places, next } = matching(c, filter)?;
    let keys = || Value::Keys(places.iter().map(|(_, id)| (*id).into()).collect());
    let rows: Vec<(TaskRow, Option<i64>, Option<String>)> = statement::<Rows, _>(&[keys(), keys()]).load(c)?;
    let mut running = HashMap::new();
    let dispatched = rows.iter().filter(|(row, ..)| row.state == State::Dispatched.code());
    for owner in dispatched.filter_map(|(row, ..)| row.owner).collect::<HashSet<_>>() {
        running.extend(started(c, owner.generation())?);
    }
    let mut tasks = rows
        .into_iter()
        .map(|(row, finished_at, node)| {
            let since = running.get(&Claim { id: row.id.task(), claim_no: row.claim_no }).copied();
            let mut task = row.read(finished_at, node)?;
            task.started_at = since.or(task.started_at);
            Ok(task)
        })
        .collect::<Result<Vec<Task>>>()?;
    // It stood in the wanted state when it was found, and has left it meanwhile.
    tasks.retain(|task| filter.state.is_none_or(|state| task.state == state));
    tasks.sort_unstable_by_key(|task| std::cmp::Reverse((task.created_at, task.id)));
    show_parked(c, &mut tasks)?;
    Ok(Page { tasks, next })
}

struct Attempts;

impl Words for Attempts {
    /// A success has no row of its own: its history row tells it, unless its claim has one already.
    const SQL: &'static str = "SELECT a.attempt, g.node, a.epoch, a.due_at, a.started_at, a.finished_at, a.outcome, a.error \
        FROM (SELECT claim_no, attempt, generation, epoch, due_at, started_at, finished_at, outcome, error FROM attempt \
        WHERE task_id = ? UNION ALL \
        SELECT claim_no, attempt, owner, epoch, due_at, started_at, finished_at, 0::SMALLINT, NULL FROM task_history h \
        WHERE id = ? AND (state = 2) IS TRUE \
        AND (SELECT 1 FROM attempt x WHERE x.task_id = h.id AND x.claim_no = h.claim_no LIMIT 1) IS NULL) a \
        LEFT JOIN generation g ON g.id = a.generation ORDER BY a.claim_no";
    type Row = (Integer, Nullable<Text>, Nullable<BigInt>, BigInt, Nullable<BigInt>, BigInt, SmallInt, Nullable<Text>);
}

/// The attempts of a task, the first first.
pub fn attempts(c: &mut PgConnection, id: TaskId) -> Result<Vec<Attempt>> {
    type Row = (i32, Option<String>, Option<i64>, i64, Option<i64>, i64, i16, Option<String>);
    let rows: Vec<Row> = statement::<Attempts, _>(&[Value::Key(id.into()), Value::Key(id.into())]).load(c)?;
    rows.into_iter()
        .map(|(number, node, epoch, due_at, started_at, finished_at, outcome, error)| {
            Ok(Attempt {
                attempt: starts(number)?,
                node,
                epoch: epoch.map(Epoch),
                due_at: Timestamp::from_micros(due_at),
                started_at: started_at.map(Timestamp::from_micros),
                finished_at: Timestamp::from_micros(finished_at),
                outcome: AttemptOutcome::from_code(outcome).ok_or_else(|| unreadable("outcome", outcome))?,
                error,
            })
        })
        .collect()
}
