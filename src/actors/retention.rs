//! The master's third duty: what has been finished long enough is removed, batch by batch, beside everything else.

use std::time::Duration;

use super::parts::Parts;
use crate::domain::Mono;
use crate::domain::retention::Pace;
use crate::store::{Ended, Removed};

/// A sweep begins anew after this time, however much it has to do still: an outcome may come in late, behind it.
const ANEW: Duration = Duration::from_mins(5);

/// Where a sweep stands: from its first batch to the one that finds nothing more.
#[derive(Debug, Default)]
pub struct Retention {
    pace: Pace,
    swept: Removed,
    /// The next batch goes on after this; `None`: from the oldest on.
    after: Option<Ended>,
    /// When it was begun there.
    begun: Option<Mono>,
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
        let after = self.retention.goes_on(began);
        let removed = self.parts.store.remove_after(after, kept, self.retention.pace.batch());
        let took = clock.mono().since(began);
        match removed {
            Ok((removed, reached)) => {
                self.retention.after = reached;
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
                self.retention.begin_anew();
                log::warn!("retention waits for the task database: {cause}");
                let rest = self.retention.pace.after(took, false);
                (self.retention, rest)
            }
        }
    }
}

impl Retention {
    /// After which the next batch goes on.
    fn goes_on(&mut self, now: Mono) -> Option<Ended> {
        if self.begun.is_some_and(|begun| now.since(begun) >= ANEW) {
            self.begin_anew();
        }
        self.begun.get_or_insert(now);
        self.after
    }

    fn begin_anew(&mut self) {
        (self.after, self.begun) = (None, None);
    }

    /// The sweep is over, or another node goes on with it: says what it has removed.
    pub fn end(&mut self, kept: Duration) {
        self.begin_anew();
        let Removed { tasks, dead_letters, .. } = std::mem::take(&mut self.swept);
        if tasks + dead_letters > 0 {
            let hours = kept.as_secs() / 3_600;
            log::info!(
                "retention removed {tasks} tasks finished and {dead_letters} dead letters replayed {hours} h ago"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{TaskId, Timestamp};

    #[test]
    fn a_sweep_goes_on_where_it_was_and_begins_anew_when_it_has_ended_or_lasts_long() {
        let place = Some((Timestamp::from_micros(7), TaskId(uuid::Uuid::max())));
        let start = crate::clock::Clock::new().mono();
        let mut retention = Retention::default();
        for end in [true, false] {
            assert_eq!(retention.goes_on(start), None);
            retention.after = place;
            assert_eq!(retention.goes_on(start.plus(ANEW / 2)), place);
            if end {
                retention.end(Duration::ZERO);
            }
        }
        assert_eq!(retention.goes_on(start.plus(ANEW)), None);
        retention.after = place;
        assert_eq!(retention.goes_on(start.plus(ANEW)), place);
    }
}
