//! A row of `pause`, in either database.

use crate::domain::{Pause, Timestamp};

/// Its columns, as [`pause_columns`] names them.
pub type PauseRow = (i64, Option<String>, Option<String>, Option<String>, i64, Option<i64>, Option<i64>);

/// Their names.
macro_rules! pause_columns {
    () => {
        "seq, label, value, reason, paused_at, resumed_at, per_second"
    };
}
pub(super) use pause_columns;

/// What it says.
pub fn pause((id, label, value, reason, paused_at, resumed_at, per_second): PauseRow) -> Pause {
    Pause {
        id,
        label: label.zip(value),
        reason,
        paused_at: Timestamp::from_micros(paused_at),
        resumed_at: resumed_at.map(Timestamp::from_micros),
        per_second: per_second.map(|per_second| u32::try_from(per_second).unwrap_or(u32::MAX)),
    }
}
