//! What all nodes report, added up.

use std::time::Duration;

use serde::Serialize;

use super::figures::{Figures, Snapshot};

/// What a node does in its first moments is no rate: each counts over this time at least, in milliseconds.
const OVER_MS: u64 = 5_000;

/// What waits between the callers and the task database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Queue {
    /// Submissions in the nodes' memory.
    pub depth: i64,
    /// Records of the submission topic that are not stored.
    pub lag: i64,
    /// How long ago the oldest record that was read and is not stored was written.
    pub oldest_ms: u64,
    /// How long the topic keeps records; null: for ever.
    pub retention_ms: Option<u64>,
    /// Partitions of the topic that are not read until an operator says from where.
    pub stopped: u64,
}

impl Queue {
    /// Of these nodes.
    pub fn of<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Self {
        snapshots.fold(Self::default(), |sum, one| Self {
            depth: sum.depth.saturating_add(one.queue_depth),
            lag: sum.lag.saturating_add(one.queue_lag),
            oldest_ms: sum.oldest_ms.max(one.queue_age_ms),
            retention_ms: sum.retention_ms.into_iter().chain(one.queue_retention_ms).min(),
            stopped: sum.stopped.saturating_add(one.queue_stopped),
        })
    }
}

/// So much of this a second over the last minute, on these nodes: each counts over its own time.
pub fn per_second<'a>(snapshots: impl Iterator<Item = &'a Snapshot>, of: impl Fn(&Figures) -> u64) -> f64 {
    let each = snapshots.map(|one| {
        let seconds = Duration::from_millis(one.over_ms.max(OVER_MS)).as_secs_f64();
        f64::from(u32::try_from(of(&one.recent)).unwrap_or(u32::MAX)) / seconds
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(over_ms: u64, starts: u64) -> Snapshot {
        let recent = Figures { starts, ..Figures::default() };
        Snapshot { over_ms, recent, queue_depth: 1, queue_age_ms: starts, ..Snapshot::default() }
    }

    #[test]
    fn rates_are_added_up_and_those_of_a_beginner_are_over_five_seconds() {
        let all = [snapshot(60_000, 120), snapshot(2_000, 10), snapshot(0, 0)];
        assert!((per_second(all.iter(), |figures| figures.starts) - 4.0).abs() < 1e-9);
        assert!(per_second([].iter(), |figures| figures.starts).abs() < 1e-9);
    }

    #[test]
    fn a_queue_is_as_old_as_its_oldest_and_kept_as_short_as_its_shortest() {
        let kept = |ms| Snapshot { queue_retention_ms: Some(ms), queue_lag: 4, queue_stopped: 1, ..snapshot(0, 7) };
        let all = [snapshot(0, 9), kept(80), kept(50)];
        let queue = Queue { depth: 3, lag: 8, oldest_ms: 9, retention_ms: Some(50), stopped: 2 };
        assert_eq!(Queue::of(all.iter()), queue);
        assert_eq!(Queue::of(all[..1].iter()).retention_ms, None);
    }
}
