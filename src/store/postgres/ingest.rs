//! How tasks come in: a whole batch by a few statements.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Uuid};

use super::counts::{self, Writer};
use super::tombstones;
use super::value::Value;
use crate::domain::tags::tags;
use crate::domain::{NewTask, State};
use crate::store::counts::Deltas;
use crate::store::key::Key;
use crate::store::row::{NewRow, unreadable};
use crate::store::statement::{Words, statement};
use crate::store::{Ingested, Result};

/// Rows in the order of their keys, as every write of several rows.
struct Insert;

impl Words for Insert {
    const SQL: &'static str = "INSERT INTO task (id, state, due_at, run_at, priority, misfire_ms, claim_no, attempt, \
        accepted_at, created_at, delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint) \
        SELECT id, 0, run_at, run_at, priority, misfire_ms, 0, 0, accepted_at, now_us(), delivery, retry, timeout_ms, target, \
        labels, payload_kind, payload, fingerprint \
        FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AS n(id, run_at, priority, misfire_ms, accepted_at, delivery, retry, \
        timeout_ms, target, labels, payload_kind, payload, fingerprint) \
        ON CONFLICT DO NOTHING RETURNING id, created_at";
    type Row = (Uuid, BigInt);
}

/// What history knows of ids that have just been inserted. A later statement than the insert: seen before it or in the
/// same one, a move to history that commits in between would let the task run again.
struct Ended;

impl Words for Ended {
    const SQL: &'static str = "SELECT id, fingerprint FROM task_history WHERE id = ANY(?) \
        UNION ALL SELECT id, NULL FROM tombstone WHERE id = ANY(?)";
    type Row = (Uuid, Nullable<Binary>);
}

struct TakeOut;

impl Words for TakeOut {
    const SQL: &'static str = "DELETE FROM task WHERE id = ANY(?)";
    type Row = ();
}

/// One statement for both tables: what moves between them is seen in one of them.
struct Known;

impl Words for Known {
    const SQL: &'static str = "SELECT id, fingerprint FROM task WHERE id = ANY(?) \
        UNION ALL SELECT id, fingerprint FROM task_history WHERE id = ANY(?)";
    type Row = (Uuid, Binary);
}

/// What is stored under these ids.
pub fn known(c: &mut PgConnection, ids: Vec<Key>) -> Result<Vec<(Key, Vec<u8>)>> {
    Ok(statement::<Known, _>(&[Value::Keys(ids.clone()), Value::Keys(ids)]).load(c)?)
}

/// Takes a batch in. Of an id that is there twice the first counts.
pub fn ingest(c: &mut PgConnection, writer: Writer, batch: &[NewTask]) -> Result<Vec<Ingested>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows: Vec<NewRow<'_>> = batch.iter().map(NewRow::of).collect::<Result<_>>()?;
    let mut seen = HashSet::with_capacity(rows.len());
    rows.retain(|row| seen.insert(row.new.id));
    rows.sort_by_key(|row| row.new.id);
    let created: Vec<(Key, i64)> = statement::<Insert, _>(&columns_of(&rows)).load(c)?;
    let inserted: Vec<Key> = created.iter().map(|(id, _)| *id).collect();
    let mut stored: HashSet<Key> = inserted.iter().copied().collect();
    let ended: Vec<(Key, Option<Vec<u8>>)> =
        statement::<Ended, _>(&[Value::Keys(inserted.clone()), Value::Keys(inserted)]).load(c)?;
    let mut known: HashMap<Key, Vec<u8>> =
        ended.iter().filter_map(|(id, fingerprint)| Some((*id, fingerprint.clone()?))).collect();
    let cancelled: HashSet<Key> =
        ended.iter().filter(|(_, fingerprint)| fingerprint.is_none()).map(|(id, _)| *id).collect();
    if !known.is_empty() {
        stored.retain(|id| !known.contains_key(id));
        statement::<TakeOut, _>(&[Value::Keys(known.keys().copied().collect())]).execute(c)?;
    }
    let others: Vec<Key> =
        rows.iter().map(|row| row.new.id.into()).filter(|id| !stored.contains(id) && !known.contains_key(id)).collect();
    if !others.is_empty() {
        known.extend(self::known(c, others)?);
    }
    // What comes again in the same batch is compared with its first.
    known.extend(rows.iter().filter(|row| stored.contains(&row.new.id.into())).map(fingerprint));
    let mut deltas = Deltas::default();
    let mut outcomes: Vec<Ingested> =
        batch.iter().map(|new| outcome(new, &mut stored, &known, &mut deltas)).collect::<Result<_>>()?;
    for (new, outcome) in batch.iter().zip(&mut outcomes) {
        if matches!(outcome, Ingested::Stored(_)) && cancelled.contains(&new.id.into()) {
            *outcome = Ingested::Cancelled;
            tombstones::bury_under(c, new.id)?;
            deltas.step(State::Scheduled, State::Cancelled);
        }
    }
    tag(c, batch, &outcomes, &created.into_iter().collect())?;
    counts::write(c, writer, &deltas)?;
    Ok(outcomes)
}

/// Without a look for doubles, which would cost more than all the rest: a row's instant is this transaction's.
struct Tag;

impl Words for Tag {
    const SQL: &'static str = "INSERT INTO task_tag (tag, created_at, id) SELECT * FROM unnest(?, ?, ?)";
    type Row = ();
}

/// Writes the tags of what was stored, with the instants of its rows.
fn tag(c: &mut PgConnection, batch: &[NewTask], outcomes: &[Ingested], created: &HashMap<Key, i64>) -> Result<()> {
    let stored = batch.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_stored());
    let mut rows: Vec<(String, i64, Key)> = Vec::with_capacity(batch.len());
    for (new, _) in stored {
        let id = Key::from(new.id);
        let at = *created.get(&id).ok_or_else(|| unreadable("id", new.id))?;
        rows.extend(tags(&new.spec).into_iter().map(|tag| (tag, at, id)));
    }
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable();
    statement::<Tag, _>(&[
        Value::Texts(rows.iter().map(|(tag, ..)| tag.as_str()).collect()),
        Value::Ints(rows.iter().map(|(_, at, _)| *at).collect()),
        Value::Keys(rows.iter().map(|(.., id)| *id).collect()),
    ])
    .execute(c)?;
    Ok(())
}

/// What became of one submission. The first of a stored id is what was stored; what follows is compared with it.
fn outcome(
    new: &NewTask,
    stored: &mut HashSet<Key>,
    known: &HashMap<Key, Vec<u8>>,
    deltas: &mut Deltas,
) -> Result<Ingested> {
    let id = Key::from(new.id);
    if stored.remove(&id) {
        deltas.enter(State::Scheduled);
        return NewRow::of(new).map(|row| Ingested::Stored(row.due()));
    }
    Ok(match known.get(&id) {
        Some(fingerprint) if *fingerprint == new.fingerprint => Ingested::Same,
        Some(_) => Ingested::Conflict,
        None => return Err(unreadable("id", new.id)),
    })
}

fn fingerprint(row: &NewRow<'_>) -> (Key, Vec<u8>) {
    (row.new.id.into(), row.new.fingerprint.to_vec())
}

fn columns_of<'a>(rows: &'a [NewRow<'a>]) -> [Value<'a>; 13] {
    [
        Value::Keys(rows.iter().map(|row| row.new.id.into()).collect()),
        Value::Ints(rows.iter().map(|row| row.new.run_at.micros()).collect()),
        Value::Smalls(rows.iter().map(|row| i16::from(row.new.spec.priority)).collect()),
        Value::MaybeInts(rows.iter().map(NewRow::misfire_ms).collect()),
        Value::MaybeInts(rows.iter().map(NewRow::accepted_at).collect()),
        Value::Smalls(rows.iter().map(NewRow::delivery).collect()),
        Value::Texts(rows.iter().map(|row| row.retry.as_str()).collect()),
        Value::Ints(rows.iter().map(NewRow::timeout_ms).collect()),
        Value::Texts(rows.iter().map(|row| row.target.as_str()).collect()),
        Value::Texts(rows.iter().map(|row| row.labels.as_str()).collect()),
        Value::Smalls(rows.iter().map(NewRow::payload_kind).collect()),
        Value::Blobs(rows.iter().map(|row| row.new.spec.payload.bytes()).collect()),
        Value::Blobs(rows.iter().map(|row| row.new.fingerprint.as_slice()).collect()),
    ]
}
