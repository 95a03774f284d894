//! What has been read of the topic and not been stored yet, partition by partition.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::domain::{NewTask, Timestamp};
use crate::store::{DeadLetter, OffsetMove, Stretch};

/// Counted for each record besides its value: the task's own structures, in bytes.
const RECORD_BYTES: usize = 2_048;

/// Most bytes in one stretch (a larger record goes alone): one transaction must not take long.
const STRETCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Which partitions are read, each from which offset; `None`: from the first that the brokers have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Starts {
    /// The topic's id.
    pub topic_id: String,
    /// Partitions and the next offsets, as they are stored.
    pub partitions: BTreeMap<i32, Option<i64>>,
}

/// One record.
#[derive(Debug)]
pub struct Read {
    /// Where it stands.
    pub offset: i64,
    /// What it says.
    pub value: Vec<u8>,
    /// When it was written, by its writer's or the brokers' clock.
    pub written_at: Option<Timestamp>,
    /// The task that it is, or why it is none.
    pub task: Result<NewTask, String>,
}

/// The state between the thread that reads and the actor that stores.
#[derive(Debug)]
pub struct Reading {
    state: Mutex<State>,
    arrived: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the beginnings: what belongs to an earlier one is void.
    round: u64,
    topic_id: Option<String>,
    partitions: BTreeMap<i32, Partition>,
    bytes: usize,
    records: usize,
    /// Whose turn it is.
    turn: i32,
    /// A beginning that the reader has not carried out yet.
    begun: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Partition {
    next: Option<i64>,
    records: VecDeque<Read>,
    held: Option<Arc<AtomicBool>>,
}

impl Partition {
    /// It comes after what was read before.
    fn follows(&self, offset: i64) -> bool {
        let last = self.records.back().map(|record| record.offset + 1).or(self.next);
        last.is_none_or(|last| offset >= last)
    }

    /// How many of its records go into one stretch.
    fn fitting(&self, limit: usize) -> usize {
        let mut bytes = 0_usize;
        let fits = |record: &&Read| {
            bytes = bytes.saturating_add(record.value.len());
            bytes <= STRETCH_BYTES_MAX
        };
        self.records.iter().take(limit).take_while(fits).count().max(1)
    }

    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.load(Ordering::SeqCst))
    }
}

/// A stretch is being stored. Let go of when it is dropped.
#[derive(Debug)]
pub struct Hold(Arc<AtomicBool>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Reading {
    /// Nothing yet; at most about `bytes_max` at once.
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), bytes_max }
    }

    /// Forgets what was read and begins with these.
    pub fn begin(&self, starts: Starts) {
        let mut state = self.state();
        state.round += 1;
        state.topic_id = Some(starts.topic_id);
        let partitions = starts.partitions.into_iter();
        state.partitions = partitions.map(|(id, next)| (id, Partition { next, ..Partition::default() })).collect();
        (state.bytes, state.records, state.begun) = (0, 0, true);
    }

    /// Exactly these partitions are read, wherever they stand.
    pub fn reads(&self, starts: &Starts) -> bool {
        let state = self.state();
        state.topic_id.as_ref() == Some(&starts.topic_id) && state.partitions.keys().eq(starts.partitions.keys())
    }

    /// The beginning that is to be carried out, once, with its round.
    pub fn take_begun(&self) -> Option<(u64, Starts)> {
        let mut state = self.state();
        if !std::mem::take(&mut state.begun) {
            return None;
        }
        let partitions = state.partitions.iter().map(|(id, partition)| (*id, partition.next)).collect();
        Some((state.round, Starts { topic_id: state.topic_id.clone().unwrap_or_default(), partitions }))
    }

    /// The partitions with their next offsets, as far as nothing of them is being stored; `None` before the first
    /// beginning.
    pub fn positions(&self) -> Option<Starts> {
        let state = self.state();
        let topic_id = state.topic_id.clone()?;
        let free = state.partitions.iter().filter(|(_, partition)| !partition.is_held());
        Some(Starts { topic_id, partitions: free.map(|(id, partition)| (*id, partition.next)).collect() })
    }

    /// What is read; `None` before the first beginning.
    pub fn topic_id(&self) -> Option<String> {
        self.state().topic_id.clone()
    }

    /// Each partition's next offset, as if what is being stored now were stored.
    pub fn next_offsets(&self) -> BTreeMap<i32, Option<i64>> {
        self.state().partitions.iter().map(|(id, partition)| (*id, partition.next)).collect()
    }

    /// One record of a partition. False: there is no room any more, read no further for now.
    pub fn push(&self, round: u64, partition: i32, record: Read) -> bool {
        let mut state = self.state();
        let bytes = record.value.len() + RECORD_BYTES;
        if state.round == round
            && let Some(place) = state.partitions.get_mut(&partition)
            && place.follows(record.offset)
        {
            place.records.push_back(record);
            state.bytes += bytes;
            state.records += 1;
            self.arrived.notify_one();
        }
        state.bytes < self.bytes_max
    }

    /// Half of the room is free again.
    pub fn has_room(&self) -> bool {
        self.state().bytes <= self.bytes_max / 2
    }

    /// The next stretch of a partition of which nothing is being stored, the partitions by turns.
    pub fn take(&self, limit: usize) -> Option<(Stretch, Hold)> {
        let mut state = self.state();
        let ready = |(id, partition): (&i32, &Partition)| {
            (!partition.records.is_empty() && !partition.is_held()).then_some(*id)
        };
        let after = state.partitions.range(state.turn.saturating_add(1)..).find_map(ready);
        let id = after.or_else(|| state.partitions.iter().find_map(ready))?;
        let topic_id = state.topic_id.clone()?;
        let partition = state.partitions.get_mut(&id)?;
        let count = partition.fitting(limit);
        let records: Vec<Read> = partition.records.drain(..count).collect();
        let (from, to) = (partition.next, records.last()?.offset + 1);
        let held = Arc::new(AtomicBool::new(true));
        (partition.next, partition.held) = (Some(to), Some(Arc::clone(&held)));
        state.turn = id;
        state.records -= count;
        state.bytes -= records.iter().map(|record| record.value.len() + RECORD_BYTES).sum::<usize>();
        Some((stretch(OffsetMove { topic_id, partition: id, from, to }, records), Hold(held)))
    }

    /// Resolves when there may be something to take.
    pub fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    /// Nothing more is read or given out: it stays in the topic.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.partitions.clear();
        drop(state);
        self.arrived.notify_one();
    }

    /// It was closed.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Records that wait.
    pub fn depth(&self) -> usize {
        self.state().records
    }

    /// When the oldest of them was written.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.state().partitions.values().filter_map(|partition| partition.records.front()?.written_at).min()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stretch(offset: OffsetMove, read: Vec<Read>) -> Stretch {
    let mut stretch = Stretch { offset, tasks: Vec::new(), records: Vec::new(), letters: Vec::new() };
    for record in read {
        match record.task {
            Ok(task) => {
                stretch.tasks.push(task);
                stretch.records.push((record.offset, record.value));
            }
            Err(reason) => {
                let origin = stretch.offset.origin(record.offset);
                stretch.letters.push(DeadLetter { origin, reason, record: record.value });
            }
        }
    }
    stretch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(partitions: &[(i32, Option<i64>)]) -> Starts {
        Starts { topic_id: "t".to_owned(), partitions: partitions.iter().copied().collect() }
    }

    fn read(offset: i64) -> Read {
        Read {
            offset,
            value: vec![0; 10],
            written_at: Some(Timestamp::from_micros(offset)),
            task: Err("no task".to_owned()),
        }
    }

    fn begun(partitions: &[(i32, Option<i64>)]) -> (Reading, u64) {
        let reading = Reading::new(1 << 20);
        reading.begin(starts(partitions));
        let (round, _) = reading.take_begun().unwrap();
        (reading, round)
    }

    #[test]
    fn a_stretch_goes_on_where_the_one_before_ended() {
        let (reading, round) = begun(&[(0, Some(3))]);
        for offset in [3, 5, 9] {
            reading.push(round, 0, read(offset));
        }
        let (first, hold) = reading.take(2).unwrap();
        assert_eq!((first.offset.from, first.offset.to), (Some(3), 6));
        assert_eq!(first.letters.iter().map(|letter| letter.origin.as_str()).collect::<Vec<_>>(), ["t[0]@3", "t[0]@5"]);
        assert!(reading.take(2).is_none(), "one at a time of a partition");
        assert_eq!(reading.oldest(), Some(Timestamp::from_micros(9)));
        drop(hold);
        let (second, _hold) = reading.take(2).unwrap();
        assert_eq!((second.offset.from, second.offset.to), (Some(6), 10));
        assert_eq!(reading.depth(), 0);
    }

    #[test]
    fn a_stretch_is_no_longer_than_a_transaction_may_be() {
        let (reading, round) = begun(&[(0, Some(0))]);
        for offset in 0..4 {
            let value = vec![0; STRETCH_BYTES_MAX / 2];
            reading.push(round, 0, Read { value, ..read(offset) });
        }
        assert_eq!(reading.take(9).unwrap().0.offset.to, 2);
        let (reading, round) = begun(&[(0, Some(0))]);
        reading.push(round, 0, Read { value: vec![0; STRETCH_BYTES_MAX + 1], ..read(0) });
        assert_eq!(reading.take(9).unwrap().0.offset.to, 1, "too large by itself");
    }

    #[test]
    fn what_was_read_before_is_not_taken_again() {
        let (reading, round) = begun(&[(0, Some(5))]);
        for offset in [4, 5, 5, 6] {
            reading.push(round, 0, read(offset));
        }
        assert_eq!(reading.take(9).unwrap().0.letters.len(), 2);
        reading.push(round, 0, read(6));
        assert_eq!(reading.depth(), 0);
    }

    #[test]
    fn partitions_take_turns() {
        let (reading, round) = begun(&[(0, None), (2, None)]);
        for offset in 0..2 {
            reading.push(round, 0, read(offset));
            reading.push(round, 2, read(offset));
        }
        let turns: Vec<i32> = (0..4).map(|_| reading.take(1).unwrap().0.offset.partition).collect();
        assert_eq!(turns, [2, 0, 2, 0]);
    }

    #[test]
    fn a_new_beginning_voids_what_was_read() {
        let (reading, round) = begun(&[(0, None), (1, Some(7))]);
        reading.push(round, 0, read(0));
        reading.begin(starts(&[(1, Some(8))]));
        reading.push(round, 1, read(7));
        assert!(reading.take(9).is_none());
        assert_eq!(reading.positions(), Some(starts(&[(1, Some(8))])));
        assert_eq!(reading.take_begun().unwrap().1, starts(&[(1, Some(8))]));
        assert!(reading.take_begun().is_none());
    }

    #[test]
    fn room_ends_and_comes_back() {
        let reading = Reading::new(2 * (RECORD_BYTES + 10));
        reading.begin(starts(&[(0, None)]));
        let (round, _) = reading.take_begun().unwrap();
        assert!(reading.push(round, 0, read(0)));
        assert!(!reading.push(round, 0, read(1)));
        assert!(!reading.has_room());
        reading.take(1).unwrap();
        assert!(reading.has_room());
    }

    #[test]
    fn positions_leave_out_what_is_being_stored() {
        let (reading, round) = begun(&[(0, Some(1)), (1, Some(1))]);
        reading.push(round, 0, read(1));
        let held = reading.take(1).unwrap();
        assert_eq!(reading.positions(), Some(starts(&[(1, Some(1))])));
        assert_eq!(reading.next_offsets(), [(0, Some(2)), (1, Some(1))].into());
        drop(held);
        assert_eq!(reading.positions(), Some(starts(&[(0, Some(2)), (1, Some(1))])));
    }
}
