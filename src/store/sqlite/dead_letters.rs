//! Dead letters, as people ask for them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::SqliteConnection;

use super::schema::{dead_letter, dead_letter_count};
use super::value::Value;
use crate::domain::Timestamp;
use crate::store::buried::BuriedRow;
use crate::store::row::unreadable;
use crate::store::statement::{Words, statement};
use crate::store::{Buried, LETTER_BYTES_SHOWN, Result};

/// The columns of [`BuriedRow`]. A record's length is known without reading it.
macro_rules! buried {
    () => {
        "seq, buried_at, origin, reason, length(record), published, replayed_at"
    };
}

type BuriedColumns = (BigInt, BigInt, Text, Text, BigInt, Bool, Nullable<BigInt>);

struct Page;

impl Words for Page {
    const SQL: &'static str =
        concat!("SELECT ", buried!(), " FROM dead_letter WHERE seq < ? ORDER BY seq DESC LIMIT ?");
    type Row = BuriedColumns;
}

/// Those below `before`, the newest first.
pub fn page(c: &mut SqliteConnection, before: Option<i64>, limit: i64) -> Result<Vec<Buried>> {
    let values = [Value::Int(before.unwrap_or(i64::MAX)), Value::Int(limit)];
    let rows: Vec<BuriedRow> = statement::<Page, _>(&values).load(c)?;
    Ok(rows.into_iter().map(Buried::from).collect())
}

struct Whole;

impl Words for Whole {
    const SQL: &'static str = concat!("SELECT ", buried!(), " FROM dead_letter WHERE seq = ?");
    type Row = BuriedColumns;
}

/// A part of an empty blob is NULL in SQLite.
struct Record;

impl Words for Record {
    const SQL: &'static str = "SELECT coalesce(substr(record, 1, ?), x'') FROM dead_letter WHERE seq = ?";
    type Row = Binary;
}

/// One with its record.
pub fn whole(c: &mut SqliteConnection, id: i64) -> Result<Option<(Buried, Vec<u8>)>> {
    let row: Option<BuriedRow> = statement::<Whole, _>(&[Value::Int(id)]).get_result(c).optional()?;
    let values = [Value::Int(LETTER_BYTES_SHOWN.into()), Value::Int(id)];
    let record: Option<Vec<u8>> = statement::<Record, _>(&values).get_result(c).optional()?;
    Ok(row.map(Buried::from).zip(record))
}

/// It was submitted again; false if it had been before.
pub fn mark_replayed(c: &mut SqliteConnection, id: i64, now: Timestamp) -> Result<bool> {
    let waits = dead_letter::table.find(id).filter(dead_letter::replayed_at.is_null());
    Ok(diesel::update(waits).set(dead_letter::replayed_at.eq(now.micros())).execute(c)? == 1)
}

/// How many there are that were not submitted again.
pub fn count(c: &mut SqliteConnection) -> Result<u64> {
    let letters: i64 = dead_letter_count::table.select(dead_letter_count::letters).first(c)?;
    u64::try_from(letters).map_err(|cause| unreadable("dead_letter_count.letters", cause))
}
