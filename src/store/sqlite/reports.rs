//! What this node reports of itself: the last report in memory, sums of minutes in the file.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::schema::minute;
use crate::domain::figures::Minute;
use crate::domain::{GenerationId, Timestamp};
use crate::store::written::{from_text, to_text};
use crate::store::{MINUTES_KEPT, Result};

/// Keeps the sums of a minute that has ended.
pub fn end_minute(c: &mut SqliteConnection, of: GenerationId, ended: &Minute, now: Timestamp) -> Result<()> {
    diesel::insert_into(minute::table)
        .values((
            minute::begun_at.eq(ended.begun_us),
            minute::generation.eq(of.0.as_bytes().as_slice()),
            minute::figures.eq(to_text(&ended.figures)?),
        ))
        .on_conflict_do_nothing()
        .execute(c)?;
    diesel::delete(minute::table.filter(minute::begun_at.lt(now.minus(MINUTES_KEPT).micros()))).execute(c)?;
    Ok(())
}

/// The sums of ended minutes that were begun after `since`.
pub fn minutes(c: &mut SqliteConnection, since: Timestamp) -> Result<Vec<Minute>> {
    let rows: Vec<(i64, String)> = minute::table
        .filter(minute::begun_at.gt(since.micros()))
        .order((minute::begun_at, minute::generation))
        .select((minute::begun_at, minute::figures))
        .load(c)?;
    let minute = |(begun_us, figures): (i64, String)| Some(Minute { begun_us, figures: from_text(&figures)? });
    Ok(rows.into_iter().filter_map(minute).collect())
}
