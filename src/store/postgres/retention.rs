//! Removes what has been finished long enough, under no fence: whoever else removes the same finds it gone.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt, Text, Uuid};

use super::columns::by_key;
use super::counts::{self, Writer};
use super::value::Value;
use crate::domain::time::micros_of;
use crate::store::counts::Deltas;
use crate::store::removal::{FIRST, GoneRow, LETTERS_MAX, last, left};
use crate::store::statement::{Words, statement};
use crate::store::{Ended, Removed, Result};

/// Most tasks of a batch.
const TASKS_MAX: i64 = 500;

/// From where the last batch has ended: what is removed is in the index still, as long as anybody may see it.
/// The clock is read once, and so bounds the index; read for each row it could not. A row that somebody moves just now is
/// his.
struct RemoveTasks;

impl Words for RemoveTasks {
    const SQL: &'static str = concat!(
        "WITH old AS MATERIALIZED (SELECT id AS old_id FROM task_history \
         WHERE state <> 4 AND (finished_at, id) > (?, ?) AND finished_at < (SELECT now_us() - ?) ORDER BY finished_at, id \
         LIMIT ? FOR UPDATE SKIP LOCKED) \
         DELETE FROM task_history h USING old WHERE ",
        by_key!("h.id", "old_id"),
        " RETURNING h.id, h.state, h.created_at, h.target, h.labels, h.finished_at"
    );
    type Row = (Uuid, SmallInt, BigInt, Text, Text, BigInt);
}

struct RemoveAttempts;

impl Words for RemoveAttempts {
    const SQL: &'static str = "DELETE FROM attempt WHERE task_id = ANY(?)";
    type Row = ();
}

/// Each by its whole key (OFFSET 0 lets nobody join them otherwise): a plan that was made on an empty table would read all of it.
struct RemoveTags;

impl Words for RemoveTags {
    const SQL: &'static str = "DELETE FROM task_tag WHERE ctid = ANY (ARRAY(SELECT found.place \
        FROM unnest(?, ?, ?) AS gone(tag, created_at, id), LATERAL (SELECT x.ctid AS place FROM task_tag x \
        WHERE x.tag = gone.tag AND x.created_at = gone.created_at AND x.id = gone.id OFFSET 0) AS found))";
    type Row = ();
}

struct RemoveLetters;

impl Words for RemoveLetters {
    const SQL: &'static str = concat!(
        "WITH old AS MATERIALIZED (SELECT seq AS old_seq FROM dead_letter \
         WHERE replayed_at IS NOT NULL AND replayed_at < (SELECT now_us() - ?) \
         ORDER BY replayed_at, seq LIMIT ? FOR UPDATE SKIP LOCKED) \
         DELETE FROM dead_letter d USING old WHERE ",
        by_key!("d.seq", "old_seq")
    );
    type Row = ();
}

/// One batch. Its commit waits for no disk: if the server forgets it, the same is removed again.
pub fn remove(
    c: &mut PgConnection,
    writer: Writer,
    after: Option<Ended>,
    kept: Duration,
    limit: i64,
) -> Result<(Removed, Option<Ended>)> {
    c.batch_execute("SET LOCAL synchronous_commit = off")?;
    let (age, limit, letters_limit) = (Value::Int(micros_of(kept)), limit.min(TASKS_MAX), limit.min(LETTERS_MAX));
    let (at, id) = after.unwrap_or(FIRST);
    let values = [Value::Int(at.micros()), Value::Key(id.into()), age.clone(), Value::Int(limit)];
    let mut gone: Vec<GoneRow> = statement::<RemoveTasks, _>(&values).load(c)?;
    if !gone.is_empty() {
        gone.sort_unstable_by_key(|(id, ..)| *id);
        let mut deltas = Deltas::default();
        let tags = left(&gone, &mut deltas);
        statement::<RemoveAttempts, _>(&[Value::Keys(gone.iter().map(|(id, ..)| *id).collect())]).execute(c)?;
        statement::<RemoveTags, _>(&[
            Value::Texts(tags.names.iter().map(String::as_str).collect()),
            Value::Ints(tags.created_at),
            Value::Keys(tags.ids),
        ])
        .execute(c)?;
        counts::write(c, writer, &deltas)?;
    }
    let dead_letters = statement::<RemoveLetters, _>(&[age, Value::Int(letters_limit)]).execute(c)?;
    let is_full = |removed: usize, limit: i64| i64::try_from(removed).is_ok_and(|removed| removed >= limit);
    let more = is_full(gone.len(), limit) || is_full(dead_letters, letters_limit);
    Ok((Removed { tasks: gone.len(), dead_letters, more }, last(&gone).or(after)))
}
