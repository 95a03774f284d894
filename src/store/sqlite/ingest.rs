//! How tasks come in.

use diesel::prelude::*;
use diesel::sql_types::Binary;
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::schema::task;
use super::tombstones;
use super::value::{TOGETHER, Value, together};
use crate::domain::tags::tags;
use crate::domain::{NewTask, State, TaskId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::row::NewRow;
use crate::store::statement::{Words, statement};
use crate::store::{Ingested, Result};

/// Takes a batch in. An id enters by the key of `task` first; what history knows is taken out again in the same
/// transaction, so that a redelivered submission of a finished task is never fired again.
pub fn ingest(c: &mut SqliteConnection, batch: &[NewTask], now: Timestamp) -> Result<Vec<Ingested>> {
    let mut deltas = Deltas::default();
    let mut outcomes = Vec::with_capacity(batch.len());
    let cancelled = tombstones::any(c)?;
    for new in batch {
        let mut outcome = enter(c, new, now)?;
        if matches!(outcome, Ingested::Stored(_)) {
            deltas.enter(State::Scheduled);
            if cancelled && tombstones::bury_under(c, new.id, now)? {
                deltas.step(State::Scheduled, State::Cancelled);
                outcome = Ingested::Cancelled;
            }
        }
        outcomes.push(outcome);
    }
    tag(c, batch, &outcomes, now)?;
    counts::write(c, &deltas)?;
    Ok(outcomes)
}

struct Tag;

impl Words for Tag {
    const SQL: &'static str = "INSERT INTO task_tag (tag, created_at, id) VALUES (?, ?, ?)";
    type Row = ();
}

struct TagTogether;

impl Words for TagTogether {
    const SQL: &'static str = concat!("INSERT INTO task_tag (tag, created_at, id) VALUES ", together!("(?, ?, ?)"));
    type Row = ();
}

/// Writes the tags of what was stored, in the order of their keys: each place in the index is looked for once.
fn tag(c: &mut SqliteConnection, batch: &[NewTask], outcomes: &[Ingested], now: Timestamp) -> Result<()> {
    let stored = batch.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_stored());
    let mut rows: Vec<(String, TaskId)> =
        stored.flat_map(|(new, _)| tags(&new.spec).into_iter().map(|tag| (tag, new.id))).collect();
    rows.sort_unstable();
    let (together, rest) = rows.as_chunks::<TOGETHER>();
    for some in together {
        let some: Vec<Value<'_>> = some.iter().flat_map(|row| tag_values(row, now)).collect();
        statement::<TagTogether, _>(&some).execute(c)?;
    }
    for one in rest {
        statement::<Tag, _>(&tag_values(one, now)).execute(c)?;
    }
    Ok(())
}

struct InsertTask;

impl Words for InsertTask {
    const SQL: &'static str = "INSERT INTO task (id, state, due_at, run_at, priority, misfire_ms, claim_no, attempt, \
        accepted_at, created_at, delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint) \
        VALUES (?, 0, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    type Row = ();
}

fn tag_values((tag, id): &(String, TaskId), now: Timestamp) -> [Value<'_>; 3] {
    [Value::Text(tag), Value::Int(now.micros()), Value::Blob(id.0.as_bytes())]
}

struct EndedPrint;

impl Words for EndedPrint {
    const SQL: &'static str = "SELECT fingerprint FROM task_history WHERE id = ?";
    type Row = Binary;
}

struct KnownPrint;

impl Words for KnownPrint {
    const SQL: &'static str = "SELECT fingerprint FROM task WHERE id = ? \
        UNION ALL SELECT fingerprint FROM task_history WHERE id = ?";
    type Row = Binary;
}

/// What is stored under these ids.
pub fn known(c: &mut SqliteConnection, ids: &[TaskId]) -> Result<Vec<(TaskId, Vec<u8>)>> {
    let mut known = Vec::new();
    for id in ids {
        let key = || Value::Blob(id.0.as_bytes());
        let print: Option<Vec<u8>> = statement::<KnownPrint, _>(&[key(), key()]).get_result(c).optional()?;
        known.extend(print.map(|print| (*id, print)));
    }
    Ok(known)
}

/// In the order of the columns of the insert.
fn values<'a>(row: &'a NewRow<'_>, now: Timestamp) -> [Value<'a>; 15] {
    let NewTask { id, run_at, spec, fingerprint, .. } = row.new;
    [
        Value::Blob(id.0.as_bytes()),
        Value::Int(run_at.micros()),
        Value::Int(run_at.micros()),
        Value::Int(i64::from(spec.priority)),
        Value::MaybeInt(row.misfire_ms()),
        Value::MaybeInt(row.accepted_at()),
        Value::Int(now.micros()),
        Value::Int(i64::from(row.delivery())),
        Value::Text(&row.retry),
        Value::Int(row.timeout_ms()),
        Value::Text(&row.target),
        Value::Text(&row.labels),
        Value::Int(i64::from(row.payload_kind())),
        Value::Blob(spec.payload.bytes()),
        Value::Blob(fingerprint),
    ]
}

fn enter(c: &mut SqliteConnection, new: &NewTask, now: Timestamp) -> Result<Ingested> {
    let row = NewRow::of(new)?;
    let id = new.id.0.as_bytes();
    let inserted = statement::<InsertTask, _>(&values(&row, now)).execute(c)?;
    let known: Option<Vec<u8>> = if inserted == 0 {
        Some(task::table.find(id.as_slice()).select(task::fingerprint).first(c)?)
    } else {
        let ended: Option<Vec<u8>> = statement::<EndedPrint, _>(&[Value::Blob(id)]).get_result(c).optional()?;
        if ended.is_some() {
            diesel::delete(task::table.find(id.as_slice())).execute(c)?;
        }
        ended
    };
    Ok(match known {
        None => Ingested::Stored(row.due()),
        Some(fingerprint) if fingerprint == new.fingerprint => Ingested::Same,
        Some(_) => Ingested::Conflict,
    })
}
