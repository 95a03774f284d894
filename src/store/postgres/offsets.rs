//! How far each partition of the topic was ingested, and which of them is not read any more.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};

use super::value::Value;
use crate::store::statement::{Words, statement};
use crate::store::{Positions, Result, StoppedPartition};

struct Offsets;

impl Words for Offsets {
    const SQL: &'static str = "SELECT topic_partition, next_offset FROM ingest_offset WHERE topic_id = ? \
        ORDER BY topic_partition";
    type Row = (Integer, BigInt);
}

/// How far each partition was ingested.
pub fn offsets(c: &mut PgConnection, topic_id: &str) -> Result<Vec<(i32, i64)>> {
    Ok(statement::<Offsets, _>(&[Value::Text(topic_id)]).load(c)?)
}

struct Stop;

impl Words for Stop {
    const SQL: &'static str = "UPDATE ingest_offset SET stopped = ? \
        WHERE topic_id = ? AND topic_partition = ? AND next_offset = ?";
    type Row = ();
}

/// Notes that a partition is not read any more.
pub fn stop_reading(c: &mut PgConnection, stopped: &StoppedPartition) -> Result<bool> {
    let (topic, partition) = (Value::Text(&stopped.topic_id), Value::Integer(stopped.partition));
    let values = [Value::Text(&stopped.reason), topic, partition, Value::Int(stopped.next)];
    Ok(statement::<Stop, _>(&values).execute(c)? > 0)
}

struct Stopped;

impl Words for Stopped {
    const SQL: &'static str = "SELECT topic_partition, next_offset, stopped FROM ingest_offset \
        WHERE topic_id = ? AND stopped IS NOT NULL ORDER BY topic_partition";
    type Row = (Integer, BigInt, Text);
}

/// What is not read any more.
pub fn stopped(c: &mut PgConnection, topic_id: &str) -> Result<Vec<StoppedPartition>> {
    let rows: Vec<(i32, i64, String)> = statement::<Stopped, _>(&[Value::Text(topic_id)]).load(c)?;
    let one = |(partition, next, reason)| StoppedPartition { topic_id: topic_id.to_owned(), partition, next, reason };
    Ok(rows.into_iter().map(one).collect())
}

struct SetOffsets;

impl Words for SetOffsets {
    const SQL: &'static str = "INSERT INTO ingest_offset (topic_id, topic_partition, next_offset) \
        SELECT ?, n.partition, n.next FROM unnest(?, ?) AS n(partition, next) ORDER BY n.partition \
        ON CONFLICT (topic_id, topic_partition) DO UPDATE SET next_offset = excluded.next_offset, stopped = NULL";
    type Row = ();
}

/// Sets offsets, whatever they were; what was stopped is read again.
pub fn set_offsets(c: &mut PgConnection, positions: &Positions) -> Result<()> {
    statement::<SetOffsets, _>(&[
        Value::Text(&positions.topic_id),
        Value::Integers(positions.ends.iter().map(|(partition, _)| *partition).collect()),
        Value::Ints(positions.ends.iter().map(|(_, next)| *next).collect()),
    ])
    .execute(c)?;
    Ok(())
}
