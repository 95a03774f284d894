//! Dead letters, as people ask for them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::value::Value;
use crate::store::buried::BuriedRow;
use crate::store::row::unreadable;
use crate::store::statement::{Words, statement};
use crate::store::{Buried, LETTER_BYTES_SHOWN, Result};

/// The columns of [`BuriedRow`]. A record's length is known without reading it.
macro_rules! buried {
    () => {
        "seq, buried_at, origin, reason, octet_length(record)::BIGINT, published, replayed_at"
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
pub fn page(c: &mut PgConnection, before: Option<i64>, limit: i64) -> Result<Vec<Buried>> {
    let values = [Value::Int(before.unwrap_or(i64::MAX)), Value::Int(limit)];
    let rows: Vec<BuriedRow> = statement::<Page, _>(&values).load(c)?;
    Ok(rows.into_iter().map(Buried::from).collect())
}

struct Whole;

impl Words for Whole {
    const SQL: &'static str = concat!("SELECT ", buried!(), " FROM dead_letter WHERE seq = ?");
    type Row = BuriedColumns;
}

struct Record;

impl Words for Record {
    const SQL: &'static str = "SELECT substr(record, 1, ?) FROM dead_letter WHERE seq = ?";
    type Row = Binary;
}

/// One with its record.
pub fn whole(c: &mut PgConnection, id: i64) -> Result<Option<(Buried, Vec<u8>)>> {
    let row: Option<BuriedRow> = statement::<Whole, _>(&[Value::Int(id)]).get_result(c).optional()?;
    let values = [Value::Integer(LETTER_BYTES_SHOWN), Value::Int(id)];
    let record: Option<Vec<u8>> = statement::<Record, _>(&values).get_result(c).optional()?;
    Ok(row.map(Buried::from).zip(record))
}

struct MarkReplayed;

impl Words for MarkReplayed {
    const SQL: &'static str = "UPDATE dead_letter SET replayed_at = now_us() WHERE seq = ? AND replayed_at IS NULL";
    type Row = ();
}

/// It was submitted again; false if it had been before.
pub fn mark_replayed(c: &mut PgConnection, id: i64) -> Result<bool> {
    Ok(statement::<MarkReplayed, _>(&[Value::Int(id)]).execute(c)? == 1)
}

struct Sum;

impl Words for Sum {
    const SQL: &'static str = "SELECT coalesce(sum(letters), 0)::BIGINT FROM dead_letter_count";
    type Row = BigInt;
}

/// How many there are that were not submitted again.
pub fn count(c: &mut PgConnection) -> Result<u64> {
    let letters: i64 = statement::<Sum, Value<'_>>(&[]).get_result(c)?;
    u64::try_from(letters).map_err(|cause| unreadable("dead_letter_count.letters", cause))
}
