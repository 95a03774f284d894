//! Counts by state, moved by every transaction that moves a task.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::row::unreadable;
use super::schema::task_count;
use crate::domain::State;
use crate::store::Result;

/// What a transaction changes, gathered so that each state is written once.
#[derive(Debug, Default)]
pub struct Deltas([i64; State::ALL.len()]);

impl Deltas {
    /// A new task.
    pub fn enter(&mut self, state: State) {
        self.add(state, 1);
    }

    /// A task moved.
    pub fn step(&mut self, from: State, to: State) {
        self.add(from, -1);
        self.add(to, 1);
    }

    fn add(&mut self, state: State, by: i64) {
        if let Some(delta) = State::ALL.iter().position(|known| *known == state).and_then(|at| self.0.get_mut(at)) {
            *delta += by;
        }
    }

    /// Writes them.
    pub fn write(self, connection: &mut SqliteConnection) -> Result<()> {
        for (state, delta) in State::ALL.into_iter().zip(self.0).filter(|(_, delta)| *delta != 0) {
            diesel::update(task_count::table.find(state.code()))
                .set(task_count::tasks.eq(task_count::tasks + delta))
                .execute(connection)?;
        }
        Ok(())
    }
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
