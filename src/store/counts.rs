//! What a transaction changes in the counts by state.

use crate::domain::State;

/// Gathered, so that each state is written once.
#[derive(Debug, Default)]
pub struct Deltas([i64; State::ALL.len()]);

impl Deltas {
    /// A new task.
    pub fn enter(&mut self, state: State) {
        self.add(state, 1);
    }

    /// A task is removed.
    pub fn leave(&mut self, state: State) {
        self.add(state, -1);
    }

    /// A task moved.
    pub fn step(&mut self, from: State, to: State) {
        self.steps(from, to, 1);
    }

    /// So many tasks moved alike.
    pub fn steps(&mut self, from: State, to: State, tasks: usize) {
        let tasks = i64::try_from(tasks).unwrap_or(i64::MAX);
        self.add(from, -tasks);
        self.add(to, tasks);
    }

    /// The states whose counts change, each with its change, in their order.
    pub fn changed(&self) -> impl Iterator<Item = (State, i64)> {
        State::ALL.into_iter().zip(self.0).filter(|(_, delta)| *delta != 0)
    }

    fn add(&mut self, state: State, by: i64) {
        if let Some(delta) = State::ALL.iter().position(|known| *known == state).and_then(|at| self.0.get_mut(at)) {
            *delta += by;
        }
    }
}
