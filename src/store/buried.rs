//! Dead letters as people ask for them, and what retention has removed.

use crate::domain::{TaskId, Timestamp};

/// A dead letter without its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    /// Its number: a later one has a higher.
    pub id: i64,
    /// When it was kept, by the database's clock.
    pub buried_at: Timestamp,
    /// Where it came from: topic, partition and offset, as text.
    pub origin: String,
    /// Why it could not be read.
    pub reason: String,
    /// The length of its record, in bytes.
    pub bytes: i64,
    /// It is in the topic of the dead letters.
    pub published: bool,
    /// When it was submitted again.
    pub replayed_at: Option<Timestamp>,
}

/// The columns of [`Buried`], in either database.
pub type BuriedRow = (i64, i64, String, String, i64, bool, Option<i64>);

impl From<BuriedRow> for Buried {
    fn from((id, buried_at, origin, reason, bytes, published, replayed_at): BuriedRow) -> Self {
        Self {
            id,
            buried_at: Timestamp::from_micros(buried_at),
            origin,
            reason,
            bytes,
            published,
            replayed_at: replayed_at.map(Timestamp::from_micros),
        }
    }
}

/// A place in the order in which finished tasks are removed: when one ended, and its id.
pub type Ended = (Timestamp, TaskId);

/// What one batch of retention has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Finished tasks, with their attempts and tags.
    pub tasks: usize,
    /// Dead letters that had been submitted again.
    pub dead_letters: usize,
    /// There may be more that is old enough.
    pub more: bool,
}
