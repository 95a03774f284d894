//! Tasks that were cancelled before they came in: how long that is remembered.

use super::records::Positions;
use super::row::unreadable;
use super::{Result, StoreError};

/// Most tombstones at once: a cancel beyond is refused, so that inventing ids cannot fill the database.
pub const TOMBSTONES_MAX: i64 = 100_000;
/// Most that are looked at in one transaction.
pub const LOOKED_AT: i64 = 1_000;

/// How the ends of the partitions are kept.
pub fn written(ends: &Positions) -> Result<String> {
    serde_json::to_string(&ends.ends).map_err(|cause| StoreError::Unreadable(format!("tombstone: {cause}")))
}

/// Of these tombstones those that everything before them has passed.
pub fn passed<K>(tombstones: Vec<(K, String)>, topic_id: &str, offsets: &[(i32, i64)]) -> Result<Vec<K>> {
    let mut gone = Vec::new();
    for (id, ends) in tombstones {
        let ends = serde_json::from_str(&ends).map_err(|cause| unreadable("tombstone.positions", cause))?;
        if (Positions { topic_id: topic_id.to_owned(), ends }).passed(offsets) {
            gone.push(id);
        }
    }
    Ok(gone)
}
