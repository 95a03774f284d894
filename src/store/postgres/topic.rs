//! How a topic is read: offsets as compare-and-set, and dead letters.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};

use super::counts::Writer;
use super::ingest::ingest;
use super::value::Value;
use crate::store::statement::{Words, statement};
use crate::store::{DeadLetter, Ingested, LETTER_BYTES_READ, LETTERS_BYTES_READ, Result, Stretch};

struct FirstOffset;

impl Words for FirstOffset {
    const SQL: &'static str = "INSERT INTO ingest_offset (topic_id, topic_partition, next_offset) VALUES (?, ?, ?) \
        ON CONFLICT DO NOTHING";
    type Row = ();
}

struct MoveOffset;

impl Words for MoveOffset {
    const SQL: &'static str = "UPDATE ingest_offset SET next_offset = ? \
        WHERE topic_id = ? AND topic_partition = ? AND next_offset = ? AND stopped IS NULL";
    type Row = ();
}

/// Takes a stretch in, if its partition's offset is still the expected one.
pub fn ingest_from(c: &mut PgConnection, writer: Writer, stretch: &Stretch) -> Result<Option<Vec<Ingested>>> {
    let offset = &stretch.offset;
    let (topic, partition, to) =
        (Value::Text(&offset.topic_id), Value::Integer(offset.partition), Value::Int(offset.to));
    let moved = match offset.from {
        None => statement::<FirstOffset, _>(&[topic, partition, to]).execute(c)?,
        Some(from) => statement::<MoveOffset, _>(&[to, topic, partition, Value::Int(from)]).execute(c)?,
    };
    if moved == 0 {
        return Ok(None);
    }
    let outcomes = ingest(c, writer, &stretch.tasks)?;
    bury(c, &stretch.all_letters(&outcomes))?;
    Ok(Some(outcomes))
}

/// The look before keeps a record that is read again from using up a number.
struct Bury;

impl Words for Bury {
    const SQL: &'static str = "INSERT INTO dead_letter (buried_at, origin, reason, record) \
        SELECT now_us(), origin, reason, record FROM unnest(?, ?, ?) AS n(origin, reason, record) \
        WHERE (SELECT 1 FROM dead_letter d WHERE d.origin = n.origin LIMIT 1) IS NULL ON CONFLICT DO NOTHING";
    type Row = ();
}

fn bury(c: &mut PgConnection, letters: &[DeadLetter]) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    statement::<Bury, _>(&[
        Value::Texts(letters.iter().map(|letter| letter.origin.as_str()).collect()),
        Value::Texts(letters.iter().map(|letter| letter.reason.as_str()).collect()),
        Value::Blobs(letters.iter().map(|letter| letter.record.as_slice()).collect()),
    ])
    .execute(c)?;
    Ok(())
}

/// As many as stay within the bytes, and one. A letter's size is known without reading all of it.
struct Unpublished;

impl Words for Unpublished {
    const SQL: &'static str = "SELECT seq, origin, reason, substr(record, 1, ?) FROM \
        (SELECT seq, origin, reason, record, sum(octet_length(record)) OVER (ORDER BY seq) - octet_length(record) AS before \
        FROM (SELECT seq, origin, reason, record FROM dead_letter WHERE NOT published AND replayed_at IS NULL \
        ORDER BY seq LIMIT ?) AS oldest) \
        AS counted WHERE before <= ? ORDER BY seq";
    type Row = (BigInt, Text, Text, Binary);
}

/// Dead letters that are not in their topic yet.
pub fn unpublished(c: &mut PgConnection, limit: i64) -> Result<Vec<(i64, DeadLetter)>> {
    let values = [Value::Integer(LETTER_BYTES_READ), Value::Int(limit), Value::Int(LETTERS_BYTES_READ)];
    let rows: Vec<(i64, String, String, Vec<u8>)> = statement::<Unpublished, _>(&values).load(c)?;
    Ok(rows.into_iter().map(|(seq, origin, reason, record)| (seq, DeadLetter { origin, reason, record })).collect())
}

struct MarkPublished;

impl Words for MarkPublished {
    const SQL: &'static str = "UPDATE dead_letter SET published = TRUE WHERE seq = ANY(?)";
    type Row = ();
}

/// They are in their topic.
pub fn mark_published(c: &mut PgConnection, letters: &[i64]) -> Result<()> {
    statement::<MarkPublished, _>(&[Value::Ints(letters.to_vec())]).execute(c)?;
    Ok(())
}
