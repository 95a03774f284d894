//! Removes what has been finished long enough. What is to go is looked for beside the writer, which then only takes it out:
//! nobody waits for the look.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, SmallInt, Text};
use diesel::sqlite::SqliteConnection;

use super::counts;
use super::value::Value;
use crate::domain::Timestamp;
use crate::store::counts::Deltas;
use crate::store::removal::{FIRST, GoneRow, left};
use crate::store::statement::{Words, statement};
use crate::store::{Ended, Result};

/// Most tasks of a batch: so long the writer is held.
pub const TASKS_MAX: i64 = 100;

struct Old;

impl Words for Old {
    const SQL: &'static str = "SELECT id, state, created_at, target, labels, finished_at FROM task_history \
        WHERE state <> 4 AND (finished_at, id) > (?, ?) AND finished_at < ? ORDER BY finished_at, id LIMIT ?";
    type Row = (Binary, SmallInt, BigInt, Text, Text, BigInt);
}

/// The oldest tasks that ended after `after` and before `until`, as they stand now.
pub fn old(c: &mut SqliteConnection, after: Option<Ended>, until: Timestamp, limit: i64) -> Result<Vec<GoneRow>> {
    let (at, id) = after.unwrap_or(FIRST);
    let (at, id) = (Value::Int(at.micros()), Value::Blob(id.0.as_bytes()));
    Ok(statement::<Old, _>(&[at, id, Value::Int(until.micros()), Value::Int(limit)]).load(c)?)
}

/// As it was seen: what somebody has moved meanwhile is his.
struct RemoveTask;

impl Words for RemoveTask {
    const SQL: &'static str = "DELETE FROM task_history WHERE id = ? AND state = ? AND state <> 4 AND finished_at < ?";
    type Row = ();
}

struct RemoveAttempts;

impl Words for RemoveAttempts {
    const SQL: &'static str = "DELETE FROM attempt WHERE task_id = ?";
    type Row = ();
}

struct RemoveTag;

impl Words for RemoveTag {
    const SQL: &'static str = "DELETE FROM task_tag WHERE tag = ? AND created_at = ? AND id = ?";
    type Row = ();
}

/// Removes those of them that still stand as they were seen; how many.
pub fn remove(c: &mut SqliteConnection, mut old: Vec<GoneRow>, until: Timestamp) -> Result<usize> {
    let mut stands = Vec::with_capacity(old.len());
    for (id, state, ..) in &old {
        let id = Value::Blob(id.0.as_bytes());
        let values = [id, Value::Int(i64::from(*state)), Value::Int(until.micros())];
        let is_gone = statement::<RemoveTask, _>(&values).execute(c)? == 1;
        if is_gone {
            statement::<RemoveAttempts, _>(&[id]).execute(c)?;
        }
        stands.push(is_gone);
    }
    let mut stood = stands.into_iter();
    old.retain(|_| stood.next().unwrap_or(false));
    let mut deltas = Deltas::default();
    let tags = left(&old, &mut deltas);
    for ((tag, created_at), id) in tags.names.iter().zip(&tags.created_at).zip(&tags.ids) {
        let values = [Value::Text(tag), Value::Int(*created_at), Value::Blob(id.0.as_bytes())];
        statement::<RemoveTag, _>(&values).execute(c)?;
    }
    counts::write(c, &deltas)?;
    Ok(old.len())
}

struct OldLetters;

impl Words for OldLetters {
    const SQL: &'static str = "SELECT seq FROM dead_letter WHERE replayed_at IS NOT NULL AND replayed_at < ? \
        ORDER BY replayed_at, seq LIMIT ?";
    type Row = BigInt;
}

/// The oldest dead letters that were submitted again before `until`.
pub fn old_letters(c: &mut SqliteConnection, until: Timestamp, limit: i64) -> Result<Vec<i64>> {
    Ok(statement::<OldLetters, _>(&[Value::Int(until.micros()), Value::Int(limit)]).load(c)?)
}

struct RemoveLetter;

impl Words for RemoveLetter {
    const SQL: &'static str = "DELETE FROM dead_letter WHERE seq = ?";
    type Row = ();
}

/// Removes these dead letters: what was replayed once stays so.
pub fn remove_letters(c: &mut SqliteConnection, letters: &[i64]) -> Result<usize> {
    let mut removed = 0;
    for letter in letters {
        removed += statement::<RemoveLetter, _>(&[Value::Int(*letter)]).execute(c)?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::super::value::plan;
    use super::*;

    #[test]
    fn what_is_old_is_found_by_an_index_in_its_order() {
        for (plan, index) in
            [(plan::<Old>(), "task_history_finished"), (plan::<OldLetters>(), "INDEX dead_letter_replayed")]
        {
            assert!(plan.contains("SEARCH") && plan.contains(index), "{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[test]
    fn what_goes_is_found_by_its_key() {
        for plan in [plan::<RemoveTask>(), plan::<RemoveAttempts>(), plan::<RemoveTag>(), plan::<RemoveLetter>()] {
            assert!(plan.contains("SEARCH") && !plan.contains("SCAN"), "{plan}");
        }
    }
}
