//! How far each partition of the topic was ingested, and which of them is not read any more.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::schema::ingest_offset;
use crate::store::{Positions, Result, StoppedPartition};

/// How far each partition was ingested.
pub fn offsets(c: &mut SqliteConnection, topic_id: &str) -> Result<Vec<(i32, i64)>> {
    Ok(ingest_offset::table
        .filter(ingest_offset::topic_id.eq(topic_id))
        .select((ingest_offset::topic_partition, ingest_offset::next_offset))
        .order(ingest_offset::topic_partition)
        .load(c)?)
}

/// Notes that a partition is not read any more.
pub fn stop_reading(c: &mut SqliteConnection, stopped: &StoppedPartition) -> Result<bool> {
    let row = ingest_offset::table.find((&stopped.topic_id, stopped.partition));
    let changed = diesel::update(row.filter(ingest_offset::next_offset.eq(stopped.next)))
        .set(ingest_offset::stopped.eq(&stopped.reason))
        .execute(c)?;
    Ok(changed > 0)
}

/// What is not read any more.
pub fn stopped(c: &mut SqliteConnection, topic_id: &str) -> Result<Vec<StoppedPartition>> {
    let rows: Vec<(i32, i64, String)> = ingest_offset::table
        .filter(ingest_offset::topic_id.eq(topic_id).and(ingest_offset::stopped.is_not_null()))
        .select((ingest_offset::topic_partition, ingest_offset::next_offset, ingest_offset::stopped.assume_not_null()))
        .order(ingest_offset::topic_partition)
        .load(c)?;
    let one = |(partition, next, reason)| StoppedPartition { topic_id: topic_id.to_owned(), partition, next, reason };
    Ok(rows.into_iter().map(one).collect())
}

/// Sets offsets, whatever they were; what was stopped is read again, since the new row has nothing of the old one.
pub fn set_offsets(c: &mut SqliteConnection, positions: &Positions) -> Result<()> {
    for (partition, next) in &positions.ends {
        diesel::replace_into(ingest_offset::table)
            .values((
                ingest_offset::topic_id.eq(&positions.topic_id),
                ingest_offset::topic_partition.eq(partition),
                ingest_offset::next_offset.eq(next),
            ))
            .execute(c)?;
    }
    Ok(())
}
