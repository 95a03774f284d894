//! Counts by state, moved by every transaction that moves a task.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::schema::task_count;
use crate::domain::State;
use crate::store::Result;
use crate::store::counts::Deltas;
use crate::store::row::unreadable;

/// Writes what a transaction has changed.
pub fn write(connection: &mut SqliteConnection, deltas: &Deltas) -> Result<()> {
    for (state, delta) in deltas.changed() {
        diesel::update(task_count::table.find(state.code()))
            .set(task_count::tasks.eq(task_count::tasks + delta))
            .execute(connection)?;
    }
    Ok(())
}

/// How many tasks stand in each state.
pub fn read(connection: &mut SqliteConnection) -> Result<Vec<(State, u64)>> {
    let rows: Vec<(i16, i64)> = task_count::table.order(task_count::state).load(connection)?;
    rows.into_iter()
        .map(|(code, tasks)| {
            let state = State::from_code(code).ok_or_else(|| unreadable("state", code))?;
            Ok((state, u64::try_from(tasks).map_err(|cause| unreadable("tasks", cause))?))
        })
        .collect()
}
