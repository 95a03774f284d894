//! What was accepted here and is not stored yet: so that a task asked for right after its submission is never said not to
//! exist.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::TaskId;

/// Most that are remembered; beyond, nothing is accepted until the ingest has caught up.
pub const ACCEPTED_MAX: usize = 200_000;

/// Tasks by where their records are in the topic.
#[derive(Debug, Default)]
pub struct Accepted {
    places: Mutex<HashMap<TaskId, (i32, i64)>>,
}

impl Accepted {
    /// There is room for so many more.
    pub fn has_room(&self, more: usize) -> bool {
        self.places().len().saturating_add(more) <= ACCEPTED_MAX
    }

    /// Its record is there.
    pub fn remember(&self, id: TaskId, partition: i32, offset: i64) {
        self.places().insert(id, (partition, offset));
    }

    /// It is perhaps not stored yet.
    pub fn contains(&self, id: TaskId) -> bool {
        self.places().contains_key(&id)
    }

    /// What lies before these offsets is stored.
    pub fn forget(&self, offsets: &[(i32, i64)]) {
        let next = |partition: i32| offsets.iter().find(|(one, _)| *one == partition).map_or(0, |(_, next)| *next);
        self.places().retain(|_, (partition, offset)| *offset >= next(*partition));
    }

    fn places(&self) -> MutexGuard<'_, HashMap<TaskId, (i32, i64)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_stored_is_forgotten() {
        let (accepted, id) = (Accepted::default(), |n| TaskId(Uuid::from_u128(n)));
        accepted.remember(id(1), 0, 4);
        accepted.remember(id(2), 0, 5);
        accepted.remember(id(3), 1, 0);
        accepted.forget(&[(0, 5)]);
        assert!(!accepted.contains(id(1)) && accepted.contains(id(2)) && accepted.contains(id(3)));
    }

    #[test]
    fn room_ends() {
        let accepted = Accepted::default();
        assert!(accepted.has_room(ACCEPTED_MAX));
        accepted.remember(TaskId(Uuid::from_u128(1)), 0, 0);
        assert!(!accepted.has_room(ACCEPTED_MAX));
    }
}
