//! The master's look-ahead: the scheduled tasks of the next seconds, in memory, in the order they are to be claimed.
//!
//! It is a picture of the index on `(due_at, id)`, never the truth: a claim of something that has changed since is
//! refused by the row. What it must not do is *miss* a task. So it keeps a horizon: every scheduled task up to it is
//! in memory, as far as is known; what lies beyond is read later, in index order; what comes in behind it is put in by
//! hints, and a sweep from the oldest finds what a hint has missed.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::claim::Due;
use super::ids::TaskId;
use super::time::Timestamp;

/// Place in the index's order.
pub type Key = (Timestamp, TaskId);

/// Scheduled tasks of the near future.
#[derive(Debug)]
pub struct LookAhead {
    tasks: HashMap<TaskId, Due>,
    /// Not yet due, by instant.
    waiting: BTreeSet<Key>,
    /// Due, in the order of claiming: the higher priority first, then the older.
    ready: BTreeSet<(Reverse<u8>, Timestamp, TaskId)>,
    /// Every scheduled task up to here is in memory; `None` before the first read.
    horizon: Option<Key>,
    capacity: usize,
}

impl LookAhead {
    /// Holds at most `capacity` tasks; a fuller database is read piece by piece.
    pub fn new(capacity: usize) -> Self {
        Self { tasks: HashMap::new(), waiting: BTreeSet::new(), ready: BTreeSet::new(), horizon: None, capacity }
    }

    /// Forgets everything: after a take-over, or a loss of mastership.
    pub fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Tasks in memory.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Nothing in memory.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// How far it has been read.
    pub fn horizon(&self) -> Option<Key> {
        self.horizon
    }

    /// There is room to read on: free, or taken by what lies beyond the horizon, which goes when something nearer comes.
    pub fn has_room(&self) -> bool {
        self.len() < self.capacity || self.waiting.last().is_some_and(|last| Some(*last) > self.horizon)
    }

    /// Takes in the next piece of the index, read from the horizon on; `reached` is how far the reading went.
    pub fn extend(&mut self, read: &[Due], reached: Key) {
        self.horizon = Some(self.horizon.map_or(reached, |horizon| horizon.max(reached)));
        for due in read {
            self.put(*due);
        }
        self.shed();
    }

    /// Takes in tasks that a hint or the sweep has found. What lies beyond the horizon is left for the reading.
    pub fn insert(&mut self, found: &[Due]) {
        for due in found {
            if self.horizon.is_some_and(|horizon| due.key() <= horizon) {
                self.put(*due);
            }
        }
        self.shed();
    }

    /// All of these are in memory.
    pub fn knows(&self, found: &[Due]) -> bool {
        found.iter().all(|due| self.tasks.contains_key(&due.id))
    }

    /// Others may have scheduled anything from `first` on: the index is read again from there.
    pub fn doubt(&mut self, first: Timestamp) {
        self.horizon = self.horizon.map(|horizon| horizon.min(just_before(first)));
    }

    /// A task that is no longer to be claimed.
    pub fn cancel(&mut self, id: TaskId) {
        if let Some(due) = self.tasks.remove(&id) {
            self.waiting.remove(&due.key());
            self.ready.remove(&(Reverse(due.priority), due.due_at, due.id));
        }
    }

    /// The instant of the first task that is waiting; `None` if nothing waits.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due_at, _)| *due_at)
    }

    /// Something is due already and was not taken.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes out what is due until `until`, at most `limit`: by priority, then the oldest first.
    pub fn take_due(&mut self, until: Timestamp, limit: usize) -> Vec<Due> {
        self.ripen(until);
        let mut batch = Vec::with_capacity(limit.min(self.ready.len()));
        while batch.len() < limit {
            let Some((_, due_at, id)) = self.ready.pop_first() else { break };
            if due_at > until {
                // The clock was set back since it was due.
                self.waiting.insert((due_at, id));
                continue;
            }
            batch.extend(self.tasks.remove(&id));
        }
        batch
    }

    /// What was taken out and could not be claimed after all.
    pub fn put_back(&mut self, batch: &[Due]) {
        for due in batch {
            self.put(*due);
        }
        self.shed();
    }

    fn put(&mut self, due: Due) {
        if self.tasks.get(&due.id) == Some(&due) {
            return;
        }
        self.cancel(due.id);
        self.tasks.insert(due.id, due);
        self.waiting.insert(due.key());
    }

    /// What is due until `until` is ready.
    pub fn ripen(&mut self, until: Timestamp) {
        while let Some((due_at, id)) = self.waiting.first().copied().filter(|(due_at, _)| *due_at <= until) {
            self.waiting.pop_first();
            if let Some(due) = self.tasks.get(&id) {
                self.ready.insert((Reverse(due.priority), due_at, id));
            }
        }
    }

    /// Too full: the latest go and the horizon shrinks to what is left, so that they are read again in their turn.
    fn shed(&mut self) {
        while self.tasks.len() > self.capacity {
            let Some(last) = self.waiting.pop_last() else { break };
            self.tasks.remove(&last.1);
            let below = match last.1.0.as_u128().checked_sub(1) {
                Some(id) => (last.0, TaskId(uuid::Uuid::from_u128(id))),
                None => just_before(last.0),
            };
            self.horizon = self.horizon.map(|horizon| horizon.min(below));
        }
    }
}

/// The last place in the index before every task of this instant.
fn just_before(at: Timestamp) -> Key {
    (Timestamp::from_micros(at.micros().saturating_sub(1)), TaskId(uuid::Uuid::max()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Misfire;

    const FAR: Key = (Timestamp::from_micros(i64::MAX), TaskId(Uuid::max()));

    fn due(id: u128, at: i64, priority: u8) -> Due {
        Due { id: TaskId(Uuid::from_u128(id)), due_at: Timestamp::from_micros(at), priority, misfire: Misfire::Fire }
    }

    fn ids(batch: &[Due]) -> Vec<u128> {
        batch.iter().map(|due| due.id.0.as_u128()).collect()
    }

    #[test]
    fn gives_what_is_due_by_priority_then_age_and_only_once() {
        let mut ahead = LookAhead::new(100);
        ahead.extend(&[due(1, 10, 0), due(2, 20, 9), due(3, 30, 0), due(4, 99, 9)], FAR);
        assert_eq!(ahead.next_due(), Some(Timestamp::from_micros(10)));
        assert_eq!(ids(&ahead.take_due(Timestamp::from_micros(50), 10)), [2, 1, 3]);
        assert!(ahead.take_due(Timestamp::from_micros(50), 10).is_empty());
        assert_eq!(ahead.next_due(), Some(Timestamp::from_micros(99)));
    }

    #[test]
    fn a_limit_leaves_the_rest_ready() {
        let mut ahead = LookAhead::new(100);
        ahead.extend(&[due(1, 10, 0), due(2, 20, 0)], FAR);
        assert_eq!(ids(&ahead.take_due(Timestamp::from_micros(50), 1)), [1]);
        assert!(ahead.has_ready());
        assert_eq!(ids(&ahead.take_due(Timestamp::from_micros(50), 1)), [2]);
    }

    #[test]
    fn a_cancelled_one_is_not_given() {
        let mut ahead = LookAhead::new(100);
        ahead.extend(&[due(1, 10, 0), due(2, 20, 0)], FAR);
        ahead.take_due(Timestamp::from_micros(5), 0);
        ahead.cancel(TaskId(Uuid::from_u128(1)));
        assert_eq!(ids(&ahead.take_due(Timestamp::from_micros(50), 10)), [2]);
    }

    #[test]
    fn a_moved_one_is_given_at_its_new_instant_only() {
        let mut ahead = LookAhead::new(100);
        ahead.extend(&[due(1, 10, 0)], FAR);
        ahead.insert(&[due(1, 70, 0)]);
        assert!(ahead.take_due(Timestamp::from_micros(50), 10).is_empty());
        assert_eq!(ids(&ahead.take_due(Timestamp::from_micros(70), 10)), [1]);
    }

    #[test]
    fn hints_beyond_the_horizon_are_left_for_the_reading() {
        let mut ahead = LookAhead::new(100);
        ahead.insert(&[due(9, 1, 0)]);
        assert!(ahead.is_empty(), "nothing was read yet");
        ahead.extend(&[], (Timestamp::from_micros(100), TaskId(Uuid::max())));
        ahead.insert(&[due(1, 100, 0), due(2, 101, 0)]);
        assert_eq!(ahead.len(), 1);
    }

    #[test]
    fn too_full_sheds_the_latest_and_shrinks_its_horizon() {
        let mut ahead = LookAhead::new(2);
        ahead.extend(&[due(1, 10, 0), due(2, 20, 0)], FAR);
        ahead.insert(&[due(3, 5, 0)]);
        assert_eq!(ahead.len(), 2);
        let horizon = ahead.horizon().unwrap();
        assert!(horizon < due(2, 20, 0).key() && horizon >= due(1, 10, 0).key());
    }

    proptest! {
        /// A model check: whatever comes in which way, reading on from the horizon always gives every task exactly
        /// once, and none before its instant.
        #[test]
        fn nothing_is_missed_and_nothing_given_twice(
            stored in proptest::collection::btree_set(0_i64..1_000, 1..80),
            hints in proptest::collection::vec(0_i64..1_000, 0..40),
            capacity in 1_usize..20,
            piece in 1_usize..10,
        ) {
            let mut table: BTreeSet<Key> = stored.iter().map(|at| due(u128::try_from(*at + 1).unwrap(), *at, 0).key()).collect();
            let mut ahead = LookAhead::new(capacity);
            let mut given = Vec::new();
            let mut hints = hints.into_iter();
            for now in 0..4_000_i64 {
                let at = Timestamp::from_micros(now);
                if let Some(hint) = hints.next().filter(|_| now % 3 == 0) {
                    let new = due(u128::try_from(5_000 + now).unwrap(), hint, 0);
                    table.insert(new.key());
                    ahead.insert(&[new]);
                }
                if ahead.has_room() {
                    let from = ahead.horizon();
                    let read: Vec<Due> = table.iter().filter(|key| from.is_none_or(|from| **key > from)).take(piece)
                        .map(|key| due(key.1.0.as_u128(), key.0.micros(), 0)).collect();
                    if let Some(last) = read.last().map(Due::key) { ahead.extend(&read, last) }
                    else { ahead.extend(&[], from.unwrap_or((Timestamp::MIN, TaskId(Uuid::nil())))) }
                }
                for task in ahead.take_due(at, piece) {
                    prop_assert!(task.due_at <= at, "early");
                    prop_assert!(table.remove(&task.key()), "twice");
                    given.push(task);
                }
            }
            prop_assert!(table.is_empty(), "missed {:?}", table);
        }
    }

    #[test]
    fn what_lies_beyond_the_horizon_makes_room_for_what_is_nearer() {
        let t = Timestamp::from_micros;
        let mut ahead = LookAhead::new(3);
        ahead.extend(&[due(1, 900, 0), due(2, 901, 0), due(3, 902, 0)], (t(902), TaskId(Uuid::max())));
        assert!(!ahead.has_room());
        ahead.doubt(t(100));
        assert!(ahead.has_room(), "all of it lies beyond now");
        ahead.extend(&[due(4, 100, 0), due(1, 900, 0)], (t(900), TaskId(Uuid::max())));
        assert_eq!((ahead.len(), ahead.next_due()), (3, Some(t(100))));
        assert_eq!(ids(&ahead.take_due(t(1_000), 9)), [4, 1, 2], "the latest has gone, to be read in its turn");
        assert_eq!(ahead.horizon().map(|(at, _)| at), Some(t(900)));
    }

    #[test]
    fn what_is_not_due_any_more_waits_again() {
        let t = Timestamp::from_micros;
        let mut ahead = LookAhead::new(10);
        ahead.extend(&[due(1, 10, 0), due(2, 900, 9), due(3, 950, 0)], FAR);
        assert_eq!(ids(&ahead.take_due(t(1_000), 0)), [0; 0], "all are ready, none is wanted");
        assert!(ahead.has_ready());
        assert_eq!(ids(&ahead.take_due(t(50), 9)), [1], "the clock was set back");
        assert_eq!((ahead.has_ready(), ahead.next_due()), (false, Some(t(900))));
        assert_eq!(ids(&ahead.take_due(t(1_000), 9)), [2, 3]);
    }

    #[test]
    fn what_is_doubted_is_read_again_and_is_there_once() {
        let t = Timestamp::from_micros;
        let mut ahead = LookAhead::new(10);
        let early = due(1, 10, 0);
        ahead.extend(&[early, due(2, 30, 0)], (t(50), TaskId(Uuid::max())));
        ahead.doubt(t(20));
        assert_eq!(ahead.horizon().map(|(at, _)| at), Some(t(19)));
        ahead.extend(&[due(3, 20, 0), due(2, 30, 0)], (t(50), TaskId(Uuid::max())));
        assert_eq!(ahead.take_due(t(50), 9).len(), 3);
        ahead.doubt(t(90));
        assert_eq!(ahead.horizon().map(|(at, _)| at), Some(t(50)), "what is not read yet needs no doubt");
    }
}
