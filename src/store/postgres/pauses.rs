//! Pauses as people begin and end them. Whoever changes one holds the master's fence first: it waits for the claim under way,
//! and the next one finds that the number of changes is another.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::columns::in_time;
use super::value::Value;
use crate::domain::limits::{PAUSES_MAX, WAITING_COUNTED_MAX};
use crate::domain::{Pause, Pauses};
use crate::store::pause_row::{PauseRow, pause as read, pause_columns};
use crate::store::row::unreadable;
use crate::store::statement::{Words, statement};
use crate::store::{Paused, Result};

type PauseColumns =
    (BigInt, Nullable<Text>, Nullable<Text>, Nullable<Text>, BigInt, Nullable<BigInt>, Nullable<BigInt>);

struct Count;

impl Words for Count {
    const SQL: &'static str = "UPDATE master_fence SET pauses = pauses + 1";
    type Row = ();
}

struct Hold;

impl Words for Hold {
    const SQL: &'static str = "SELECT pauses FROM master_fence FOR NO KEY UPDATE";
    type Row = BigInt;
}

/// Waits for the claim under way, whether or not something is to be changed: the fence comes before all other rows.
fn hold(c: &mut PgConnection) -> Result<()> {
    statement::<Hold, Value<'_>>(&[]).get_result::<i64>(c)?;
    Ok(())
}

/// The pauses are others now: a master reads them again, and nothing is claimed before that.
fn count(c: &mut PgConnection) -> Result<()> {
    statement::<Count, Value<'_>>(&[]).execute(c)?;
    Ok(())
}

struct Same;

impl Words for Same {
    const SQL: &'static str = concat!(
        "SELECT ",
        pause_columns!(),
        " FROM pause WHERE label IS NOT DISTINCT FROM ? AND value IS NOT DISTINCT FROM ?"
    );
    type Row = PauseColumns;
}

struct Again;

impl Words for Again {
    const SQL: &'static str = concat!(
        "UPDATE pause SET resumed_at = NULL, per_second = NULL, paused_at = now_us(), reason = coalesce(?, reason) \
         WHERE seq = ? RETURNING ",
        pause_columns!()
    );
    type Row = PauseColumns;
}

struct Standing;

impl Words for Standing {
    const SQL: &'static str = "SELECT count(*) FROM pause";
    type Row = BigInt;
}

struct Begin;

impl Words for Begin {
    const SQL: &'static str = concat!(
        "INSERT INTO pause (label, value, reason, paused_at) VALUES (?, ?, ?, now_us()) RETURNING ",
        pause_columns!()
    );
    type Row = PauseColumns;
}

/// Pauses everything, or what has this label.
pub fn pause(c: &mut PgConnection, label: Option<&(String, String)>, reason: Option<&str>) -> Result<Paused> {
    hold(c)?;
    let (name, value) = label.map(|(name, value)| (name.as_str(), value.as_str())).unzip();
    let (name, value, reason) = (Value::MaybeText(name), Value::MaybeText(value), Value::MaybeText(reason));
    let same: Option<PauseRow> = statement::<Same, _>(&[name.clone(), value.clone()]).get_result(c).optional()?;
    if let Some(known) = same.map(read) {
        if known.is_in_force() {
            return Ok(Paused::Known(known));
        }
        count(c)?;
        let again: PauseRow = statement::<Again, _>(&[reason, Value::Int(known.id)]).get_result(c)?;
        return Ok(Paused::Known(read(again)));
    }
    if statement::<Standing, Value<'_>>(&[]).get_result::<i64>(c)? >= PAUSES_MAX {
        return Ok(Paused::Full);
    }
    count(c)?;
    let new: PauseRow = statement::<Begin, _>(&[name, value, reason]).get_result(c)?;
    Ok(Paused::New(read(new)))
}

struct One;

impl Words for One {
    const SQL: &'static str = concat!("SELECT ", pause_columns!(), " FROM pause WHERE seq = ?");
    type Row = PauseColumns;
}

struct Resume;

impl Words for Resume {
    const SQL: &'static str = concat!(
        "UPDATE pause SET resumed_at = coalesce(resumed_at, now_us()), per_second = ? WHERE seq = ? RETURNING ",
        pause_columns!()
    );
    type Row = PauseColumns;
}

/// Lets what waits for its end go.
pub fn resume(c: &mut PgConnection, pause: i64, per_second: Option<u32>) -> Result<Option<Pause>> {
    hold(c)?;
    let known: Option<PauseRow> = statement::<One, _>(&[Value::Int(pause)]).get_result(c).optional()?;
    let Some(known) = known.map(read) else { return Ok(None) };
    if !known.is_in_force() && known.per_second == per_second {
        return Ok(Some(known));
    }
    let values = [Value::MaybeInt(per_second.map(i64::from)), Value::Int(pause)];
    count(c)?;
    let resumed: PauseRow = statement::<Resume, _>(&values).get_result(c)?;
    Ok(Some(read(resumed)))
}

struct All;

impl Words for All {
    const SQL: &'static str =
        concat!("SELECT pauses, ", pause_columns!(), " FROM master_fence LEFT JOIN pause ON true ORDER BY seq");
    type Row = (
        BigInt,
        Nullable<BigInt>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Nullable<BigInt>,
    );
}

/// All pauses, and the number of their changes, seen at once.
pub fn all(c: &mut PgConnection) -> Result<Pauses> {
    type Row =
        (i64, Option<i64>, Option<String>, Option<String>, Option<String>, Option<i64>, Option<i64>, Option<i64>);
    let rows: Vec<Row> = statement::<All, Value<'_>>(&[]).load(c)?;
    let count = rows.first().map(|row| row.0).ok_or_else(|| unreadable("master_fence", "it has no row"))?;
    let row = |(_, id, label, value, reason, paused_at, resumed_at, per_second): Row| {
        Some(read((id?, label, value, reason, paused_at?, resumed_at, per_second)))
    };
    Ok(Pauses { count, all: rows.into_iter().filter_map(row).collect() })
}

struct Waiting;

impl Words for Waiting {
    const SQL: &'static str = concat!(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM parked WHERE pause = s.seq AND ",
        in_time!("due_at"),
        " LIMIT ?) AS counted) FROM unnest(?) WITH ORDINALITY AS s(seq, place) ORDER BY place"
    );
    type Row = BigInt;
}

/// How many tasks wait for the end of each of these.
pub fn waiting(c: &mut PgConnection, pauses: &[i64]) -> Result<Vec<u64>> {
    let most = i64::try_from(WAITING_COUNTED_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let counts: Vec<i64> = statement::<Waiting, _>(&[Value::Int(most), Value::Ints(pauses.to_vec())]).load(c)?;
    Ok(counts.into_iter().map(|count| u64::try_from(count).unwrap_or(0)).collect())
}
