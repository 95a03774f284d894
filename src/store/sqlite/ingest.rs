//! How tasks come in.

use diesel::prelude::*;
use diesel::sql_types::Binary;
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::schema::{dead_letter, ingest_offset, task};
use super::value::Value;
use crate::domain::{NewTask, State, Timestamp};
use crate::store::counts::Deltas;
use crate::store::row::{NewRow, unreadable};
use crate::store::statement::{Words, statement};
use crate::store::{DeadLetter, Ingested, OffsetMove, Result};

/// Takes a batch in. An id enters by the key of `task` first; what history knows is taken out again in the same
/// transaction, so that a redelivered submission of a finished task is never fired again.
pub fn ingest(c: &mut SqliteConnection, batch: &[NewTask], now: Timestamp) -> Result<Vec<Ingested>> {
    let mut deltas = Deltas::default();
    let mut outcomes = Vec::with_capacity(batch.len());
    for new in batch {
        let outcome = enter(c, new, now)?;
        if matches!(outcome, Ingested::Stored(_)) {
            deltas.enter(State::Scheduled);
        }
        outcomes.push(outcome);
    }
    counts::write(c, &deltas)?;
    Ok(outcomes)
}

struct InsertTask;

impl Words for InsertTask {
    const SQL: &'static str = "INSERT INTO task (id, state, due_at, run_at, priority, misfire_ms, claim_no, attempt, \
        created_at, delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint) \
        VALUES (?, 0, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    type Row = ();
}

struct EndedPrint;

impl Words for EndedPrint {
    const SQL: &'static str = "SELECT fingerprint FROM task_history WHERE id = ?";
    type Row = Binary;
}

/// In the order of the columns of the insert.
fn values<'a>(row: &'a NewRow<'_>, now: Timestamp) -> [Value<'a>; 14] {
    let NewTask { id, run_at, spec, fingerprint } = row.new;
    [
        Value::Blob(id.0.as_bytes()),
        Value::Int(run_at.micros()),
        Value::Int(run_at.micros()),
        Value::Int(i64::from(spec.priority)),
        Value::MaybeInt(row.misfire_ms()),
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

/// The same for a batch of a topic, if its partition's offset is still the expected one.
pub fn ingest_from(
    c: &mut SqliteConnection,
    offset: &OffsetMove,
    batch: &[NewTask],
    now: Timestamp,
) -> Result<Option<Vec<Ingested>>> {
    let key = (&offset.topic_id, offset.partition);
    let moved = match offset.from {
        None => diesel::insert_into(ingest_offset::table)
            .values((
                ingest_offset::topic_id.eq(&offset.topic_id),
                ingest_offset::topic_partition.eq(offset.partition),
                ingest_offset::next_offset.eq(offset.to),
            ))
            .on_conflict_do_nothing()
            .execute(c)?,
        Some(from) => diesel::update(ingest_offset::table.find(key).filter(ingest_offset::next_offset.eq(from)))
            .set(ingest_offset::next_offset.eq(offset.to))
            .execute(c)?,
    };
    if moved == 0 {
        return Ok(None);
    }
    ingest(c, batch, now).map(Some)
}

/// How far each partition was ingested.
pub fn offsets(c: &mut SqliteConnection, topic_id: &str) -> Result<Vec<(i32, i64)>> {
    Ok(ingest_offset::table
        .filter(ingest_offset::topic_id.eq(topic_id))
        .select((ingest_offset::topic_partition, ingest_offset::next_offset))
        .order(ingest_offset::topic_partition)
        .load(c)?)
}

/// Keeps records that could not be read.
pub fn bury(c: &mut SqliteConnection, letters: &[DeadLetter], now: Timestamp) -> Result<()> {
    for letter in letters {
        diesel::insert_into(dead_letter::table)
            .values((
                dead_letter::buried_at.eq(now.micros()),
                dead_letter::origin.eq(&letter.origin),
                dead_letter::reason.eq(&letter.reason),
                dead_letter::record.eq(&letter.record),
            ))
            .execute(c)?;
    }
    Ok(())
}

/// How many there are: the newest number less the oldest, since they go in order. Each of the two is one look at an end of
/// the table; asked for together, they would read all of it.
pub fn dead_letters(c: &mut SqliteConnection) -> Result<u64> {
    use diesel::dsl::{max, min};
    let first: Option<i64> = dead_letter::table.select(min(dead_letter::seq)).first(c)?;
    let last: Option<i64> = dead_letter::table.select(max(dead_letter::seq)).first(c)?;
    let count = first.zip(last).map_or(0, |(first, last)| last - first + 1);
    u64::try_from(count).map_err(|cause| unreadable("dead_letter.seq", cause))
}
