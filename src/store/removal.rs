//! What goes with a finished task that is removed: its tags, and its place in the counts.

use super::Result;
use super::counts::Deltas;
use super::key::Key;
use super::row::{from_json, unreadable};
use crate::domain::State;
use crate::domain::tags::tags_of;

/// Most dead letters of a batch: each may be large.
pub const LETTERS_MAX: i64 = 20;

/// Its columns that tell the rest: id, state, `created_at`, target and labels as JSON.
pub type GoneRow = (Key, i16, i64, String, String);

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

/// Of these tasks; and they are counted no more.
pub fn left(gone: &[GoneRow], deltas: &mut Deltas) -> Result<Tags> {
    let mut all: Vec<(String, i64, Key)> = Vec::with_capacity(gone.len());
    for (id, state, created_at, target, labels) in gone {
        deltas.leave(State::from_code(*state).ok_or_else(|| unreadable("state", state))?);
        let tags = tags_of(&from_json(target)?, &from_json(labels)?);
        all.extend(tags.into_iter().map(|tag| (tag, *created_at, *id)));
    }
    all.sort_unstable();
    let mut tags = Tags::default();
    for (tag, created_at, id) in all {
        tags.names.push(tag);
        tags.created_at.push(created_at);
        tags.ids.push(id);
    }
    Ok(tags)
}
