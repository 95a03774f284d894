//! What nodes report of themselves.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid};

use super::value::Value;
use crate::domain::figures::Minute;
use crate::domain::time::micros_of;
use crate::domain::{GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::statement::{Words, statement};
use crate::store::written::{from_text, to_text};
use crate::store::{MINUTES_KEPT, Report, Reported, Result};

/// Only of one that is not dead, and that is not declared so meanwhile: its row would stay for ever.
struct Keep;

impl Words for Keep {
    const SQL: &'static str = "INSERT INTO report (generation, reported_at, snapshot, begun_at, figures) \
        SELECT id, now_us(), ?, ?, ? FROM generation WHERE id = ? AND state < 2 FOR SHARE \
        ON CONFLICT (generation) DO UPDATE SET reported_at = excluded.reported_at, snapshot = excluded.snapshot, \
        begun_at = excluded.begun_at, figures = excluded.figures";
    type Row = ();
}

struct EndMinute;

impl Words for EndMinute {
    const SQL: &'static str =
        "INSERT INTO minute (begun_at, generation, figures) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    type Row = ();
}

/// The clock in a statement of its own: only what does not change while it runs can be looked up in an index.
struct ForgetMinutes;

impl Words for ForgetMinutes {
    const SQL: &'static str = "DELETE FROM minute WHERE begun_at < (SELECT now_us()) - ?";
    type Row = ();
}

/// Keeps a report, and the minute that has ended with it. Run in a transaction.
pub fn keep(c: &mut PgConnection, generation: GenerationId, report: &Report) -> Result<()> {
    let key = Value::Key(generation.into());
    let (snapshot, current) = (to_text(&report.snapshot)?, to_text(&report.current.figures)?);
    let begun = Value::Int(report.current.begun_us);
    let values = [Value::Text(&snapshot), begun, Value::Text(&current), key.clone()];
    statement::<Keep, _>(&values).execute(c)?;
    if let Some(ended) = &report.ended {
        let figures = to_text(&ended.figures)?;
        statement::<EndMinute, _>(&[Value::Int(ended.begun_us), key, Value::Text(&figures)]).execute(c)?;
        statement::<ForgetMinutes, _>(&[Value::Int(micros_of(MINUTES_KEPT))]).execute(c)?;
    }
    Ok(())
}

struct LastMinute;

impl Words for LastMinute {
    const SQL: &'static str = "WITH gone AS (DELETE FROM report WHERE generation = ? RETURNING begun_at, generation, figures) \
        INSERT INTO minute (begun_at, generation, figures) SELECT begun_at, generation, figures FROM gone ON CONFLICT DO NOTHING";
    type Row = ();
}

/// A dead generation's last minute has ended with it.
pub fn end(c: &mut PgConnection, generation: GenerationId) -> Result<()> {
    statement::<LastMinute, _>(&[Value::Key(generation.into())]).execute(c)?;
    Ok(())
}

struct All;

impl Words for All {
    const SQL: &'static str = "SELECT generation, now_us() - reported_at, snapshot, begun_at, figures FROM report \
        ORDER BY generation";
    type Row = (Uuid, BigInt, Text, BigInt, Text);
}

/// The last report of each that is not dead.
pub fn all(c: &mut PgConnection) -> Result<Vec<Reported>> {
    let rows: Vec<(Key, i64, String, i64, String)> = statement::<All, Value<'_>>(&[]).load(c)?;
    let reported = |(generation, age_us, snapshot, begun_us, figures): (Key, i64, String, i64, String)| {
        Some(Reported {
            generation: generation.generation(),
            age: Duration::from_micros(u64::try_from(age_us).unwrap_or(0)),
            snapshot: from_text(&snapshot)?,
            current: Minute { begun_us, figures: from_text(&figures)? },
        })
    };
    Ok(rows.into_iter().filter_map(reported).collect())
}

struct Minutes;

impl Words for Minutes {
    const SQL: &'static str = "SELECT begun_at, figures FROM minute WHERE begun_at > ? ORDER BY begun_at, generation";
    type Row = (BigInt, Text);
}

/// The sums of ended minutes that were begun after `since`.
pub fn minutes(c: &mut PgConnection, since: Timestamp) -> Result<Vec<Minute>> {
    let rows: Vec<(i64, String)> = statement::<Minutes, _>(&[Value::Int(since.micros())]).load(c)?;
    let minute = |(begun_us, figures): (i64, String)| Some(Minute { begun_us, figures: from_text(&figures)? });
    Ok(rows.into_iter().filter_map(minute).collect())
}
