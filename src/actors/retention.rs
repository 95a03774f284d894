//! The master's third duty: what has been finished long enough is removed, batch by batch, beside everything else.

use std::time::Duration;

use super::parts::Parts;
use crate::domain::retention::Pace;
use crate::store::Removed;

/// Where a sweep stands: from its first batch to the one that finds nothing more.
#[derive(Debug, Default)]
pub struct Retention {
    pace: Pace,
    swept: Removed,
}

/// One batch, on a blocking thread.
pub struct Batch {
    /// What it works with.
    pub parts: Parts,
    /// Where the sweep stands.
    pub retention: Retention,
}

impl Batch {
    /// Removes a batch; where the sweep stands then, and when to go on.
    pub fn run(mut self) -> (Retention, Duration) {
        let kept = self.parts.config.retention;
        let clock = self.parts.metrics.clock();
        let began = clock.mono();
        let removed = self.parts.store.remove(kept, self.retention.pace.batch());
        let took = clock.mono().since(began);
        match removed {
            Ok(removed) => {
                self.parts.metrics.removed.inc_by(u64::try_from(removed.tasks).unwrap_or(u64::MAX));
                self.retention.swept.tasks += removed.tasks;
                self.retention.swept.dead_letters += removed.dead_letters;
                if !removed.more {
                    self.retention.end(kept);
                }
                let rest = self.retention.pace.after(took, removed.more);
                (self.retention, rest)
            }
            Err(cause) => {
                log::warn!("retention waits for the task database: {cause}");
                let rest = self.retention.pace.after(took, false);
                (self.retention, rest)
            }
        }
    }
}

impl Retention {
    /// The sweep is over, or another node goes on with it: says what it has removed.
    pub fn end(&mut self, kept: Duration) {
        let Removed { tasks, dead_letters, .. } = std::mem::take(&mut self.swept);
        if tasks + dead_letters > 0 {
            let hours = kept.as_secs() / 3_600;
            log::info!(
                "retention removed {tasks} tasks finished and {dead_letters} dead letters replayed {hours} h ago"
            );
        }
    }
}
