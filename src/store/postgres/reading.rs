//! What people ask for: one task, a page of tasks, its attempts. Both tables in one statement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text, Uuid};

use super::columns::{TaskColumns, columns};
use super::parking::show_parked;
use super::value::Value;
use crate::domain::{Attempt, AttemptOutcome, Epoch, State, Task, TaskId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{TaskRow, starts, unreadable};
use crate::store::statement::{Composed, Words, statement};
use crate::store::{Filter, IdPage, Result};

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

/// A page of tasks, the newest first, without payloads.
pub fn list(c: &mut PgConnection, filter: &Filter) -> Result<Vec<Task>> {
    let mut pages: Composed<Value<'_>, FoundColumns> = Composed::new();
    pages.and("SELECT * FROM (", []);
    let (live, ended) = (filter.state.is_none_or(State::is_live), !filter.state.is_some_and(State::is_live));
    if live {
        page(&mut pages, concat!("(SELECT ", columns!("''::BYTEA"), from!(live)), filter);
    }
    if live && ended {
        pages.and(" UNION ALL ", []);
    }
    if ended {
        page(&mut pages, concat!("(SELECT ", columns!("''::BYTEA"), from!(ended)), filter);
    }
    // By the numbers of their columns: when it was made, and its id.
    pages.and(") AS pages ORDER BY 11 DESC, 1 DESC LIMIT ?", [limit_of(filter)]);
    let mut tasks: Vec<Task> = pages.load::<Found>(c)?.into_iter().map(read).collect::<Result<_>>()?;
    show_parked(c, &mut tasks)?;
    Ok(tasks)
}

fn limit_of(filter: &Filter) -> Value<'static> {
    Value::Int(i64::try_from(filter.limit).unwrap_or(i64::MAX))
}

/// One of the two pages: the same conditions on either table.
fn page<'a, R>(pages: &mut Composed<Value<'a>, R>, select: &str, filter: &'a Filter) {
    pages.and(select, []);
    pages.and(" WHERE true", []);
    if let Some(state) = filter.state {
        pages.and(" AND t.state = ?", [Value::Small(state.code())]);
    }
    if let Some(from) = filter.from {
        pages.and(" AND t.created_at >= ?", [Value::Int(from.micros())]);
    }
    if let Some(to) = filter.to {
        pages.and(" AND t.created_at < ?", [Value::Int(to.micros())]);
    }
    if let Some((at, id)) = filter.after {
        pages.and(" AND (t.created_at, t.id) < (?, ?)", [Value::Int(at.micros()), Value::Key(id.into())]);
    }
    for (name, value) in &filter.labels {
        pages.and(" AND t.labels::JSONB ->> ? = ?", [Value::Text(name), Value::Text(value)]);
    }
    pages.and(" ORDER BY t.created_at DESC, t.id DESC LIMIT ?)", [limit_of(filter)]);
}

/// The same page with nothing but what a list goes by.
pub fn ids(c: &mut PgConnection, filter: &Filter) -> Result<IdPage> {
    let mut pages: Composed<Value<'_>, (BigInt, Uuid)> = Composed::new();
    let (live, ended) = (filter.state.is_none_or(State::is_live), !filter.state.is_some_and(State::is_live));
    pages.and("SELECT * FROM (", []);
    if live {
        page(&mut pages, "(SELECT t.created_at, t.id FROM task t", filter);
    }
    if live && ended {
        pages.and(" UNION ALL ", []);
    }
    if ended {
        page(&mut pages, "(SELECT t.created_at, t.id FROM task_history t", filter);
    }
    pages.and(") AS pages ORDER BY 1 DESC, 2 DESC LIMIT ?", [limit_of(filter)]);
    let read: Vec<(i64, Key)> = pages.load(c)?;
    let read: Vec<_> = read.into_iter().map(|(at, id)| (Timestamp::from_micros(at), id.task())).collect();
    Ok(IdPage::of(&read, filter.limit))
}

struct Attempts;

impl Words for Attempts {
    /// A success has no row of its own: its history row tells it, unless its claim has one already.
    const SQL: &'static str = "SELECT a.attempt, g.node, a.epoch, a.due_at, a.started_at, a.finished_at, a.outcome, a.error \
        FROM (SELECT claim_no, attempt, generation, epoch, due_at, started_at, finished_at, outcome, error FROM attempt \
        WHERE task_id = ? UNION ALL \
        SELECT claim_no, attempt, owner, epoch, due_at, started_at, finished_at, 0::SMALLINT, NULL FROM task_history h \
        WHERE id = ? AND state = 2 \
        AND NOT EXISTS (SELECT 1 FROM attempt x WHERE x.task_id = h.id AND x.claim_no = h.claim_no)) a \
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
