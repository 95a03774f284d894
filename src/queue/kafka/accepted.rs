//! What was accepted here and is not stored yet: so that a task asked for right after its submission is never said not to
//! exist.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::TaskId;

/// Most that are remembered; beyond, nothing is accepted until the ingest has caught up.
pub const ACCEPTED_MAX: usize = 200_000;

/// How a task stands that is not stored yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstored {
    /// It will be.
    Accepted,
    /// It was called off: it will be stored as that.
    Cancelled,
}

impl Unstored {
    /// As callers are told.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a task's record is in the topic, and how it stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    partition: i32,
    offset: i64,
    standing: Unstored,
}

/// Tasks by their ids.
#[derive(Debug, Default)]
pub struct Accepted {
    places: Mutex<HashMap<TaskId, Place>>,
}

impl Accepted {
    /// There is room for so many more.
    pub fn has_room(&self, more: usize) -> bool {
        self.places().len().saturating_add(more) <= ACCEPTED_MAX
    }

    /// Its record is there. What was called off stays so, however often it is put there.
    pub fn remember(&self, id: TaskId, partition: i32, offset: i64) {
        let mut places = self.places();
        let standing = places.get(&id).map_or(Unstored::Accepted, |place| place.standing);
        places.insert(id, Place { partition, offset, standing });
    }

    /// It was called off.
    pub fn cancel(&self, id: TaskId) {
        if let Some(place) = self.places().get_mut(&id) {
            place.standing = Unstored::Cancelled;
        }
    }

    /// How it stands, if it is perhaps not stored yet.
    pub fn standing(&self, id: TaskId) -> Option<Unstored> {
        self.places().get(&id).map(|place| place.standing)
    }

    /// What lies before these offsets is stored.
    pub fn forget(&self, offsets: &[(i32, i64)]) {
        let next = |partition: i32| offsets.iter().find(|(one, _)| *one == partition).map_or(0, |(_, next)| *next);
        self.places().retain(|_, place| place.offset >= next(place.partition));
    }

    fn places(&self) -> MutexGuard<'_, HashMap<TaskId, Place>> {
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
        let standing = |n| accepted.standing(id(n));
        assert_eq!((standing(1), standing(2), standing(3)), (None, Some(Unstored::Accepted), Some(Unstored::Accepted)));
    }

    #[test]
    fn what_was_called_off_stays_so() {
        let (accepted, id) = (Accepted::default(), TaskId(Uuid::from_u128(1)));
        accepted.cancel(id);
        assert_eq!(accepted.standing(id), None, "it is not known here");
        accepted.remember(id, 0, 4);
        accepted.cancel(id);
        accepted.remember(id, 0, 5);
        assert_eq!(accepted.standing(id), Some(Unstored::Cancelled));
    }

    #[test]
    fn room_ends() {
        let accepted = Accepted::default();
        assert!(accepted.has_room(ACCEPTED_MAX));
        accepted.remember(TaskId(Uuid::from_u128(1)), 0, 0);
        assert!(!accepted.has_room(ACCEPTED_MAX));
    }
}
