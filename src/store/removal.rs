//! What goes with a finished task that is removed: its tags, and its place in the counts.

use super::counts::Deltas;
use super::key::Key;
use super::row::from_json;
use super::{Ended, Result};
use crate::domain::tags::tags_of;
use crate::domain::{State, TaskId, Timestamp};

/// Most dead letters of a batch: each may be large.
pub const LETTERS_MAX: i64 = 20;

/// Its columns that tell the rest: id, state, `created_at`, target and labels as JSON, and when it ended.
pub type GoneRow = (Key, i16, i64, String, String, i64);

/// Before everything that has ended.
pub const FIRST: Ended = (Timestamp::MIN, TaskId(uuid::Uuid::nil()));

/// The last of these in the order in which they are removed.
pub fn last(gone: &[GoneRow]) -> Option<Ended> {
    gone.iter().map(|(id, .., finished_at)| (Timestamp::from_micros(*finished_at), id.task())).max()
}

/// The tags of removed tasks, each with the rest of its key.
#[derive(Debug, Default)]
pub struct Tags {
    /// As they are written.
    pub names: Vec<String>,
    /// When its task was stored.
    pub created_at: Vec<i64>,
    /// Its task.
    pub ids: Vec<Key>,
}

/// Of these tasks; and they are counted no more. One that cannot be read goes without: it must not keep all others.
pub fn left(gone: &[GoneRow], deltas: &mut Deltas) -> Tags {
    let mut all: Vec<(String, i64, Key)> = Vec::with_capacity(gone.len());
    for row in gone {
        let (id, state, created_at, ..) = row;
        match State::from_code(*state) {
            Some(state) => deltas.leave(state),
            None => log::warn!("task {} of an unreadable state ({state}) is removed and its count stays", id.task()),
        }
        match tags_of_row(row) {
            Ok(tags) => all.extend(tags.into_iter().map(|tag| (tag, *created_at, *id))),
            Err(cause) => log::warn!("task {} is removed and its tags are not: {cause}", id.task()),
        }
    }
    all.sort_unstable();
    let mut tags = Tags::default();
    for (tag, created_at, id) in all {
        tags.names.push(tag);
        tags.created_at.push(created_at);
        tags.ids.push(id);
    }
    tags
}

fn tags_of_row((_, _, _, target, labels, _): &GoneRow) -> Result<Vec<String>> {
    Ok(tags_of(&from_json(target)?, &from_json(labels)?))
}
