//! How a topic is read: offsets as compare-and-set, and dead letters.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::SqliteConnection;

use super::ingest::ingest;
use super::schema::{dead_letter, ingest_offset};
use super::value::Value;
use crate::domain::Timestamp;
use crate::store::statement::{Words, statement};
use crate::store::{DeadLetter, Ingested, LETTER_BYTES_READ, LETTERS_BYTES_READ, Result, Stretch};

/// Takes a stretch in, if its partition's offset is still the expected one.
pub fn ingest_from(c: &mut SqliteConnection, stretch: &Stretch, now: Timestamp) -> Result<Option<Vec<Ingested>>> {
    let offset = &stretch.offset;
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
        Some(from) => {
            let expected = ingest_offset::next_offset.eq(from).and(ingest_offset::stopped.is_null());
            diesel::update(ingest_offset::table.find(key).filter(expected))
                .set(ingest_offset::next_offset.eq(offset.to))
                .execute(c)?
        }
    };
    if moved == 0 {
        return Ok(None);
    }
    let outcomes = ingest(c, &stretch.tasks, now)?;
    bury(c, &stretch.all_letters(&outcomes), now)?;
    Ok(Some(outcomes))
}

/// The look before keeps a record that is read again from using up a number.
fn bury(c: &mut SqliteConnection, letters: &[DeadLetter], now: Timestamp) -> Result<()> {
    for letter in letters {
        let known = dead_letter::table.filter(dead_letter::origin.eq(&letter.origin)).count();
        if known.get_result::<i64>(c)? > 0 {
            continue;
        }
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

/// As many as stay within the bytes, and one. A part of an empty blob is NULL in SQLite.
struct Unpublished;

impl Words for Unpublished {
    const SQL: &'static str = "SELECT seq, origin, reason, coalesce(substr(record, 1, ?), x'') FROM \
        (SELECT seq, origin, reason, record, sum(length(record)) OVER (ORDER BY seq) - length(record) AS before \
        FROM (SELECT seq, origin, reason, record FROM dead_letter WHERE NOT published AND replayed_at IS NULL \
        ORDER BY seq LIMIT ?) AS oldest) \
        AS counted WHERE before <= ? ORDER BY seq";
    type Row = (BigInt, Text, Text, Binary);
}

/// Dead letters that are not in their topic yet.
pub fn unpublished(c: &mut SqliteConnection, limit: i64) -> Result<Vec<(i64, DeadLetter)>> {
    let values = [Value::Int(LETTER_BYTES_READ.into()), Value::Int(limit), Value::Int(LETTERS_BYTES_READ)];
    let rows: Vec<(i64, String, String, Vec<u8>)> = statement::<Unpublished, _>(&values).load(c)?;
    Ok(rows.into_iter().map(|(seq, origin, reason, record)| (seq, DeadLetter { origin, reason, record })).collect())
}

/// They are in their topic.
pub fn mark_published(c: &mut SqliteConnection, letters: &[i64]) -> Result<()> {
    diesel::update(dead_letter::table.filter(dead_letter::seq.eq_any(letters)))
        .set(dead_letter::published.eq(true))
        .execute(c)?;
    Ok(())
}
