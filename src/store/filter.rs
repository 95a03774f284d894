//! Which tasks people ask for, and the pages they get.

use crate::domain::{State, Task, TaskId, Timestamp};

/// Which tasks a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// Only with all these labels.
    pub labels: Vec<(String, String)>,
    /// Only with this target, as `domain::tags::address` tells it.
    pub target: Option<String>,
    /// Stored at or after.
    pub from: Option<Timestamp>,
    /// Stored before.
    pub to: Option<Timestamp>,
    /// After this one in the order of the list.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// A place in the order of lists: `created_at` and id, the newest first. A task never changes its own.
pub type Place = (Timestamp, TaskId);

/// What a bounded look has found: perhaps fewer than were asked for, even none, though there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// The places of the tasks, the newest first.
    pub tasks: Vec<Place>,
    /// After which the next look goes on; `None` at the end.
    pub next: Option<Place>,
}

impl Matching {
    /// Which they are.
    pub fn ids(&self) -> Vec<TaskId> {
        self.tasks.iter().map(|(_, id)| *id).collect()
    }
}

/// The same with the tasks themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Without payloads, the newest first.
    pub tasks: Vec<Task>,
    /// After which the next page goes on; `None` at the end.
    pub next: Option<Place>,
}
