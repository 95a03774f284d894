//! Pauses as people begin and end them. One writer at a time: no claim is under way meanwhile, and the next one finds that the
//! number of changes is another.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::SqliteConnection;

use super::schema::{master_fence, pause as pause_table};
use super::value::Value;
use crate::domain::limits::{PAUSES_MAX, WAITING_COUNTED_MAX};
use crate::domain::{Pause, Pauses, Timestamp};
use crate::store::pause_row::{PauseRow, pause as read, pause_columns};
use crate::store::statement::{Words, statement};
use crate::store::{Paused, Result};

type PauseColumns =
    (BigInt, Nullable<Text>, Nullable<Text>, Nullable<Text>, BigInt, Nullable<BigInt>, Nullable<BigInt>);

struct Count;

impl Words for Count {
    const SQL: &'static str = "UPDATE master_fence SET pauses = pauses + 1";
    type Row = ();
}

/// The pauses are others now: a master reads them again, and nothing is claimed before that.
fn count(c: &mut SqliteConnection) -> Result<()> {
    statement::<Count, Value<'_>>(&[]).execute(c)?;
    Ok(())
}

struct Same;

impl Words for Same {
    const SQL: &'static str = concat!("SELECT ", pause_columns!(), " FROM pause WHERE label IS ? AND value IS ?");
    type Row = PauseColumns;
}

struct Again;

impl Words for Again {
    const SQL: &'static str = concat!(
        "UPDATE pause SET resumed_at = NULL, per_second = NULL, paused_at = ?, reason = coalesce(?, reason) \
         WHERE seq = ? RETURNING ",
        pause_columns!()
    );
    type Row = PauseColumns;
}

struct Begin;

impl Words for Begin {
    const SQL: &'static str =
        concat!("INSERT INTO pause (label, value, reason, paused_at) VALUES (?, ?, ?, ?) RETURNING ", pause_columns!());
    type Row = PauseColumns;
}

/// Pauses everything, or what has this label.
pub fn pause(
    c: &mut SqliteConnection,
    label: Option<&(String, String)>,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Paused> {
    let (name, value) = label.map(|(name, value)| (name.as_str(), value.as_str())).unzip();
    let (name, value) = (Value::MaybeText(name), Value::MaybeText(value));
    let (reason, now) = (Value::MaybeText(reason), Value::Int(now.micros()));
    let same: Option<PauseRow> = statement::<Same, _>(&[name, value]).get_result(c).optional()?;
    if let Some(known) = same.map(read) {
        if known.is_in_force() {
            return Ok(Paused::Known(known));
        }
        count(c)?;
        let again: PauseRow = statement::<Again, _>(&[now, reason, Value::Int(known.id)]).get_result(c)?;
        return Ok(Paused::Known(read(again)));
    }
    if pause_table::table.count().get_result::<i64>(c)? >= PAUSES_MAX {
        return Ok(Paused::Full);
    }
    count(c)?;
    let new: PauseRow = statement::<Begin, _>(&[name, value, reason, now]).get_result(c)?;
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
        "UPDATE pause SET resumed_at = coalesce(resumed_at, ?), per_second = ? WHERE seq = ? RETURNING ",
        pause_columns!()
    );
    type Row = PauseColumns;
}

/// Lets what waits for its end go.
pub fn resume(c: &mut SqliteConnection, pause: i64, per_second: Option<u32>, now: Timestamp) -> Result<Option<Pause>> {
    let known: Option<PauseRow> = statement::<One, _>(&[Value::Int(pause)]).get_result(c).optional()?;
    let Some(known) = known.map(read) else { return Ok(None) };
    if !known.is_in_force() && known.per_second == per_second {
        return Ok(Some(known));
    }
    let values = [Value::Int(now.micros()), Value::MaybeInt(per_second.map(i64::from)), Value::Int(pause)];
    count(c)?;
    let resumed: PauseRow = statement::<Resume, _>(&values).get_result(c)?;
    Ok(Some(read(resumed)))
}

/// All pauses, and the number of their changes, on one snapshot.
pub fn all(c: &mut SqliteConnection) -> Result<Pauses> {
    let count = master_fence::table.select(master_fence::pauses).first(c)?;
    let rows: Vec<PauseRow> = pause_table::table.order(pause_table::seq).load(c)?;
    Ok(Pauses { count, all: rows.into_iter().map(read).collect() })
}

struct Waiting;

impl Words for Waiting {
    const SQL: &'static str = "SELECT count(*) FROM (SELECT 1 FROM parked WHERE pause = ? LIMIT ?)";
    type Row = BigInt;
}

/// How many tasks wait for the end of each of these.
pub fn waiting(c: &mut SqliteConnection, pauses: &[i64]) -> Result<Vec<u64>> {
    let most = i64::try_from(WAITING_COUNTED_MAX).unwrap_or(i64::MAX).saturating_add(1);
    pauses
        .iter()
        .map(|pause| {
            let count: i64 = statement::<Waiting, _>(&[Value::Int(*pause), Value::Int(most)]).get_result(c)?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .collect()
}
