//! How fast retention goes: in batches that take a moment, with rests between them that are several times as long, so that
//! whatever is to be removed, at most a fifth of the time goes into it.

use std::time::Duration;

/// Time between looks when there was nothing more to remove, or the database did not answer.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A rest is so many times as long as the batch before it.
const REST: u32 = 4;
/// Shortest rest: a clock that sees no time pass lets nobody be held up.
const REST_MIN: Duration = Duration::from_millis(1);

/// A batch that takes longer than this holds others up: the next is half as large.
const LONG: Duration = Duration::from_millis(20);
/// One that takes less than this: the next is twice as large.
const SHORT: Duration = Duration::from_millis(5);
/// Fewest and most of a batch; a store may take fewer.
const BATCH: std::ops::RangeInclusive<usize> = 10..=500;

/// The size of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    batch: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batch: 50 }
    }
}

impl Pace {
    /// At most so much is removed next.
    pub fn batch(self) -> usize {
        self.batch
    }

    /// A batch has taken so long, and there may be more to remove or not: when to go on.
    pub fn after(&mut self, took: Duration, more: bool) -> Duration {
        if took > LONG {
            self.batch = (self.batch / 2).max(*BATCH.start());
        } else if took < SHORT && more {
            self.batch = (self.batch * 2).min(*BATCH.end());
        }
        let rest = took.saturating_mul(REST).max(REST_MIN);
        if more { rest } else { rest.max(LOOK_EVERY) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn at_most_a_fifth_of_the_time_goes_into_it() {
        for took in [ms(0), ms(1), ms(7), ms(900), LOOK_EVERY] {
            for more in [false, true] {
                let rest = Pace::default().after(took, more);
                assert!(took * 5 <= took + rest && rest > Duration::ZERO, "{took:?}, then {rest:?}");
            }
        }
    }

    #[test]
    fn without_more_it_looks_again_later() {
        assert_eq!(Pace::default().after(ms(3), true), ms(12));
        assert_eq!(Pace::default().after(ms(3), false), LOOK_EVERY);
        assert_eq!(Pace::default().after(ms(9_000), false), ms(36_000));
    }

    #[test]
    fn batches_grow_and_shrink_with_the_time_they_take() {
        let mut pace = Pace::default();
        let first = pace.batch();
        pace.after(ms(10), true);
        assert_eq!(pace.batch(), first, "just right");
        for _ in 0..9 {
            pace.after(ms(1), true);
        }
        assert_eq!(pace.batch(), 500);
        pace.after(ms(1), false);
        pace.after(ms(21), true);
        assert_eq!(pace.batch(), 250);
        for _ in 0..9 {
            pace.after(ms(2_000), true);
        }
        assert_eq!(pace.batch(), 10);
    }
}
