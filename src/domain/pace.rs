//! So many a second, in small batches several times a second: what a catch-up lets go, and when.

use std::time::Duration;

use super::time::Mono;

/// Time between batches, unless one task takes longer than that. Each batch comes due at once, so it should be small: what others
/// have due at that moment waits for its calls.
const STEP: Duration = Duration::from_millis(10);
/// Time until the next look where nothing was found.
const IDLE: Duration = Duration::from_secs(1);
/// What was not let go within this time is not made up for: no flood follows on a standstill.
const MADE_UP: Duration = Duration::from_millis(500);

/// A bucket of tokens, by a monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// The time of one task; zero: no limit.
    each: Duration,
    /// Everything before this instant is used up.
    used_until: Mono,
}

impl Pace {
    /// From now on; `None`: as fast as it goes.
    pub fn new(per_second: Option<u32>, now: Mono) -> Self {
        let each = per_second.map_or(Duration::ZERO, |per_second| Duration::from_secs(1) / per_second.max(1));
        Self { each, used_until: now }
    }

    /// How many may go now, at most `most`; 0 as long as it is not worth a batch.
    pub fn batch(&self, now: Mono, most: usize) -> usize {
        if self.each.is_zero() {
            return most;
        }
        if !self.wait(now).is_zero() {
            return 0;
        }
        let whole = self.unused(now).as_nanos().checked_div(self.each.as_nanos()).unwrap_or(0);
        usize::try_from(whole).unwrap_or(usize::MAX).min(most)
    }

    /// There was nothing to go: somebody looks again after a while, and what could have gone is not made up for.
    pub fn idle(&mut self, now: Mono) {
        self.used_until = now.plus(IDLE.saturating_sub(STEP.max(self.each)));
    }

    /// So many have gone.
    pub fn took(&mut self, tasks: usize, now: Mono) {
        let time = self.each.saturating_mul(u32::try_from(tasks).unwrap_or(u32::MAX));
        self.used_until = now.minus(self.unused(now)).plus(time);
    }

    /// How long until the next batch.
    pub fn wait(&self, now: Mono) -> Duration {
        if self.each.is_zero() {
            return Duration::ZERO;
        }
        (STEP.max(self.each) + self.used_until.since(now)).saturating_sub(self.unused(now))
    }

    fn unused(&self, now: Mono) -> Duration {
        now.since(self.used_until).min(MADE_UP.max(self.each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    /// What goes within `seconds` where somebody looks every `look_ms`, at most `most` at once.
    fn gone(per_second: u32, seconds: u64, look_ms: usize, most: usize) -> usize {
        let (mut pace, mut gone) = (Pace::new(Some(per_second), ms(7)), 0);
        for now in (7..=7 + seconds * 1_000).step_by(look_ms).map(ms) {
            let batch = pace.batch(now, most);
            pace.took(batch, now);
            gone += batch;
        }
        gone
    }

    #[test]
    fn so_many_go_a_second_whatever_the_pace() {
        for per_second in [1, 3, 7, 10, 99, 1_000, 4_999] {
            let (gone, ideal) = (gone(per_second, 20, 10, 500), usize::try_from(per_second * 20).unwrap());
            assert!(gone <= ideal && gone + 1 >= ideal * 199 / 200, "{per_second} a second: {gone} of {ideal}");
        }
        let fast = gone(100_000, 10, 1, 500);
        assert!((980_000..=1_000_000).contains(&fast), "in batches with as much room as a few milliseconds: {fast}");
    }

    #[test]
    fn nothing_is_looked_for_in_a_hurry_where_nothing_was() {
        for (per_second, wait_ms) in [(1_000, 1_000), (2, 1_000), (1, 1_000)] {
            let mut pace = Pace::new(Some(per_second), ms(0));
            pace.idle(ms(5_000));
            assert_eq!((pace.batch(ms(5_000), 500), pace.wait(ms(5_000))), (0, Duration::from_millis(wait_ms)));
            let batch = pace.batch(ms(5_000 + wait_ms), 500);
            assert_eq!(batch, if per_second == 1_000 { 10 } else { 1 });
        }
    }

    #[test]
    fn the_first_batch_is_small_and_the_rest_of_a_token_is_kept() {
        let mut pace = Pace::new(Some(1_000), ms(0));
        assert_eq!((pace.batch(ms(0), 500), pace.wait(ms(0))), (0, STEP));
        assert_eq!((pace.batch(ms(9), 500), pace.wait(ms(9))), (0, Duration::from_millis(1)));
        assert_eq!((pace.batch(ms(20), 500), pace.wait(ms(20))), (20, Duration::ZERO));
        pace.took(20, ms(20));
        assert_eq!((pace.batch(ms(25), 500), pace.wait(ms(25))), (0, Duration::from_millis(5)));
        let mut slow = Pace::new(Some(3), ms(0));
        assert_eq!((slow.batch(ms(333), 500), slow.batch(ms(334), 500)), (0, 1));
        slow.took(1, ms(334));
        assert_eq!(slow.batch(ms(667), 500), 1, "the third of a millisecond is not lost");
    }

    #[test]
    fn after_a_standstill_no_flood_follows() {
        let mut pace = Pace::new(Some(1_000), ms(0));
        assert_eq!(pace.batch(ms(60_000), 10_000), 500);
        pace.took(200, ms(60_000));
        assert_eq!(pace.batch(ms(60_000), 10_000), 300, "what a batch had no room for goes next");
        pace.took(300, ms(60_000));
        assert_eq!(pace.batch(ms(60_100), 10_000), 100);
        assert_eq!(Pace::new(Some(1), ms(0)).batch(ms(60_000), 10_000), 1);
    }

    #[test]
    fn without_a_pace_all_go_that_fit() {
        let mut pace = Pace::new(None, ms(0));
        for _ in 0..3 {
            assert_eq!((pace.batch(ms(0), 500), pace.wait(ms(0))), (500, Duration::ZERO));
            pace.took(500, ms(0));
        }
    }
}
